"""The frame: how one entry lies in a segment, and how each entry binds all entries before it.

A frame is `length` (4 bytes, big-endian, of the payload), the payload (JSON), and `link` (32 bytes):
sha256(link of the frame before + payload). A length of 0 is unused room: segments are zero-filled.
The first frame of a segment is its header, so the chain runs through headers, segments and restarts alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"MGLEDGE1"
LENGTH_BYTES = 4
LINK_BYTES = 32
OVERHEAD_BYTES = LENGTH_BYTES + LINK_BYTES
GENESIS = bytes(LINK_BYTES)
MAX_PAYLOAD_BYTES = 16 * 2**20


def link(previous: bytes, payload: bytes) -> bytes:
    """The 32-byte link of a payload that follows the frame whose link is `previous`."""
    return hashlib.sha256(previous + payload).digest()


@dataclass(frozen=True, slots=True)
class Frame:
    """One verified frame: `offset` is where its length field begins, `end` where the next frame begins."""

    offset: int
    payload: bytes
    link: bytes

    @property
    def end(self) -> int:
        return self.offset + OVERHEAD_BYTES + len(self.payload)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame as it lies on disk, not verified yet."""

    payload: bytes
    link: bytes


def read_candidate(stream: BinaryIO) -> Candidate | None:
    """Read the frame at the stream's position; None where the room is unused, cut short, or no frame can be."""
    prefix = stream.read(LENGTH_BYTES)
    length = int.from_bytes(prefix, "big")
    if len(prefix) < LENGTH_BYTES or not 0 < length <= MAX_PAYLOAD_BYTES:
        return None
    body = stream.read(length + LINK_BYTES)
    if len(body) < length + LINK_BYTES:
        return None
    return Candidate(body[:length], body[length:])
