"""The bytes of a file: held in memory, or computed on the fly so that a test of a 4 GiB file needs no memory."""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from functools import cached_property, lru_cache
from typing import Protocol

PIECE_BYTES = 1 << 20

# A prime just under 1 MiB: no two blocks of a power-of-two size are alike, so swapped or repeated blocks show.
_PERIOD = 1_048_573


class Content(Protocol):
    """Random access to the bytes of one file."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """The bytes [offset, offset + length), cut at the end of the file."""
        ...

    @property
    def sha256(self) -> str: ...


class Bytes:
    """A file that is simply in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class Sparse:
    """A file of `size` bytes made of a few real pieces (`patches`: offset and bytes) over deterministic filler.

    The filler at an offset depends on the offset and `seed` only. Patches must not overlap.
    """

    def __init__(self, size: int, patches: tuple[tuple[int, bytes], ...] = (), seed: int = 0) -> None:
        self.size = size
        self.seed = seed
        self.patches = tuple(sorted((offset, data) for offset, data in patches if data))
        self._starts = [offset for offset, _ in self.patches]

    def read(self, offset: int, length: int) -> bytes:
        end = min(self.size, offset + length)
        if offset >= end:
            return b""
        index = max(0, bisect_right(self._starts, offset) - 1)
        touching = [p for p in self.patches[index:] if p[0] < end and p[0] + len(p[1]) > offset]
        if not touching:
            return filler(self.seed, offset, end - offset)
        out = bytearray(filler(self.seed, offset, end - offset))
        for start, data in touching:
            low, high = max(start, offset), min(start + len(data), end)
            out[low - offset : high - offset] = data[low - start : high - start]
        return bytes(out)

    @cached_property
    def sha256(self) -> str:
        return _sparse_sha256(self.size, self.patches, self.seed)


def filler(seed: int, offset: int, length: int) -> bytes:
    """Deterministic noise at [offset, offset + length)."""
    block = _block(seed)
    start = offset % _PERIOD
    if start + length <= len(block):
        return block[start : start + length]
    out = bytearray()
    while len(out) < length:
        start = (offset + len(out)) % _PERIOD
        out += block[start : start + length - len(out)]
    return bytes(out)


@lru_cache(maxsize=8)
def _block(seed: int) -> bytes:
    noise = random.Random(seed).randbytes(_PERIOD)  # noqa: S311 - reproducible filler, not a secret
    return noise * 3


@lru_cache(maxsize=64)
def _sparse_sha256(size: int, patches: tuple[tuple[int, bytes], ...], seed: int) -> str:
    content = Sparse(size, patches, seed)
    digest = hashlib.sha256()
    for offset in range(0, size, PIECE_BYTES):
        digest.update(content.read(offset, PIECE_BYTES))
    return digest.hexdigest()


def git_blob_id(data: bytes) -> str:
    """The git object id of a blob: sha1 over `blob <size>`, a NUL and the bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def lfs_pointer(content: Content) -> bytes:
    """The text that git keeps in place of a file in large file storage (git-lfs specification, v1)."""
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (
        content.sha256.encode(),
        content.size,
    )


def xet_hash(sha256: str) -> str:
    """A stand-in for the Xet hash: 64 hex digits that name the same bytes and never equal the sha256."""
    return hashlib.sha256(b"xet file " + sha256.encode()).hexdigest()


def as_content(data: bytes | str | Content) -> Content:
    """Text becomes UTF-8 bytes, bytes become `Bytes`, a content stays what it is."""
    if isinstance(data, str):
        data = data.encode()
    return Bytes(data) if isinstance(data, bytes) else data
