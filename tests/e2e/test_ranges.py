"""Ranges (design §6.3): of committed blobs, of running fills, and never a byte outside the recorded decision."""

import hashlib
import random
import ssl
import urllib.request

import pytest
import trustme

from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import curl
from tests.e2e.wire import MIB, QUICK, Download, add_repo, download, some_tensor, together, url_of, weights

pytestmark = pytest.mark.usefixtures("fresh")

ST = "model.safetensors"
HOT, RUNNING, PARTS, COLD, DENIED, EMPTY = (
    f"ranges/{n}" for n in ("hot", "running", "parts", "cold", "denied", "empty")
)


@pytest.fixture(scope="module")
def sim():
    world = World()
    add_repo(world, HOT, {ST: some_tensor(2, 2001), "small.txt": "0123456789" * 100})
    add_repo(world, RUNNING, {ST: weights(64, 2002)})
    add_repo(world, PARTS, {ST: some_tensor(16, 2003)})
    add_repo(world, COLD, {ST: weights(64, 2004)})
    add_repo(world, EMPTY, {"empty.txt": "", "empty.safetensors": Sparse(0)})
    denied = world.repo(DENIED, card={}, library="transformers")
    denied.commit({"README.md": "no licence\n", ST: some_tensor(2, 2001)})
    with SimulatorThread(world) as sim:
        yield sim


def content(sim, name, path=ST):
    return sim.world[name].main.files[path].content


def ask(gate, name, spec, path=ST, **headers):
    return gate.get(url_of(name, path), headers={"Range": spec, **{k.replace("_", "-"): v for k, v in headers.items()}})


@pytest.fixture(scope="module")
def hot(gate, sim):
    got = download(gate.url, url_of(HOT, ST))
    assert got.complete
    return got.headers["ETag"]


def test_ranges_of_a_committed_blob(gate, sim, hot):
    whole = content(sim, HOT)
    size = whole.size
    for spec, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, size),
        ("bytes=100-199", 100, 200),
        (f"bytes={size - 1}-", size - 1, size),
        (f"bytes=1048570-{size + 999}", 1048570, size),
        ("bytes=-1", size - 1, size),
        (f"bytes=-{size + 5}", 0, size),
        ("bytes=65535-65536", 65535, 65537),
    ):
        answer = ask(gate, HOT, spec)
        assert answer.status == 206, spec
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer.body == whole.read(start, end - start), spec
        assert answer.headers["ETag"] == hot
        assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("spec", ["bytes=99999999-", "bytes=-0", "bytes=99999999-100000000"])
def test_a_range_outside_is_416(gate, sim, hot, spec):
    answer = ask(gate, HOT, spec)
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{content(sim, HOT).size}"
    assert answer.body == b""


@pytest.mark.parametrize(
    "spec", ["bytes=5-2", "bytes=-", "bytes=0-1,5-6", "items=0-1", "bytes=a-b", "bytes=+1-2", "bytes=0x1-2", "bytes"]
)
def test_a_malformed_range_is_ignored(gate, sim, hot, spec):
    answer = ask(gate, HOT, spec)
    assert answer.status == 200
    assert len(answer.body) == content(sim, HOT).size


def test_conditions(gate, sim, hot):
    whole = content(sim, HOT)
    assert ask(gate, HOT, "bytes=0-3", If_Range=hot).status == 206
    for stale in ('"x"', f"W/{hot}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        answer = ask(gate, HOT, "bytes=0-3", If_Range=stale)
        assert (answer.status, len(answer.body)) == (200, whole.size), stale
        assert ask(gate, HOT, "bytes=99999999-", If_Range=stale).status == 200, "the range does not apply"
    for tag in (hot, f"W/{hot}", "*", f'"x", {hot}'):
        answer = gate.get(url_of(HOT, ST), headers={"If-None-Match": tag})
        assert (answer.status, answer.body) == (304, b""), tag
        assert gate.get(url_of(HOT, ST), "HEAD", {"If-None-Match": tag}).status == 304
    assert gate.get(url_of(HOT, ST), headers={"If-None-Match": '"x"'}).status == 200
    assert ask(gate, HOT, "bytes=0-3", If_None_Match=hot).status == 304, "comes before the range"


def test_a_small_file_from_memory_has_ranges_too(gate):
    for _ in range(2):
        assert gate.get(url_of(HOT, "small.txt")).body == b"0123456789" * 100
        assert ask(gate, HOT, "bytes=3-5", "small.txt").body == b"345"
        assert ask(gate, HOT, "bytes=-2", "small.txt").body == b"89"
        assert ask(gate, HOT, "bytes=1000-", "small.txt").status == 416


def test_ranges_of_a_running_fill(gate, sim):
    """Judged bytes at once, from the fill or proven again; of a file that is inert in part the others too."""
    whole = content(sim, RUNNING)
    stall = sim.faults.add(Fault(path=f"{RUNNING}/*", host="cdn", stall_at=8 * MIB, stall_gate=Gate()))
    client = Download(gate.url, url_of(RUNNING, ST))
    client.read(4 * MIB)
    sim.clear()
    for spec, start, end in (("bytes=0-7", 0, 8), ("bytes=8-1023", 8, 1024)):
        answer = ask(gate, RUNNING, spec)
        assert (answer.status, answer.body) == (206, whole.read(start, end - start))
    assert not [r for r in sim.requests if r.host == "cdn"], "no byte is fetched twice"
    here, far = f"bytes={2 * MIB}-{2 * MIB + 9}", f"bytes={40 * MIB}-{40 * MIB + 9}"
    outside = together(3, lambda n: _patiently(gate, ("bytes=-10", here, far)[n]))
    assert outside[0].status == 429, "the tail waits for the digest"
    assert 0 < int(outside[0].headers["Retry-After"]) < 10
    assert "being fetched" in outside[0].headers["X-Error-Message"]
    assert [got.status for got in outside[1:]] == [206, 206], "inert in part: served while it fills"
    assert outside[1].sha256 == hashlib.sha256(whole.read(2 * MIB, 10)).hexdigest()
    assert outside[2].sha256 == hashlib.sha256(whole.read(40 * MIB, 10)).hexdigest()
    waiting = together(2, lambda n: _open(stall) if n else ask(gate, RUNNING, "bytes=-10"))
    assert (waiting[0].status, waiting[0].body) == (206, whole.read(whole.size - 10, 10)), "waits for the commit"
    assert client.read_all().sha256 == whole.sha256
    client.close()


def _patiently(gate, spec):
    """A range asked for as clients do: they give up after 10 s of silence."""
    got = Download(gate.url, url_of(RUNNING, ST), {"Range": spec}, timeout_s=10.0).read_all()
    got.close()
    return got


def _open(fault):
    fault.stall_gate.wait_reached()
    fault.stall_gate.open()


def test_sixteen_parts_cost_one_transfer(gate, sim):
    """As aria2c asks: HEAD, then sixteen ranges at once."""
    whole = content(sim, PARTS)
    size = int(gate.get(url_of(PARTS, ST), "HEAD").headers["Content-Length"])
    part = -(-size // 16)

    def fetch(number):
        start = number * part
        answer = ask(gate, PARTS, f"bytes={start}-{min(size, start + part) - 1}")
        assert answer.status == 206, answer.headers
        return answer.body

    assert b"".join(together(16, fetch)) == whole.read(0, size)
    sent = sum(r.bytes_sent for r in sim.requests if r.file == f"{PARTS}/{ST}")
    assert sent < 1.02 * size, sent / size


def test_judged_ranges_of_a_cold_file_start_no_transfer(gate, sim):
    whole = content(sim, COLD)
    answer = ask(gate, COLD, "bytes=0-1023")
    assert (answer.status, answer.body) == (206, whole.read(0, 1024))
    assert sum(r.bytes_sent for r in sim.requests if r.file == f"{COLD}/{ST}") < MIB


def test_random_ranges_are_the_bytes_of_the_file(gate, sim, hot):
    whole, rng = content(sim, HOT), random.Random(7)
    for _ in range(60):
        start = rng.randrange(whole.size)
        end = rng.randrange(start, min(whole.size, start + 300_000))
        assert ask(gate, HOT, f"bytes={start}-{end}").body == whole.read(start, end - start + 1), (start, end)


def test_a_denied_repo_gives_no_range_of_a_hot_blob(gate, hot):
    for headers in (
        {"Range": "bytes=0-7"},
        {"Range": "bytes=-7"},
        {"Range": "bytes=0-7", "If-Range": hot},
        {"If-None-Match": hot},
    ):
        answer = gate.get(url_of(DENIED, ST), headers=headers)
        assert answer.status == 403
        assert b"license/unknown" in answer.body


def test_empty_files(gate, sim):
    answer = gate.get(url_of(EMPTY, "empty.txt"))
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    head = gate.get(url_of(EMPTY, "empty.txt"), "HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, "0")
    for spec in ("bytes=0-0", "bytes=-1", "bytes=0-"):
        refused = ask(gate, EMPTY, spec, "empty.txt")
        assert (refused.status, refused.headers["Content-Range"]) == (416, "bytes */0")


def test_every_range_stands_under_a_record_of_the_whole_file(sim, launch):
    gate = launch(sim)
    gate.get(url_of(HOT, ST))
    answers = [ask(gate, HOT, spec) for spec in ("bytes=10-19", "bytes=20-29", "bytes=100-109")]
    ids = {answer.headers["X-Request-Id"] for answer in answers}
    before = [r for r in gate.records() if r.get("request_id") in ids]
    assert {r["request_id"] for r in before} == ids
    assert {(r["kind"], r["effect"], r["size_bytes"]) for r in before} == {
        ("decision", "allow", content(sim, HOT).size)
    }
    gate.stop()
    [delivery] = [r for r in gate.records() if r["kind"] == "delivery" and r.get("note") == "ranges within a minute"]
    assert (delivery["extra"]["spans"], delivery["bytes_delivered"], delivery["count"]) == (
        [[10, 30], [100, 110]],
        30,
        3,
    )
    assert delivery["decision_id"] == before[0]["decision_id"]


def test_curl_resumes_a_cut_download(gate, sim, hot, tmp_path):
    target = tmp_path / "part"
    target.write_bytes(content(sim, HOT).read(0, MIB + 11))
    done = curl("-C", "-", "-o", str(target), f"{gate.url}{url_of(HOT, ST)}")
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == content(sim, HOT).read(0, 1 << 30)


def test_over_tls_cold_hot_and_in_parts(sim, launch, tmp_path):
    authority = trustme.CA()
    served = authority.issue_cert("localhost", "127.0.0.1")
    served.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    name = "ranges/tls"
    sim.edit(lambda world: add_repo(world, name, {ST: some_tensor(16, 2005)}))
    pem = str(tmp_path / "server.pem")
    gateway = launch(sim, "--tls-cert", pem, "--tls-key", pem, config=QUICK)
    assert gateway.url.startswith("https://")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({}))
    whole = content(sim, name)
    for _ in ("cold", "hot"):
        with opener.open(gateway.url + url_of(name, ST), timeout=30) as answer:
            assert hashlib.sha256(answer.read()).hexdigest() == whole.sha256
    request = urllib.request.Request(gateway.url + url_of(name, ST), headers={"Range": "bytes=1000000-9000000"})
    with opener.open(request, timeout=30) as answer:
        assert (answer.status, answer.read()) == (206, whole.read(1000000, 8000001))
