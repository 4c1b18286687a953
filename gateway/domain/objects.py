"""Bytes that are asked for by their digest: the objects of an LFS batch, the layers of a registry's manifest."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.artifact import Artifact
from gateway.domain.outcome import Refusal


@dataclass(frozen=True, slots=True)
class JudgedObject:
    """One object of a batch: the file that it is and that is allowed, or why it is not handed out.

    `sha256` and `size_bytes` are as asked for. Exactly one of `artifact` and `refusal` is set.
    """

    sha256: str
    size_bytes: int
    artifact: Artifact | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a manifest: which bytes, and what they are said to be.

    `name` is a path under which such bytes can be judged where no file of the repo has them, "" where they cannot.
    """

    sha256: str
    size_bytes: int
    media_type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a tag of a registry names: the config and the layers, in the hub's order."""

    media_type: str
    config: Layer
    layers: tuple[Layer, ...]

    @property
    def parts(self) -> tuple[Layer, ...]:
        """Everything that the manifest leads to."""
        return (self.config, *self.layers)
