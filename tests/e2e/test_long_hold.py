"""Three minutes in a hold, with every client at once (design §6.4): on allow each has the file in one call, on deny none
has anything that could be loaded, and reads the reason. One run of `RUNS` for all: three minutes, once."""

import hashlib
import re
import subprocess
import threading
from pathlib import Path

import pytest

from gateway.simulator import builders
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import CLIENTS, GatewayProcess, run_client
from tests.e2e.wire import MIB, QUICK, add_repo, sha256_of, together, url_of, wait_for

pytestmark = [pytest.mark.clients, pytest.mark.timeout(500)]
BIN = "pytorch_model.bin"
HOLD_S = 180.0
LONGEST_S = 400.0
MOST_BYTES = 512
GOOD, EVIL = "long/good", "long/evil"
HUBS = [*CLIENTS, "hub-0.24", "hub-0.30", "hub-1.0"]
SAME_CALL = ["hub-1", "hub-2"]  # huggingface_hub 1.33 and later ask again by themselves
PROGRAMS = {
    "curl": ["curl", "-sS", "--noproxy", "*", "--fail", "-o", "{out}", "{url}"],
    "wget": ["wget", "-q", "--no-proxy", "--tries=1", "-O", "{out}", "{url}"],
    "aria2c": ["aria2c", "-q", "--no-conf", "--max-tries=1", "-d", "{folder}", "-o", "{name}", "{url}"],
}
FETCH = "from huggingface_hub import hf_hub_download; print(hf_hub_download('{repo}', '" + BIN + "'))"


class Run:
    """One client against one repo; `folder` is all that it may have written to."""

    def __init__(self, client, repo, folder):
        self.client, self.repo, self.folder = client, repo, folder
        self.code, self.text, self.path = None, "", None
        folder.mkdir()

    def go(self, url, timeout_s=LONGEST_S):
        if self.client in PROGRAMS:
            out = self.folder / BIN
            words = {"out": out, "url": url + url_of(self.repo, BIN), "folder": self.folder, "name": BIN}
            command = [word.format(**words) for word in PROGRAMS[self.client]]
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
            self.code, self.text, self.path = done.returncode, done.stdout + done.stderr, out
            return self
        done = run_client(self.client, url, self.folder, FETCH.format(repo=self.repo), timeout_s=timeout_s)
        self.code, self.text = done.code, done.text
        if done.code == 0:
            self.path = Path(done.out.strip().splitlines()[-1])
        return self

    def again(self, url):
        """The same client with the same cache, once more."""
        again = object.__new__(Run)
        again.client, again.repo, again.folder = self.client, self.repo, self.folder
        again.path = None
        return again.go(url, 60)

    def left_behind(self):
        """Bytes of the file in what the client wrote, the largest first."""
        files = [p for p in self.folder.rglob("*") if p.is_file() and (p.name == BIN or "blobs" in p.parts)]
        return sorted((p.stat().st_size for p in files), reverse=True)


@pytest.fixture(scope="module")
def sim():
    world = World()
    add_repo(world, GOOD, {BIN: builders.torch_zip({"w": (1024, 1024)})})
    evil = builders.torch_zip({"w": (1023, 1024)}, data_pkl=builders.pickle_call("posix", "system"))
    add_repo(world, EVIL, {BIN: evil})
    with SimulatorThread(world) as sim:
        yield sim


@pytest.fixture(scope="module")
def gate(sim, tmp_path_factory):
    patient = QUICK + "[upstream]\nread_timeout_s = 600.0\n"  # the hub stands still all the while
    process = GatewayProcess(sim, tmp_path_factory.mktemp("long") / "state", config=patient)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def runs(sim, gate, tmp_path_factory):
    """Every client against both repos, held together for three minutes after the last hold began."""
    folder = tmp_path_factory.mktemp("clients")
    faults = [
        sim.faults.add(Fault(path=f"{repo}/*", host="cdn", stall_at=MIB, stall_gate=Gate())) for repo in (GOOD, EVIL)
    ]
    clients = [*HUBS, *PROGRAMS]
    all_runs = [Run(c, repo, folder / f"{c}-{repo[5:]}") for c in clients for repo in (GOOD, EVIL)]

    def work(number):
        if number < len(all_runs):
            return all_runs[number].go(gate.url)
        wait_for(lambda: held(gate) == len(all_runs), "the hold of every client", 120)
        threading.Event().wait(HOLD_S)
        for fault in faults:
            fault.stall_gate.open()
        return None

    together(len(all_runs) + 1, work)
    return {(run.client, run.repo): run for run in all_runs}


def held(gate):
    return sum(r.get("note") == "held" for r in gate.records())


@pytest.mark.parametrize("client", [*HUBS, *PROGRAMS])
def test_on_allow_the_file_is_there_after_three_minutes(client, runs, sim):
    run = runs[client, GOOD]
    assert run.code == 0, run.text
    assert hashlib.sha256(run.path.read_bytes()).hexdigest() == sha256_of(sim.world[GOOD].main.files[BIN].content)


@pytest.mark.parametrize("client", [*HUBS, *PROGRAMS])
def test_on_deny_nothing_is_left_that_could_be_loaded(client, runs):
    run = runs[client, EVIL]
    assert run.code != 0
    assert max(run.left_behind(), default=0) <= MOST_BYTES, run.left_behind()
    assert not [p for p in run.folder.rglob(BIN) if "snapshots" in p.parts]


@pytest.mark.parametrize("client", HUBS)
def test_on_deny_the_reason_is_read(client, runs, gate):
    run = runs[client, EVIL]
    told = re.search(r"BLOCKED by gateway policy.*scan/code-exec", run.text, re.DOTALL)
    if client in SAME_CALL:
        assert told, run.text
    again = run.again(gate.url)
    assert again.code != 0
    assert "scan/code-exec" in again.text
    assert max(again.left_behind(), default=0) <= MOST_BYTES


def test_every_client_was_held_and_got_at_most_so_many_bytes(runs, gate):
    records = gate.records()
    assert sum(r.get("note") == "held" for r in records) >= len(runs)
    cuts = [r for r in records if r.get("note", "").startswith("hold cut")]
    assert {r["note"] for r in cuts} == {"hold cut: deny"}
    assert {r["repo"] for r in cuts} == {EVIL}
    sent = {f"{r['client']} {r['request_id']}": r["bytes_delivered"] for r in cuts}
    assert all(HOLD_S / 5 <= count <= MOST_BYTES for count in sent.values()), sent  # one every four seconds
