"""What an upstream can do wrong (P3, P5): never a completed wrong body, never a half file, words where words are due."""

import itertools
import resource
import shutil
import signal

import psutil
import pytest

from gateway.simulator import builders
from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault, Gate, failing, redirected, second_read_differs, throttled
from gateway.simulator.large import large_torch
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import CLIENTS, GatewayProcess, cli, run_client
from tests.e2e.wire import (
    MIB,
    QUICK,
    TAIL_BYTES,
    Download,
    add_repo,
    download,
    some_tensor,
    together,
    url_of,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("fresh")

ST = "model.safetensors"
_seeds = itertools.count(1000)


@pytest.fixture(scope="module")
def sim():
    with SimulatorThread(World()) as sim:
        yield sim


@pytest.fixture
def repo(sim, request):
    """A repo of this test's own, with a file of this test's own: nothing of it is known to the gateway."""
    name = f"faults/r{next(_seeds)}"
    sim.edit(lambda world: add_repo(world, name, {ST: some_tensor(getattr(request, "param", 8), next(_seeds))}))
    return sim.world[name]


def content(repo, path=ST):
    return repo.main.files[path].content


def fault(repo, **effects):
    return Fault(path=f"{repo.id}/{ST}", host="cdn", **effects)


def whole_only(repo, **effects):
    """Bends the transfer of the whole file and leaves the range reads before it alone."""
    return Fault(path=f"{repo.id}/{ST}", host="cdn", method="GET", skip=1, **effects)


def blobs(gate):
    return {p.parent.name + p.name for p in (gate.state / "blobs/sha256").rglob("*") if p.is_file()}


def staged(gate):
    return list((gate.state / "blobs/staging").iterdir())


def events(gate, repo):
    return [r for r in gate.records() if r["kind"] == "event" and r["extra"].get("repo") == repo.id]


# -- bytes that are not what was judged ------------------------------------------------------------------------------


def test_corrupt_bytes_of_the_right_length_never_complete(gate, sim, repo):
    size = content(repo).size
    sim.faults.add(fault(repo, corrupt_at=size // 2))
    clients = together(3, lambda _: download(gate.url, url_of(repo.id, ST)))
    for client in clients:
        assert client.status == 200
        assert client.error is not None, "the connection must break"
        assert client.received <= size - TAIL_BYTES
    sha256 = content(repo).sha256
    assert sha256 not in blobs(gate)
    event = wait_for(lambda: events(gate, repo), "the event in the ledger")[0]
    assert (event["note"], event["extra"]["digest"]) == ("integrity/mismatch", f"sha256:{sha256}")
    assert not staged(gate)
    sim.faults.clear()
    again = gate.get(url_of(repo.id, ST))
    assert again.status == 502, "blocked for a while"
    assert "other bytes" in again.headers["X-Error-Message"]
    assert gate.get(url_of(repo.id, ST), headers={"Range": "bytes=0-7"}).status == 502


def test_a_corrupt_small_file_is_refused_with_words_and_a_fresh_digest_is_served(gate, sim, repo):
    small = builders.safetensors({"w": (16, 16), "seed": (next(_seeds),)})
    sim.edit(lambda _: repo.commit({ST: small}))
    sim.faults.add(fault(repo, corrupt_at=900))
    answer = gate.get(url_of(repo.id, ST))
    assert answer.status == 502
    assert answer.headers["X-Error-Message"]
    sim.faults.clear()
    fresh = builders.safetensors({"w": (16, 16), "seed": (next(_seeds),)})
    commit = sim.edit(lambda _: repo.commit({ST: fresh}))
    assert gate.get(url_of(repo.id, ST, commit)).body == fresh


def test_other_bytes_on_the_second_read_do_not_leave(gate, sim, repo):
    """Judged by ranges, then filled with another header: not one byte of the judged span may leave."""
    sim.faults.add(second_read_differs(f"{repo.id}/{ST}", corrupt_at=16, host="cdn"))
    answer = gate.get(url_of(repo.id, ST))
    assert answer.status == 502, "no body may begin"
    assert content(repo).sha256 not in blobs(gate)
    wait_for(lambda: events(gate, repo), "the event in the ledger")


def test_a_range_of_judged_bytes_is_proven_again(gate, sim, repo):
    assert gate.get(url_of(repo.id, ST), "HEAD").status == 200
    judged = gate.get(url_of(repo.id, ST), headers={"Range": "bytes=0-63"})
    assert (judged.status, judged.body) == (206, content(repo).read(0, 64))
    sim.faults.add(fault(repo, corrupt_at=16))
    answer = gate.get(url_of(repo.id, ST), headers={"Range": "bytes=0-63"})
    assert answer.status == 502
    assert events(gate, repo)


def test_bytes_judged_whole_by_ranges_are_bound_to_the_file(gate, sim):
    """A hub that shows a harmless pickle to range readers and the hostile one, whose digest it names, to the fill."""
    name = f"faults/r{next(_seeds)}"
    evil = builders.torch_zip({"w": (2800, 1024)}, data_pkl=builders.pickle_call("posix", "system"))
    good = builders.torch_zip({"w": (2800, 1024)})
    good += b"\0" * (len(evil) - len(good)) if len(good) < len(evil) else b""
    sim.edit(lambda world: add_repo(world, name, {"pytorch_model.bin": evil}))
    repo = sim.world[name]
    lie = Fault(path=f"{name}/*", host="cdn", corrupt_at=evil.index(b"posix"))
    with sim.faults.during(lie):
        judged = gate.get(url_of(name, "pytorch_model.bin"), "HEAD")
    assert judged.status == 200
    for headers in ({}, {"Range": "bytes=0-99"}, {"Range": f"bytes={len(evil) - 70000}-"}):
        answer = gate.get(url_of(name, "pytorch_model.bin"), headers=headers)
        assert answer.status in {403, 502}, headers
        assert b"posix" not in answer.body
    assert repo.main.files["pytorch_model.bin"].content.sha256 not in blobs(gate)


def test_another_etag_on_the_way_ends_the_transfer(gate, sim, repo):
    cut = fault(repo, skip=1, times=1, truncate_at=2 * MIB)
    sim.faults.add(cut, fault(repo, skip=2, etag="f" * 32))
    client = download(gate.url, url_of(repo.id, ST))
    assert not client.complete
    assert client.received <= 2 * MIB
    assert content(repo).sha256 not in blobs(gate)


@pytest.mark.clients
@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_no_client_installs_corrupt_bytes(client, gate, sim, repo, tmp_path):
    sim.faults.add(fault(repo, corrupt_at=content(repo).size // 2))
    run = run_client(client, gate.url, tmp_path / "home", _downloading(repo))
    assert run.code != 0, run.text
    blobs = [p for p in (tmp_path / "home").rglob("blobs/*") if not p.name.endswith(".incomplete")]
    assert not blobs, run.text


@pytest.mark.clients
@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_every_client_gets_a_file_whole_whose_transfer_was_cut(client, gate, sim, repo, tmp_path):
    sim.faults.add(fault(repo, skip=1, times=2, reset_at=5 * MIB))
    run = run_client(client, gate.url, tmp_path / "home", _downloading(repo))
    assert run.code == 0, run.text
    assert f"SHA {content(repo).sha256}" in run.out


def _downloading(repo):
    return (
        "import hashlib, pathlib\nfrom huggingface_hub import hf_hub_download\n"
        f"p = hf_hub_download({repo.id!r}, {ST!r})\n"
        "print('SHA', hashlib.sha256(pathlib.Path(p).read_bytes()).hexdigest())\n"
    )


# -- a hub that stumbles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", [{"truncate_at": 6 * MIB}, {"reset_at": 6 * MIB}, {"truncate_at": 6 * MIB + 17}])
def test_a_cut_transfer_is_resumed_by_range_under_the_client(effect, gate, sim, repo):
    sim.faults.add(fault(repo, skip=1, times=1, **effect))
    client = download(gate.url, url_of(repo.id, ST))
    assert (client.complete, client.sha256) == (True, content(repo).sha256)
    asked = [r.range for r in sim.requests if r.file == f"{repo.id}/{ST}" and r.host == "cdn" and r.method == "GET"]
    assert asked[:2] == ["bytes=0-65535", ""], asked
    assert len(asked) == 3
    if "truncate_at" in effect:
        # What the network library still held at the cut is lost, at most twice its buffer of 1 MiB; a reset destroys
        # what the kernel held as well.
        resumed = int(asked[2].removeprefix("bytes=").split("-")[0])
        assert 3 * MIB <= resumed <= 6 * MIB + 17, asked


def test_a_hub_that_cuts_again_and_again_is_outlasted(gate, sim, repo):
    sim.faults.add(fault(repo, skip=1, times=5, truncate_at=MIB))
    client = download(gate.url, url_of(repo.id, ST))
    assert (client.complete, client.sha256) == (True, content(repo).sha256)


def test_a_hub_that_ignores_ranges_is_read_whole(gate, sim, repo):
    sim.faults.add(fault(repo, ignore_range=True), fault(repo, skip=1, times=1, truncate_at=3 * MIB))
    client = download(gate.url, url_of(repo.id, ST))
    assert (client.complete, client.sha256) == (True, content(repo).sha256)


def test_a_stall_ends_by_itself_or_by_the_next_try(sim, repo, launch):
    gate = launch(sim, config=QUICK + "[upstream]\nread_timeout_s = 0.5\n")
    stall = fault(repo, skip=1, times=1, stall_at=2 * MIB, stall_gate=Gate())
    sim.faults.add(stall)
    client = download(gate.url, url_of(repo.id, ST))
    assert (client.complete, client.sha256) == (True, content(repo).sha256)


def test_a_slow_first_byte_is_pending_within_the_patience_of_a_client(launch, sim, repo):
    """Where no client is held (hold.longest_s = 0); test_hold has the other way."""
    gate = launch(sim, config="[hold]\nlongest_s = 0\n")
    slow = fault(repo, skip=1, times=1, gate=Gate())
    sim.faults.add(slow)
    first = Download(gate.url, url_of(repo.id, ST), timeout_s=10.0)  # what a client waits
    assert first.status == 429
    assert 0 < int(first.headers["Retry-After"]) < 10
    assert "being fetched" in first.headers["X-Error-Message"]
    first.close()
    slow.gate.open()
    again = download(gate.url, url_of(repo.id, ST))
    assert (again.complete, again.sha256) == (True, content(repo).sha256)


@pytest.mark.parametrize(
    "storm",
    [
        lambda repo: failing(f"{repo.id}/{ST}", times=2),
        lambda repo: failing(f"{repo.id}/{ST}", times=2, status=500, host="cdn"),
        lambda repo: throttled(f"{repo.id}/{ST}", times=1),
    ],
    ids=["503", "500-cdn", "429"],
)
def test_a_short_storm_is_weathered(storm, gate, sim, repo):
    sim.faults.add(storm(repo))
    client = download(gate.url, url_of(repo.id, ST))
    assert (client.complete, client.sha256) == (True, content(repo).sha256)


def test_a_long_storm_is_the_hubs_own_failure(gate, sim, repo):
    sim.faults.add(failing(f"{repo.id}/{ST}"))
    answer = gate.get(url_of(repo.id, ST))
    assert answer.status == 502
    assert answer.headers["X-Error-Message"]
    assert not staged(gate)


def test_a_hub_that_asks_to_wait_long_is_pending(sim, repo, launch):
    gate = launch(sim, config=QUICK)  # of its own: the back-off is shared by every file of the hub
    sim.faults.add(throttled(f"{repo.id}/{ST}", wait_s=120))
    answer = gate.get(url_of(repo.id, ST))
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= 100


@pytest.mark.parametrize(
    "location",
    ["http://elsewhere.example/x", "http://127.0.0.1:9/x", "http://169.254.169.254/latest", "file:///etc/passwd"],
)
def test_a_redirect_to_another_host_is_not_followed(location, gate, sim, repo):
    sim.faults.add(redirected(f"{repo.id}/{ST}", location))
    answer = gate.get(url_of(repo.id, ST))
    assert answer.status == 502
    assert not answer.headers.get("Location")
    assert location.encode() not in answer.body


def test_an_outage_before_the_first_byte_is_said(sim, repo, launch):
    gate = launch(sim, config=QUICK)
    try:
        sim.down()
        answer = gate.get(url_of(repo.id, ST))
        assert answer.status == 502
    finally:
        sim.up()
    assert download(gate.url, url_of(repo.id, ST)).sha256 == content(repo).sha256


def test_an_outage_during_a_fill_cuts_and_the_next_start_is_clean(gate, sim, repo):
    sim.faults.add(fault(repo, skip=1, times=1, stall_at=4 * MIB, stall_gate=Gate()))
    client = Download(gate.url, url_of(repo.id, ST))
    client.read(MIB)
    try:
        sim.down()
        client.read_all()
        assert client.error is not None
        assert client.received <= 4 * MIB
    finally:
        sim.faults.clear()
        sim.up()
    client.close()
    wait_for(lambda: not staged(gate), "the end of the broken fill")
    assert content(repo).sha256 not in blobs(gate)
    again = download(gate.url, url_of(repo.id, ST))
    assert (again.complete, again.sha256) == (True, content(repo).sha256)


# -- parts of our own that fail --------------------------------------------------------------------------------------


def test_hot_blobs_are_served_without_the_hub_also_after_a_restart(sim, repo, launch):
    gate = launch(sim, config=QUICK)
    assert download(gate.url, url_of(repo.id, ST)).complete
    try:
        sim.down()
        assert download(gate.url, url_of(repo.id, ST)).sha256 == content(repo).sha256
        gate.restart()
        assert gate.get(url_of(repo.id, ST), "HEAD").status == 200
        assert download(gate.url, url_of(repo.id, ST)).sha256 == content(repo).sha256
        ranged = gate.get(url_of(repo.id, ST), headers={"Range": "bytes=-100"})
        assert (ranged.status, ranged.body) == (206, content(repo).read(content(repo).size - 100, 100))
    finally:
        sim.up()


@pytest.mark.parametrize("module", ["gateway.policy.worker", "gateway.scanners.worker"])
def test_killed_workers_cost_nobody_a_remembered_file_and_come_back(module, sim, repo, launch):
    gate = launch(sim, config=QUICK)
    assert download(gate.url, url_of(repo.id, ST)).complete
    other = f"faults/r{next(_seeds)}"
    sim.edit(lambda world: add_repo(world, other, {ST: some_tensor(8, next(_seeds))}))
    killed = [p for p in psutil.Process(gate.process.pid).children(recursive=True) if module in p.cmdline()]
    assert killed
    for worker in killed:
        worker.kill()
    psutil.wait_procs(killed, timeout=10)
    assert download(gate.url, url_of(repo.id, ST)).sha256 == content(repo).sha256

    def judged():
        answer = gate.get(url_of(other, ST))
        assert answer.status in {200, 429}, answer.headers
        return answer.status == 200

    wait_for(judged, "new decisions")


@pytest.mark.parametrize("repo", [32], indirect=True)
def test_eviction_leaves_what_is_being_served_alone(sim, repo, launch):
    """A quota of 60 MiB, 32 of them in use: a client that reads slowly gets its file whole while others come and go."""
    gate = launch(sim, config=QUICK + f"[state]\nquota_bytes = {60 * MIB}\n")
    slow = Download(gate.url, url_of(repo.id, ST))
    slow.read(MIB)
    wait_for(lambda: content(repo).sha256 in blobs(gate), "the commit")
    for _ in range(4):
        other = f"faults/r{next(_seeds)}"
        sim.edit(lambda world, other=other: add_repo(world, other, {ST: some_tensor(16, next(_seeds))}))
        assert download(gate.url, url_of(other, ST)).complete
    assert len(blobs(gate)) == 2, "the others made room for each other"
    assert content(repo).sha256 in blobs(gate), "pinned while it is served"
    assert slow.read_all().complete
    assert slow.sha256 == content(repo).sha256
    slow.close()


def test_a_full_disk_is_pending_and_passes(sim, repo, tmp_path):
    """The disk holds less than the file: the client is told to wait, nothing stays behind, other files go on."""
    state = tmp_path / "state"
    gate = GatewayProcess(sim, state, config=QUICK + f"[state]\nreserve_bytes = {shutil.disk_usage(tmp_path).free}\n")
    try:
        answer = gate.get(url_of(repo.id, ST))
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) > 0
        assert "disk" in answer.headers["X-Error-Message"]
        assert not staged(gate)
        assert not blobs(gate)
    finally:
        gate.stop()
    again = GatewayProcess(sim, state, config=QUICK)
    try:
        assert download(again.url, url_of(repo.id, ST)).sha256 == content(repo).sha256
    finally:
        again.stop()
    assert cli("audit", "verify", "--state", str(state)).returncode == 0


def test_a_write_that_fails_under_a_fill_cuts_and_the_gateway_goes_on(sim, repo, launch):
    """The kernel refuses every byte past 6 MiB of a file, as a full disk does, and later takes it again."""
    gate = launch(sim, config=QUICK)
    process = psutil.Process(gate.process.pid)
    process.rlimit(psutil.RLIMIT_FSIZE, (6 * MIB, resource.RLIM_INFINITY))
    client = Download(gate.url, url_of(repo.id, ST))
    client.read_all()
    assert client.status == 429 or not client.complete
    assert client.received <= 6 * MIB
    wait_for(lambda: not staged(gate), "the end of the broken fill")
    assert content(repo).sha256 not in blobs(gate)
    assert gate.get(url_of(repo.id, "README.md")).status == 200, "other files go on"
    process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = download(gate.url, url_of(repo.id, ST))
    assert (again.complete, again.sha256) == (True, content(repo).sha256)


@pytest.mark.parametrize("repo", [32], indirect=True)
def test_an_orderly_end_lets_readers_finish_and_records_those_that_do_not(sim, repo, launch):
    gate = launch(sim, config="[server]\ndrain_s = 4.0\n")
    assert download(gate.url, url_of(repo.id, ST)).complete
    reader, stuck = (Download(gate.url, url_of(repo.id, ST)) for _ in range(2))
    gate.process.send_signal(signal.SIGTERM)
    wait_for(lambda: any("drain" in line or "stopping" in line for line in gate.log) or _refuses(gate), "the drain")
    assert reader.read_all().complete
    assert reader.sha256 == content(repo).sha256
    assert gate.stop() == 0
    assert not stuck.read_all().complete
    notes = {r["request_id"]: r.get("note", "") for r in gate.records() if r["kind"] == "delivery"}
    assert notes[reader.headers["X-Request-Id"]] == ""
    assert notes[stuck.headers["X-Request-Id"]]
    assert gate.verify().returncode == 0


def _refuses(gate):
    try:
        gate.get("/health")
    except OSError:
        return True
    return False


def test_a_large_hostile_file_stays_denied_when_the_hub_is_down(gate, sim):
    name = f"faults/r{next(_seeds)}"
    evil = large_torch(64 * MIB, builders.pickle_call("os", "system"), seed=next(_seeds))
    sim.edit(lambda world: add_repo(world, name, {"pytorch_model.bin": evil}))
    assert gate.get(url_of(name, "pytorch_model.bin")).status == 403
    try:
        sim.down()
        assert gate.get(url_of(name, "pytorch_model.bin")).status == 403
    finally:
        sim.up()


def test_a_zero_length_file(gate, sim):
    name = f"faults/r{next(_seeds)}"
    sim.edit(lambda world: add_repo(world, name, {"empty.txt": "", ST: Sparse(0)}))
    for path in ("empty.txt",):
        answer = gate.get(url_of(name, path))
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
        assert gate.get(url_of(name, path), headers={"Range": "bytes=0-0"}).status == 416
