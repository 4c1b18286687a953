"""The contract of ports.Upstream: the real one before the simulated hub, and the fake that stands in for it."""

from __future__ import annotations

import pytest

from gateway.domain.artifact import Repo
from gateway.simulator import Fault, Simulator, World
from tests.contracts.upstream import SECRET, UpstreamContract
from tests.fakes.scripted_hub import ScriptedHub


class SimulatedHub:
    """UpstreamBench over the wire."""

    def __init__(self, sim: Simulator, upstream) -> None:
        self.sim, self.upstream = sim, upstream
        sim.world.token("hf_gateway", SECRET.id)

    def publish(self, repo: Repo, files, *, private: bool = False) -> str:
        held = self.sim.world.repos.get(repo.id) or self.sim.world.repo(repo.id, private=private)
        return held.commit(files)

    def tag(self, repo: Repo, name: str) -> None:
        self.sim.world[repo.id].tag(name)

    def cut_bodies_at(self, sent_bytes: int) -> None:
        self.sim.faults.add(Fault(host="cdn", truncate_at=sent_bytes))

    def go_down(self) -> None:
        self.sim.faults.add(Fault(drop=True))

    def come_up(self) -> None:
        self.sim.faults.clear()


class ScriptedBench:
    """UpstreamBench in memory."""

    def __init__(self) -> None:
        self.upstream = ScriptedHub()
        self.publish, self.tag = self.upstream.publish, self.upstream.tag

    def cut_bodies_at(self, sent_bytes: int) -> None:
        self.upstream.cut_at_bytes = sent_bytes

    def go_down(self) -> None:
        self.upstream.is_up = False

    def come_up(self) -> None:
        self.upstream.is_up = True


class TestHuggingFaceUpstream(UpstreamContract):
    @pytest.fixture
    def world(self) -> World:
        return World()

    @pytest.fixture
    async def bench(self, start, sim: Simulator) -> SimulatedHub:
        return SimulatedHub(sim, await start(token="hf_gateway"))


class TestScriptedHub(UpstreamContract):
    @pytest.fixture
    def bench(self) -> ScriptedBench:
        return ScriptedBench()
