"""The repos that the refusal matrix asks for, and what the policy data say of them before and after."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.models import CONFIG, TOKENIZER, TOKENIZER_CONFIG, bert, weights
from conformance.onnx import identity
from gateway.simulator import builders
from gateway.simulator.content import Content
from gateway.simulator.repo import Repo
from gateway.simulator.world import World

HUB_TOKEN = "hf_conformanceHubTokenOfTheGateway00"
PUBLIC_TOKEN = "hf_conformancePublicHubTokenOfBob000"
WRONG_TOKEN = "mgw_conformanceNobodyEverMadeThis0000000"

WEIGHTS = ("model.safetensors", "onnx/model.onnx", "unet/diffusion_pytorch_model.safetensors")
PICKLE = "pytorch_model.bin"
TABLE = "data.csv"

# One repo of each kind (a model, and a data set of the same name) for each of these.
REPOS = ("denied", "one-file", "one-of-two", "hidden", "young", "recalled", "gated", "private", "plain", "known")
NAMESPACE = "refuse"


def late_name(slot: int, *, is_bad: bool) -> str:
    """The repo whose weights stand at a gate: one for each client, as it can be pending only once."""
    return f"{NAMESPACE}/late-{'bad-' if is_bad else ''}{slot}"


def build(slots: int) -> World:
    """All repos; `slots` clients can each have a file that is still under way."""
    world = World()
    for name in REPOS:
        _model(world, f"{NAMESPACE}/{name}", _facts(name))
        _table(world, f"{NAMESPACE}/{name}", _facts(name))
    for name in ("one-of-two", "hidden"):
        # Other tensors in the first: a loader that falls back to it would load something else.
        pickle = builders.torch_zip({"other.weight": (2, 2)} if name == "one-of-two" else bert())
        world[f"{NAMESPACE}/{name}"].commit({PICKLE: pickle}, date=_old())
    for slot in range(slots):
        _model(world, late_name(slot, is_bad=False), {})
        bad = late_name(slot, is_bad=True)
        # Each has bytes of its own: reports are kept by digest, so one client's wait would be the last.
        _model(world, bad, {}).commit({"model.safetensors": b"\xff" * 64 + bad.encode()}, date=_old())
    names = [f"{prefix}{NAMESPACE}/{name}" for prefix in ("", "datasets/") for name in ("gated", "private")]
    world.token(HUB_TOKEN, *names, name="gateway")
    return world


def _facts(name: str) -> dict[str, Any]:
    if name == "young":
        return {"created_at": datetime.now(UTC) - timedelta(hours=2)}
    return {"gated": "manual"} if name == "gated" else {"private": True} if name == "private" else {}


def _old() -> datetime:
    return datetime(2025, 6, 1, tzinfo=UTC)


def _model(world: World, name: str, facts: dict[str, Any]) -> Repo:
    repo = world.repo(name, card={"license": "apache-2.0"}, library="transformers", **facts)
    unet = {
        "_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3, "layers_per_block": 1,
        "block_out_channels": [8], "norm_num_groups": 4, "down_block_types": ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"], "attention_head_dim": 4,
    }  # fmt: skip
    index = {
        "_class_name": "DDPMPipeline", "_diffusers_version": "0.42.1", "unet": ["diffusers", "UNet2DModel"],
        "scheduler": ["diffusers", "DDPMScheduler"],
    }  # fmt: skip
    files: dict[str, bytes | str | Content] = {
        "README.md": repo.readme(),
        "config.json": json.dumps(CONFIG),
        "tokenizer.json": json.dumps(TOKENIZER),
        "tokenizer_config.json": json.dumps(TOKENIZER_CONFIG),
        "model.safetensors": _own(name),
        "onnx/model.onnx": identity(name),
        "model_index.json": json.dumps(index),
        "scheduler/scheduler_config.json": json.dumps({"_class_name": "DDPMScheduler", "num_train_timesteps": 10}),
        "unet/config.json": json.dumps(unet),
        "unet/diffusion_pytorch_model.safetensors": builders.safetensors({"conv_in.bias": (8,)}, {"format": "pt", "of": name}),
    }  # fmt: skip
    repo.commit(files, date=_date(name))
    return repo


def _own(name: str) -> bytes:
    """Weights of a BertModel, and one more tensor that makes the file of each repo another one."""
    mark = f"mark.{stamp(name)}"
    return weights({**bert(), mark: (1,)})


def _table(world: World, name: str, facts: dict[str, Any]) -> Repo:
    repo = world.repo(name, type="dataset", card={"license": "cc-by-4.0"}, **facts)
    rows = f"id,text\n1,{name}\n2,world\n" + "3,more\n" * 40
    repo.commit({"README.md": repo.readme(), TABLE: rows}, date=_date(name))
    return repo


def _date(name: str) -> datetime:
    return datetime.now(UTC) - timedelta(hours=1) if name.endswith("/young") else _old()


def overlay_before() -> dict[str, Any]:
    """Everything may be had: what fills the caches of the clients."""
    return {"config": {"rules": {"format/twin": {"mode": "dryrun"}}}, "entitlements": _entitlements()}


def overlay_now(world: World) -> dict[str, Any]:
    """What the matrix is about: a repo, a file, an age, a twin are refused."""
    names = ("denied", "recalled")
    digests = {
        "sha256:" + file.content.sha256: True
        for name in ("one-file", "one-of-two")
        for path, file in world[f"{NAMESPACE}/{name}"].main.files.items()
        if path in WEIGHTS
    }
    table = world[f"datasets/{NAMESPACE}/one-file"].main.files[TABLE]
    digests[f"git-sha1:{table.oid}"] = True
    repos = {f"{prefix}{NAMESPACE}/{name}": True for name in names for prefix in ("", "datasets/")}
    waiver = {
        "rules": {"format/twin": True}, "scope": {"repo": f"{NAMESPACE}/one-of-two"}, "owner": "a@example.org",
        "approver": "b@example.org", "ticket": "C-1", "reason": "the pickle can be had: does a client take it?",
        "expires": "2099-01-01T00:00:00Z",
    }  # fmt: skip
    return {
        "config": {
            "rules": {"age/quarantine": {"mode": "enforce"}},
            "age": {"commit_min_hours": 48, "repo_min_hours": 48},
            "decision": {"serve_last_approved": {"age/quarantine": False}},
            "denylist": {"repos": {"names": repos}, "digests": digests},
        },
        "entitlements": _entitlements(),
        "waivers": {"C-1": waiver},
    }


def _entitlements() -> dict[str, Any]:
    names = [f"{prefix}{NAMESPACE}/{name}" for prefix in ("", "datasets/") for name in ("gated", "private")]
    return {"readers": dict.fromkeys(names, True)}


def stamp(text: str) -> str:
    """A short name for a text, the same in every run."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
