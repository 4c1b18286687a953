from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import HfApi, constants

from gateway.simulator import SimulatorThread, Sparse, World

WEIGHTS = bytes(range(256)) * 512
BIG_BYTES = 25 * 1024 * 1024


@pytest.fixture
def world() -> World:
    world = World()
    tiny = world.repo("demo/tiny", card={"license": "apache-2.0", "base_model": "demo/base"}, library="transformers")
    tiny.commit({"README.md": tiny.readme("v1")}, message="initial commit")
    tiny.commit(
        {
            ".gitattributes": "*.safetensors filter=lfs\n",
            "README.md": tiny.readme("v2"),
            "config.json": '{"model_type":"bert"}',
            "empty.txt": b"",
            "model.safetensors": WEIGHTS,
            "sub dir/größe [1].txt": "odd name",
            "onnx/deep/model.onnx": b"onnx" * 1000,
        }
    )
    tiny.tag("v1.0")
    world.repo("demo/big").commit({"config.json": "{}", "big.bin": Sparse(BIG_BYTES, ((0, b"HEAD"),), seed=3)})
    world.repo("demo/table", type="dataset").commit({"data.csv": "a,b\n1,2\n"})
    world.repo("demo/app", type="space").commit({"app.py": "print('hello')\n"})
    world.repo("demo/gated", gated="manual").commit({"config.json": "{}", "model.safetensors": WEIGHTS[:100]})
    world.repo("demo/private", private=True).commit({"config.json": "{}"})
    world.repo("demo/disabled", disabled=True).commit({"config.json": "{}"})
    world.repo("gpt2").commit({"config.json": "{}"})
    world.rename("demo/old-name", "demo/tiny")
    world.token("hf_granted", "demo/gated", "demo/private", name="grace")
    world.token("hf_stranger", name="steve")
    return world


@pytest.fixture
def sim(world: World) -> Iterator[SimulatorThread]:
    with SimulatorThread(world) as sim:
        yield sim


class Client:
    """The real huggingface_hub against the simulator, with a cache of its own and plain HTTP downloads."""

    def __init__(self, sim: SimulatorThread, cache: Path) -> None:
        self.endpoint = sim.hub_url
        self.cache = cache
        self.api = HfApi(endpoint=sim.hub_url, token=False)

    def download(self, repo: str, path: str, **options: Any) -> bytes:
        options = {"endpoint": self.endpoint, "cache_dir": self.cache, "token": False, **options}
        return Path(huggingface_hub.hf_hub_download(repo, path, **options)).read_bytes()

    def snapshot(self, repo: str, **options: Any) -> Path:
        options = {"endpoint": self.endpoint, "cache_dir": self.cache, "token": False, **options}
        return Path(huggingface_hub.snapshot_download(repo, **options))


@pytest.fixture
def client(sim: SimulatorThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    # Settings of the client library, as its environment variables would set them before import.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "ENDPOINT", sim.hub_url)
    template = sim.hub_url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    return Client(sim, tmp_path / "cache")
