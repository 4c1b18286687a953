"""P8: kill -9 of everything at random moments of fills and ledger writes, then a start on the same state."""

import hashlib
import http.client
import os
import random
import threading
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from gateway.ledger.verify import verify
from gateway.simulator import builders
from gateway.simulator.faults import Fault
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import GatewayProcess, cli
from tests.e2e.wire import MIB, QUICK, add_repo, download, some_tensor, url_of, wait_for

ROUNDS = int(os.environ.get("GATEWAY_SOAK_ROUNDS", "20"))
SEED = int(os.environ.get("GATEWAY_SOAK_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
LARGE_PER_ROUND, SMALL, CLIENTS = 3, 12, 6
UNLIMITED = QUICK + "[limits]\nsubject_rate = 0\naddress_rate = 0\n"
ST = "model.safetensors"


def large(number, index):
    return f"kill/large-{number}-{index}"


@pytest.fixture(scope="module")
def sim():
    world = World()
    for index in range(SMALL):
        files = {ST: builders.safetensors({"w": (8, 8), f"n{index}": (index + 1,)}), "config.json": f'{{"n": {index}}}'}
        add_repo(world, f"kill/small-{index}", files)
    with SimulatorThread(world) as sim:
        # Slow enough that a kill meets transfers under way.
        sim.faults.add(Fault(host="cdn", bandwidth_bytes_s=8.0 * MIB))
        yield sim


class Load:
    """Clients that ask until the server dies. `served` is what they hold in full: request id and what it was."""

    def __init__(self, sim, url, number):
        self._sim, self._parts, self._number = sim, urlsplit(url), number
        self._stop = threading.Event()
        self.served: dict[str, str] = {}
        self.wrong: list[str] = []
        self.busy = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _client(self, client):
        rng = random.Random(f"{SEED}:{self._number}:{client}")
        connection = None
        while not self._stop.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self._parts.hostname, self._parts.port, timeout=20)
                self._ask(connection, rng)
            except (OSError, http.client.HTTPException):
                if connection is not None:
                    connection.close()
                connection = None
                self._stop.wait(0.01)

    def _ask(self, connection, rng):
        is_large = rng.random() < 0.3
        name = large(self._number, rng.randrange(LARGE_PER_ROUND)) if is_large else f"kill/small-{rng.randrange(SMALL)}"
        path = ST if is_large or rng.random() < 0.7 else "config.json"
        headers = {"Range": "bytes=0-99"} if rng.random() < 0.3 else {}
        method = "HEAD" if rng.random() < 0.3 else "GET"
        connection.request(method, url_of(name, path), headers=headers)
        answer = connection.getresponse()
        body = answer.read()  # raises IncompleteRead where it was cut
        self.busy.set()
        if answer.status not in {200, 206}:
            return
        expected = self._sim.world[name].main.files[path].content
        if method == "GET" and hashlib.sha256(body).hexdigest() != (
            hashlib.sha256(expected.read(0, 100)).hexdigest() if answer.status == 206 else expected.sha256
        ):
            self.wrong.append(f"{name}/{path} {headers}")
        self.served[answer.headers["X-Request-Id"]] = f"{method} {name}/{path}"


def new_blobs(state: Path, known: set[str]) -> dict[str, Path]:
    return {
        p.parent.name + p.name: p
        for p in (state / "blobs/sha256").rglob("*")
        if p.is_file() and p.parent.name + p.name not in known
    }


def all_gone(processes: list[psutil.Process]) -> bool:
    """Has every one ended? A zombie has: it only waits for somebody to look."""
    for process in processes:
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            continue
    return True


@pytest.mark.soak
@pytest.mark.timeout(60 + 20 * ROUNDS)
def test_a_kill_at_any_moment_costs_neither_bytes_nor_records(sim, tmp_path):
    state, rng = tmp_path / "state", random.Random(SEED)
    served: dict[str, str] = {}
    whole: set[str] = set()
    cut = 0
    for number in range(ROUNDS):
        sim.edit(lambda world, n=number: [
            add_repo(world, large(n, i), {ST: some_tensor((4, 9, 2)[i], 5000 + 10 * n + i)}) for i in range(LARGE_PER_ROUND)
        ])  # fmt: skip
        gateway = GatewayProcess(sim, state, config=UNLIMITED)
        try:
            assert not list((state / "blobs/staging").iterdir()), "leftovers of the last round"
            workers = psutil.Process(gateway.process.pid).children(recursive=True)
            load = Load(sim, gateway.url, number)
            assert load.busy.wait(30), f"round {number}: nothing is served (seed {SEED})"
            threading.Event().wait(rng.uniform(0.0, 0.9))
        finally:
            gateway.kill()
        load.end()
        served |= load.served
        assert not load.wrong, f"seed {SEED}"
        cut += len(list((state / "blobs/staging").iterdir()))
        for sha256, path in new_blobs(state, whole).items():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256, (
                f"a half blob in round {number}, seed {SEED}"
            )
            whole.add(sha256)
        problems = [problem for chain in verify(state / "ledger") for problem in chain.problems]
        assert not problems, f"round {number}, seed {SEED}"
        wait_for(partial(all_gone, workers), "the end of the orphaned workers")
    _check_all(sim, state, served)
    assert cut, "no kill met a transfer: the rounds prove nothing"


def _check_all(sim, state, served):
    """The next start serves, the chains verify, and every byte that a client holds is on record."""
    done = cli("audit", "verify", "--state", str(state))
    assert done.returncode == 0, done.stdout + done.stderr
    gateway = GatewayProcess(sim, state, config=UNLIMITED)
    try:
        name = large(ROUNDS - 1, 0)
        assert download(gateway.url, url_of(name, ST)).sha256 == sim.world[name].main.files[ST].content.sha256
        recorded = {r.get("request_id") for r in gateway.records("--limit", "1000000")}
    finally:
        assert gateway.stop() == 0
    assert len(served) > ROUNDS
    lost = {what for request_id, what in served.items() if request_id not in recorded}
    assert not lost, f"served without a record (seed {SEED}): {sorted(lost)[:10]}"
    done = cli("cache", "verify", "--state", str(state))
    assert done.returncode == 0, done.stdout + done.stderr
