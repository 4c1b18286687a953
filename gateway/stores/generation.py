"""The generation: one counter in a small mapped file, raised by every change that may change a decision (design §3.2).

All processes of a machine map the same file: reading is a load from memory, no system call. A file that was lost or
reset starts at a new random value, so that every decision memory built before is empty.
File: 16 bytes, an 8-byte mark and the counter, unsigned 64 bit, little endian.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
from pathlib import Path

from gateway.domain.errors import ConfigError
from gateway.stores.durable import replace_file

_MARK = b"MGWGEN1\0"
_SIZE = 16
_COUNTER = 1  # index of the counter in 8-byte words


def _fresh() -> bytes:
    return _MARK + struct.pack("<Q", secrets.randbits(62) | 1)


class Generation:
    """The counter of one state directory. `value` equal to an earlier one means: nothing changed since."""

    def __init__(self, fd: int, mapped: mmap.mmap) -> None:
        self._fd = fd
        self._mapped = mapped
        self._words = memoryview(mapped).cast("Q")  # native order: the gateway's machines are little endian

    @classmethod
    def open(cls, path: Path) -> Generation:
        """Map the counter, made anew where it is missing or no counter. Raises ConfigError."""
        try:
            try:
                replace_file(path, _fresh(), exclusive=True)
            except FileExistsError:
                pass
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            if os.fstat(fd).st_size != _SIZE or os.pread(fd, len(_MARK), 0) != _MARK:
                os.close(fd)
                replace_file(path, _fresh())
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            return cls(fd, mmap.mmap(fd, _SIZE))
        except OSError as error:
            raise ConfigError(f"cannot use the generation {path}: {error.strerror}", code="config/state") from error

    @property
    def value(self) -> int:
        """The counter now. No system call."""
        return self._words[_COUNTER]

    def bump(self) -> int:
        """Raise the counter by one, safely beside other processes, and return it."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            value = (self._words[_COUNTER] + 1) & 0xFFFFFFFFFFFFFFFF
            self._words[_COUNTER] = value
            return value
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Unmap. `value` must not be read afterwards."""
        self._words.release()
        self._mapped.close()
        os.close(self._fd)
