"""Keeps the loop from waiting for the disk: sendfile blocks while it reads pages that are not in the page cache."""

from __future__ import annotations

import asyncio
import os

_STEP_BYTES = 2 * 1024 * 1024  # each look is a system call; what was read or dropped together lies together
_BLOCK_BYTES = 1024 * 1024
_PROBE = [bytearray(1)]


def is_cached(fd: int, offset: int, length: int) -> bool:
    """Can these bytes be sent without waiting for the disk? Yes also where the file system cannot tell."""
    last = offset + length - 1
    try:
        for at in (*range(offset, last, _STEP_BYTES), last):
            os.preadv(fd, _PROBE, at, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without RWF_NOWAIT
    return True


async def warm(fd: int, offset: int, length: int) -> None:
    """Read the bytes into the page cache, in a thread. What goes wrong there is seen when they are sent."""
    await asyncio.to_thread(_read, os.dup(fd), offset, length)


def _read(fd: int, offset: int, length: int) -> None:
    try:
        end = offset + length
        while offset < end and (data := os.pread(fd, min(_BLOCK_BYTES, end - offset), offset)):
            offset += len(data)
    except OSError:
        pass  # sendfile meets the same error and reports it
    finally:
        os.close(fd)
