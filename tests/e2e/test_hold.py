"""A client is held while its file is judged (design §6.4): a byte every few seconds, then the rest, or a cut.

Every client here waits at once, in one run of `RUNS`: a hold begins only after the 8 s in which the answer has words.
"""

import http.client
import io
import json
import tarfile
import threading
import time

import psutil
import pytest
import trustme

from gateway.simulator import builders
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import GatewayProcess, cli, run_client
from tests.e2e.wire import MIB, QUICK, Download, add_repo, download, together, url_of, wait_for

BIN = "pytorch_model.bin"
EVIL = builders.pickle_call("posix", "system")
MOST_BYTES = 512


def checkpoint(rows, pickled=None):
    """A torch checkpoint of about 4 MiB, which is fetched whole before it is judged; `rows` makes its bytes its own."""
    return builders.torch_zip({"w": (rows, 1024)}, data_pkl=pickled)


def tar_named_zip():
    """A tar whose first member's name begins like a zip."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("PK\x03\x04")
        member.size = 2 * MIB
        archive.addfile(member, io.BytesIO(b"\1" * member.size))
    return buffer.getvalue()


SCRIPT = b"#!/bin/sh\necho pwned\n" + b"# padding\n" * 200_000
# Files whose first bytes are of use, or act: they are never trickled, whatever their name says.
NEVER = {
    "run.sh": SCRIPT,
    "script.bin": SCRIPT,
    "words.txt": b"a word\n" * 300_000,
    "tokenizer.json": json.dumps({"vocab": ["w"] * 400_000}).encode(),
    "big.yaml": b"- item\n" * 300_000,
    "main.rs": b"fn main() {}\n" * 200_000,
    "weights.tar": tar_named_zip(),
    "tar.bin": tar_named_zip(),
    "plain.pkl": EVIL + b"\0" * 2 * MIB,
    "plain.bin": EVIL + b"\0" * 2 * MIB,
    "zip.json": checkpoint(1001),
    "lying.gguf": b"GGUF" + EVIL + b"\0" * 2 * MIB,
}


@pytest.fixture(scope="module")
def sim():
    world = World()
    add_repo(world, "hold/good", {BIN: checkpoint(1024)})
    add_repo(world, "hold/evil", {BIN: checkpoint(1023, EVIL)})
    add_repo(world, "hold/broken", {BIN: checkpoint(1022)})
    add_repo(world, "hold/never", {}).commit(NEVER, lfs=True)
    add_repo(world, "hold/killed", {BIN: checkpoint(1021)})
    add_repo(world, "hold/many", {BIN: checkpoint(1020)})
    with SimulatorThread(world) as sim:
        yield sim


@pytest.fixture(scope="module")
def gate(sim, tmp_path_factory):
    process = GatewayProcess(sim, tmp_path_factory.mktemp("hold") / "state", config=QUICK)
    yield process
    process.stop()


def content(sim, name, path=BIN):
    found = sim.world[name].main.files[path].content
    return found.read(0, found.size)


def stalled(sim, name, at=MIB):
    return sim.faults.add(Fault(path=f"{name}/*", host="cdn", stall_at=at, stall_gate=Gate()))


class Held:
    """A client that reads what comes: the bytes with their times, and how it ended."""

    def __init__(self, base, path, headers=None):
        self.times, self.body, self.error, self.began = [], bytearray(), None, threading.Event()
        self.started = time.monotonic()
        self.client = Download(base, path, headers)
        self.status, self.headers = self.client.status, self.client.headers
        try:
            while piece := self.client.response.read1(MIB):
                self.times.append(time.monotonic() - self.started)
                self.body += piece
                self.began.set()
        except (ConnectionError, http.client.HTTPException) as error:
            self.error = error
        self.complete = self.error is None and len(self.body) == self.client.length
        self.client.close()


@pytest.fixture(scope="module")
def runs(sim, gate):
    """Everything that waits, in one go; the hub lets the files through once all are held."""
    good, evil = stalled(sim, "hold/good"), stalled(sim, "hold/evil")
    broken = sim.faults.add(Fault(path="hold/broken/*", host="cdn", stall_at=MIB, stall_gate=Gate(), reset_at=2 * MIB))
    never = stalled(sim, "hold/never", at=600)
    asked = {
        "good": lambda: Held(gate.url, url_of("hold/good", BIN)),
        "second": lambda: Held(gate.url, url_of("hold/good", BIN)),
        "range": lambda: Held(gate.url, url_of("hold/good", BIN), {"Range": "bytes=0-99"}),
        "resumed": lambda: Held(gate.url, url_of("hold/evil", BIN), {"Range": "bytes=600-"}),
        "conditional": lambda: Held(gate.url, url_of("hold/good", BIN), {"If-None-Match": '"x"'}),
        "head": lambda: gate.get(url_of("hold/good", BIN), "HEAD"),
        "evil": lambda: Held(gate.url, url_of("hold/evil", BIN)),
        "broken": lambda: Held(gate.url, url_of("hold/broken", BIN)),
        **{path: lambda path=path: Held(gate.url, url_of("hold/never", path)) for path in NEVER},
    }  # fmt: skip
    names = [*asked, "hub"]

    def run(number):
        if names[number] != "hub":
            return asked[names[number]]()
        held = {"hold/good": 2, "hold/evil": 1, "hold/broken": 1}
        wait_for(lambda: counted(gate) == held, "the records of every hold")
        sim.faults.add(Fault(path="hold/broken/*", method="GET", status=503, body=b""))  # no resume either
        for fault in (good, evil, broken, never):
            fault.stall_gate.open()
        return None

    results = dict(zip(names, together(len(names), run), strict=True))
    sim.faults.clear()
    return results


def counted(gate):
    held = [r["repo"] for r in gate.records() if r.get("note") == "held"]
    return {name: held.count(name) for name in held}


@pytest.mark.parametrize("client", ["good", "second"])
def test_on_allow_the_rest_follows_on_the_same_answer(client, runs, sim):
    held = runs[client]
    assert held.complete
    assert bytes(held.body) == content(sim, "hold/good")
    assert held.times[0] < 10, "clients give up after 10 s of silence"


def test_the_record_of_the_hold_stands_before_its_first_byte_and_says_what_leaves(runs, gate):
    request_id = runs["good"].headers["X-Request-Id"]
    of_hold = sorted((r for r in gate.records() if r.get("request_id") == request_id), key=lambda r: r["seq"])
    held = next(r for r in of_hold if r.get("note") == "held")
    assert held["effect"] == "pending"
    assert {r["effect"] for r in of_hold[: of_hold.index(held)]} <= {"pending"}, "no allow before the hold"
    assert held["span"][0] == 0
    assert held["span"][1] <= MOST_BYTES
    assert held["digest"].startswith("sha256:")
    assert [reason["rule"] for reason in held["reasons"]] == ["fill/held"]
    assert of_hold[-1]["kind"] == "delivery"
    assert of_hold[-1]["bytes_delivered"] == len(runs["good"].body)


def test_on_deny_the_file_is_cut_and_the_next_attempt_reads_the_reason(runs, gate, sim):
    held = runs["evil"]
    assert held.status == 200
    assert not held.complete
    assert 0 < len(held.body) < MOST_BYTES
    assert content(sim, "hold/evil").startswith(bytes(held.body))
    for headers in ({}, {"Range": f"bytes={len(held.body)}-"}, {"Range": "bytes=512-"}, {"Range": "bytes=0-9"}):
        answer = gate.get(url_of("hold/evil", BIN), headers=headers)
        assert answer.status == 403
        assert "scan/code-exec" in answer.headers["X-Error-Message"]
    ends = [
        r for r in gate.records() if r.get("request_id") == held.headers["X-Request-Id"] and r["kind"] == "delivery"
    ]
    assert [(r["effect"], r["note"], r["bytes_delivered"]) for r in ends] == [
        ("pending", "hold cut: deny", len(held.body))
    ]


def test_a_transfer_that_fails_cuts_too_and_the_next_attempt_says_why(runs, gate, sim):
    held = runs["broken"]
    assert not held.complete
    assert len(held.body) < MOST_BYTES
    ends = [r for r in gate.records() if r.get("request_id") == held.headers["X-Request-Id"]]
    assert any(r.get("note", "").startswith("hold cut: upstream/") for r in ends)
    with sim.faults.during(Fault(path="hold/broken/*", method="GET", status=503, body=b"")):
        again = gate.get(url_of("hold/broken", BIN))
    assert again.status in {429, 502}
    assert again.headers["X-Error-Message"]


@pytest.mark.parametrize("client", ["range", "resumed", "conditional"])
def test_what_is_no_plain_get_of_the_whole_is_asked_to_come_back(client, runs):
    assert runs[client].status == 429
    assert "Retry-After" in runs[client].headers


def test_head_is_as_it_was(runs, sim):
    assert runs["head"].status == 200
    assert int(runs["head"].headers["Content-Length"]) == len(content(sim, "hold/good"))


@pytest.mark.clients
def test_a_cut_over_tls_is_asked_again_by_newer_clients_as_well(sim, launch, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    pem, ca = tmp_path / "server.pem", tmp_path / "ca.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(pem)
    authority.cert_pem.write_to_path(ca)
    sim.edit(lambda world: add_repo(world, "hold/tls", {BIN: checkpoint(1017, EVIL)}))
    gate = launch(sim, "--tls-cert", str(pem), "--tls-key", str(pem), config=QUICK)
    fault = stalled(sim, "hold/tls")
    script = f"from huggingface_hub import hf_hub_download; hf_hub_download('hold/tls', '{BIN}')"

    def work(number):
        if number == 0:
            return run_client("hub-2", gate.url, tmp_path / "home", script, SSL_CERT_FILE=str(ca))
        wait_for(lambda: counted(gate), "the hold")
        return fault.stall_gate.open()

    run = together(2, work)[0]
    assert run.code != 0
    assert "scan/code-exec" in run.err.rsplit("Traceback (most recent call last)", 1)[-1], run.err


@pytest.mark.parametrize("path", NEVER)
def test_text_code_tar_and_pickles_are_never_trickled(path, runs):
    assert runs[path].status == 429, (path, runs[path].status)
    assert b"echo pwned" not in runs[path].body


def test_only_so_many_are_held_and_none_where_it_is_switched_off(sim, launch):
    few = launch(sim, config=QUICK + "[hold]\nclients = 8\n")  # of which one asker has two
    off = launch(sim, state=few.state.parent / "off", config=QUICK + "[hold]\nlongest_s = 0\n")
    fault = stalled(sim, "hold/many")

    def ask(number):
        if number == 4:
            wait_for(lambda: sum(counted(few).values()) == 2, "two holds")
            return None
        try:
            return Held((few if number < 3 else off).url, url_of("hold/many", BIN))
        finally:
            if number == 3:
                wait_for(lambda: sum(counted(few).values()) == 2, "two holds")
                fault.stall_gate.open()

    got = together(5, ask)[:4]
    assert sorted(held.status for held in got[:3]) == [200, 200, 429]
    assert got[3].status == 429
    assert {held.complete for held in got[:3] if held.status == 200} == {True}


def test_a_kill_in_a_hold_leaves_the_records_right_and_nothing_else(sim, launch):
    gate = launch(sim, config=QUICK)
    fault = stalled(sim, "hold/killed")
    held = Download(gate.url, url_of("hold/killed", BIN))
    first = held.read(1)
    gate.kill()
    held.close()
    fault.stall_gate.open()
    assert cli("audit", "verify", "--state", str(gate.state)).returncode == 0
    of_hold = [r for r in gate.records() if r.get("path") == BIN]
    assert [r["effect"] for r in of_hold if r.get("note") == "held"] == ["pending"]
    assert not [r for r in of_hold if r["effect"] == "allow"]
    assert content(sim, "hold/killed").startswith(first)
    assert not list((gate.state / "blobs/sha256").rglob("*.*"))
    gate.start()
    assert not list((gate.state / "blobs/staging").iterdir())
    assert download(gate.url, url_of("hold/killed", BIN)).complete


def test_a_stop_ends_a_hold(sim, launch):
    sim.edit(lambda world: add_repo(world, "hold/stopped", {BIN: checkpoint(1019)}))
    gate = launch(sim, config="[server]\ndrain_s = 60.0\n")
    fault = stalled(sim, "hold/stopped")
    held = Download(gate.url, url_of("hold/stopped", BIN))
    held.read(1)
    assert gate.stop() == 0
    assert not held.read_all().complete
    fault.stall_gate.open()
    ends = [r["note"] for r in gate.records() if r["kind"] == "delivery"]
    assert ends == ["hold cut: the gateway stops"]


def test_two_hundred_held_clients_cost_little_memory(sim, launch):
    sim.edit(lambda world: add_repo(world, "hold/crowd", {BIN: checkpoint(1018)}))
    gate = launch(sim, config=QUICK + "[hold]\nclients = 1000\n")  # all of them are one asker here
    server = psutil.Process(gate.process.pid)
    fault = stalled(sim, "hold/crowd")
    first = Download(gate.url, url_of("hold/crowd", BIN))
    first.read(1)
    before = server.memory_info().rss
    clients = together(200, lambda _: Download(gate.url, url_of("hold/crowd", BIN)))
    assert {client.status for client in clients} == {200}
    assert server.memory_info().rss - before < 24 * MIB
    fault.stall_gate.open()
    assert {client.read_all().complete for client in (first, *clients)} == {True}
    for client in (first, *clients):
        client.close()
