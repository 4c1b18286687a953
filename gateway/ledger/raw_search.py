"""Finds frames of a segment by a text that they hold, without an index: about a millisecond per MiB, most of it outside
the interpreter's lock. For what no index has taken in yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gateway.ledger.frames import LENGTH_BYTES, MAX_PAYLOAD_BYTES
from gateway.ledger.segments import unreadable

_BLOCK_BYTES = 2**20
_LOOK_BACK_BYTES = 2**14
_FRONT = b'{"seq":'  # every record begins so (encode.py); inside a JSON text the quotes would be escaped


def offsets_of(path: Path, needle: bytes, start: int = 0) -> Iterator[int]:
    """Where the frames begin that hold `needle`, from `start` on, in order; each once.

    Frames are not verified: what is loaded from there must be looked at. Raises LedgerError where the file cannot be
    read. A segment that is being written is read as far as it goes.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        before = -1
        for hit in _hits(fd, needle, start):
            offset = _frame_of(fd, hit, start)
            if offset is not None and offset != before:
                yield offset
                before = offset
    except OSError as error:
        raise unreadable(path, error) from error
    finally:
        os.close(fd)


def _hits(fd: int, needle: bytes, position: int) -> Iterator[int]:
    kept = b""
    while block := os.pread(fd, _BLOCK_BYTES, position):
        if not block.rstrip(b"\0"):
            return  # the unused room at the end of a segment
        block = kept + block
        origin, found = position - len(kept), block.find(needle)
        while found >= 0:
            yield origin + found
            found = block.find(needle, found + len(needle))
        position = origin + len(block)
        kept = block[-(len(needle) - 1) :]


def _frame_of(fd: int, hit: int, floor: int) -> int | None:
    """The frame whose payload holds the byte at `hit`; None where there is none (the remains of a torn write)."""
    width = _LOOK_BACK_BYTES
    while True:
        origin = max(floor, hit - width)
        before = os.pread(fd, hit - origin, origin)
        found = before.rfind(_FRONT)
        while found >= LENGTH_BYTES:
            length = int.from_bytes(before[found - LENGTH_BYTES : found], "big")
            if hit - origin - found < length <= MAX_PAYLOAD_BYTES:
                return origin + found - LENGTH_BYTES
            found = before.rfind(_FRONT, 0, found)
        if origin == floor or width > MAX_PAYLOAD_BYTES:
            return None
        width *= 4
