"""A simulated hub and the real gateway before it, per module; clients run in environments of their own."""

import pytest

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess
from tests.e2e.wire import QUICK


@pytest.fixture(scope="module")
def hub():
    with SimulatorThread(sample_world()) as sim:
        yield sim


@pytest.fixture(scope="module")
def gateway(hub, tmp_path_factory):
    process = GatewayProcess(hub, tmp_path_factory.mktemp("gateway") / "state")
    yield process
    process.stop()


@pytest.fixture
def launch(tmp_path):
    """Start gateways of a test's own; all are ended with the test."""
    started = []

    def start(hub, *flags, **options):
        process = GatewayProcess(hub, options.pop("state", tmp_path / "state"), *flags, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="module")
def gate(sim, tmp_path_factory):
    """A gateway that gives up quickly, before the module's own hub `sim`."""
    process = GatewayProcess(sim, tmp_path_factory.mktemp("gate") / "state", config=QUICK)
    yield process
    process.stop()


@pytest.fixture
def fresh(sim):
    """Each test begins with an empty log of the hub, and leaves it without faults."""
    sim.clear()
    yield
    sim.faults.clear()
