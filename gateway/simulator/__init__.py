"""A faithful simulator of the public hub on loopback: for `gateway demo`, tests and benchmarks. Stands alone."""

from gateway.simulator.content import Bytes, Content, Sparse
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.repo import Repo
from gateway.simulator.server import Simulator
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.traffic import SeenRequest
from gateway.simulator.world import World

__all__ = [
    "Bytes",
    "Content",
    "Fault",
    "Gate",
    "Repo",
    "SeenRequest",
    "Simulator",
    "SimulatorThread",
    "Sparse",
    "World",
]
