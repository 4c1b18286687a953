"""The invented answers of a refused repo: info, tree and paths-info under the tombstone's commit.

They list one file of every usual kind, so that a client that filters by pattern still meets the refusal instead of
"nothing to do" (hub-protocol trap 35).
"""

from __future__ import annotations

from typing import Any

from gateway.domain.artifact import Repo
from gateway.hubs.huggingface.listing import json_answer
from gateway.hubs.huggingface.tombstone import Tombstone
from gateway.ports import Rendering

SIZE_BYTES = 16
PATHS = (
    "README.md",
    "config.json",
    "configuration.py",
    "data/train-00000-of-00001.parquet",
    "model.gguf",
    "model.msgpack",
    "model.onnx",
    "model.pt",
    "model.safetensors",
    "model.txt",
    "model_index.json",
    "pytorch_model.bin",
    "tokenizer.json",
    "tokenizer.model",
    "train.csv",
    "weights.h5",
)


def info(tombstone: Tombstone, repo: Repo, commit: str) -> Rendering:
    """An info answer whose `sha` is the invented commit."""
    return json_answer(
        {
            "_id": tombstone.id(repo),
            "id": repo.id,
            "modelId": repo.id,
            "sha": commit,
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": path} for path in PATHS],
        }
    )


def entries(tombstone: Tombstone, repo: Repo, commit: str, paths: tuple[str, ...]) -> Rendering:
    """A tree or paths-info answer of invented files."""
    return json_answer([_entry(tombstone, repo, commit, path) for path in paths])


def _entry(tombstone: Tombstone, repo: Repo, commit: str, path: str) -> dict[str, Any]:
    oid = tombstone.etag(repo, commit, path)
    lfs = {"oid": oid, "size": SIZE_BYTES, "pointerSize": 127}
    return {"type": "file", "oid": oid[:40], "size": SIZE_BYTES, "lfs": lfs, "path": path}
