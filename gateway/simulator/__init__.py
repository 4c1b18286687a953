"""A faithful simulator of the public hub on loopback: for `gateway demo`, tests and benchmarks. Stands alone.

    world = World()
    repo = world.repo("org/model", card={"license": "apache-2.0"}, gated=False)
    repo.commit({"README.md": repo.readme(), "model.safetensors": builders.safetensors({"weight": (2, 2)})})
    with SimulatorThread(world) as sim:  # or: async with Simulator(world) as sim
        gate = Gate()
        sim.faults.add(Fault(path="org/model/model.safetensors", stall_at=4096, stall_gate=gate))
        ...  # a client reads from sim.hub_url
        gate.wait_reached()
        sim.edit(lambda world: world["org/model"].commit({"config.json": "{}"}))
        gate.open()
        assert sim.bytes_sent("*/model.safetensors", host="cdn") > 0

A file is named by `org/name/path` in faults and in the log, on the hub and on the CDN alike.
"""

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
