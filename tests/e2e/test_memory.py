"""P10: the memory of the serving process does not grow with the size of a file, nor with clients that do not read."""

import re
from pathlib import Path

import pytest

from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.wire import MIB, QUICK, Download, add_repo, download, some_tensor, together, url_of, wait_for, weights

ST = "model.safetensors"
GROWTH_BYTES = 64 * MIB
MARGIN_BYTES = 16 * MIB


@pytest.fixture(scope="module")
def sim():
    world = World()
    add_repo(world, "memory/small", {ST: some_tensor(4, 3001)})
    add_repo(world, "memory/large", {ST: weights(1024, 3002)})
    add_repo(world, "memory/stuck", {ST: weights(64, 3003)})
    with SimulatorThread(world) as sim:
        yield sim


def peak_bytes(gateway) -> int:
    """VmHWM of the serving process (proc(5))."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def test_a_gibibyte_costs_no_more_memory_than_four_mebibytes(sim, launch):
    gateway = launch(sim, config=QUICK)
    assert download(gateway.url, url_of("memory/small", ST)).complete
    assert download(gateway.url, url_of("memory/small", ST)).complete
    before = peak_bytes(gateway)
    cold = download(gateway.url, url_of("memory/large", ST))
    assert (cold.complete, cold.sha256) == (True, sim.world["memory/large"].main.files[ST].content.sha256)
    filled = peak_bytes(gateway)
    assert filled - before <= GROWTH_BYTES + MARGIN_BYTES
    hot = download(gateway.url, url_of("memory/large", ST), {"Range": "bytes=1-"})
    assert hot.complete
    assert peak_bytes(gateway) - filled <= MARGIN_BYTES


def test_clients_that_stop_reading_cost_nothing_and_are_cut_off(sim, launch):
    gateway = launch(sim, config="[server]\ndrain_s = 1.0\nstalled_s = 0.5\n")
    assert download(gateway.url, url_of("memory/stuck", ST)).complete
    before = peak_bytes(gateway)
    stuck = together(16, lambda _: Download(gateway.url, url_of("memory/stuck", ST)))
    ids = {client.headers["X-Request-Id"] for client in stuck}
    other = download(gateway.url, url_of("memory/stuck", ST))
    assert other.complete, "other clients do not notice"

    def deliveries():
        found = [r for r in gateway.records() if r["kind"] == "delivery" and r.get("request_id") in ids]
        return found if len(found) == len(stuck) else None

    records = wait_for(deliveries, "the delivery records of the stuck clients", timeout_s=60)
    assert {r["note"] for r in records} == {"the client took nothing for 0.5 s"}
    assert all(r["bytes_delivered"] < stuck[0].length for r in records)
    assert peak_bytes(gateway) - before <= MARGIN_BYTES
    for client in stuck:
        assert not client.read_all().complete
        client.close()
