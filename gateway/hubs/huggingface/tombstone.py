"""The tombstone: an invented commit and invented ETags that beat every client cache (hub-protocol §8.3)."""

from __future__ import annotations

import hmac

from gateway.domain.artifact import Repo
from gateway.hubs.huggingface.listing import json_answer
from gateway.ports import Rendering


class Tombstone:
    """Derives both ids from a secret key, so that nobody can forge or foresee them.

    A repo keeps one commit for ever: a request under it is recognised and judged again.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the tombstone key must have at least 16 bytes")
        self._key = key

    def commit(self, repo: Repo) -> str:
        """40 hex digits; equal to no real commit but by a guess of 160 bits."""
        return self._derive("commit", repo.hub, repo.type.value, repo.id.lower())[:40]

    def etag(self, repo: Repo, path: str) -> str:
        """64 hex digits, like a sha256: a client's blob store holds nothing under it."""
        return self._derive("etag", self.commit(repo), path)

    def is_of(self, repo: Repo, ref: str) -> bool:
        """Is `ref` the invented commit of this repo? Compared in constant time."""
        return hmac.compare_digest(self.commit(repo).encode(), ref.lower().encode("utf-8", "replace"))

    def info(self, repo: Repo) -> Rendering:
        """An info answer under the invented commit. It lists files of every usual kind, so that a client that
        filters by pattern still meets the refusal instead of "nothing to do"."""
        return json_answer(
            {
                "_id": self._derive("id", self.commit(repo))[:24],
                "id": repo.id,
                "modelId": repo.id,
                "sha": self.commit(repo),
                "private": False,
                "gated": False,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": [{"rfilename": path} for path in PATHS],
            }
        )

    def entries(self, repo: Repo, paths: tuple[str, ...]) -> Rendering:
        """A tree or paths-info answer of invented files."""
        return json_answer([self._entry(repo, path) for path in paths])

    def _entry(self, repo: Repo, path: str) -> dict[str, object]:
        oid = self.etag(repo, path)
        return {
            "type": "file",
            "oid": self._derive("oid", oid)[:40],
            "size": SIZE_BYTES,
            "lfs": {"oid": oid, "size": SIZE_BYTES, "pointerSize": 127},
            "path": path,
        }

    def _derive(self, *parts: str) -> str:
        return hmac.digest(self._key, "\x00".join(("tombstone", *parts)).encode(), "sha256").hex()


SIZE_BYTES = 16

# One name of every kind that `allow_patterns` and loaders ask for.
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
