"""The real upstream against the simulated hub: two hosts on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest

from gateway.domain.artifact import Artifact
from gateway.hubs.huggingface.backoff import SharedBackoff
from gateway.hubs.huggingface.config import UpstreamConfig
from gateway.hubs.huggingface.upstream import HuggingFaceUpstream
from gateway.simulator import Simulator, World
from tests.hubs.huggingface.hub_world import WEIGHTS, FixedClock, Waits, model


@pytest.fixture
def world() -> World:
    world = World()
    tiny = world.repo(
        "demo/tiny",
        card={"license": "apache-2.0", "base_model": "demo/base"},
        library="transformers",
        pipeline="text-generation",
        tags=["license:apache-2.0", "base_model:quantized:demo/base"],
        config={"auto_map": {"AutoModel": "modeling_tiny.Tiny", "AutoTokenizer": ["tok.A", None]}},
        downloads=7,
        likes=3,
    )
    tiny.commit({"README.md": "v1", "config.json": "{}"}, message="initial commit")
    tiny.commit(
        {
            "README.md": "v2",
            "config.json": '{"model_type":"bert"}',
            "empty.txt": b"",
            "model.safetensors": WEIGHTS,
            "sub dir/größe [1].txt": "odd name",
            "onnx/deep/model.onnx": b"onnx" * 1000,
        }
    )
    tiny.tag("v1.0")
    tiny.scan_levels["model.safetensors"] = "unsafe"
    world.repo("demo/gated", gated="manual").commit({"config.json": "{}", "model.safetensors": WEIGHTS[:100]})
    world.repo("demo/private", private=True).commit({"config.json": '{"secret":1}'})
    world.repo("demo/disabled", disabled=True).commit({"config.json": "{}"})
    world.repo("demo/table", type="dataset").commit({"data.csv": "a,b\n1,2\n"})
    world.rename("demo/old-name", "demo/tiny")
    world.token("hf_gateway", "demo/gated", "demo/private", name="gateway")
    return world


@pytest.fixture
async def sim(world: World) -> AsyncIterator[Simulator]:
    async with Simulator(world) as sim:
        yield sim


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def waits() -> Waits:
    return Waits()


Start = Callable[..., Awaitable[HuggingFaceUpstream]]


@pytest.fixture
async def start(sim: Simulator, clock: FixedClock, waits: Waits) -> AsyncIterator[Start]:
    """`await start(token=…, allow_private=…, resolver=…)`: an upstream of the simulator, closed at the end."""
    async with AsyncExitStack() as stack:

        async def begin(resolver=None, **settings) -> HuggingFaceUpstream:
            values = {
                "endpoint": sim.hub_url,
                "redirect_hosts": (urlsplit(sim.cdn_url).netloc,),
                "allow_private": True,
                "read_timeout_s": 2.0,
                **settings,
            }
            upstream = HuggingFaceUpstream(
                UpstreamConfig(**values),
                clock=clock,
                resolver=resolver,
                backoff=SharedBackoff(waits.monotonic, waits.sleep),
                sleep=waits.sleep,
            )
            await upstream.start()
            stack.push_async_callback(upstream.close)
            return upstream

        yield begin


@pytest.fixture
async def upstream(start: Start) -> HuggingFaceUpstream:
    return await start()


@pytest.fixture
async def tiny(upstream: HuggingFaceUpstream):
    """`tiny("model.safetensors")`: the artifact of that path at the head of `main`."""
    resolved = await upstream.resolve(model(), "")
    snapshot = await upstream.snapshot(model(), "", resolved.commit, resolved.access)

    def artifact(path: str) -> Artifact:
        facts = snapshot.revision.file(path)
        assert facts is not None
        return Artifact(snapshot.repo.repo, resolved.commit, facts.entry)

    return artifact
