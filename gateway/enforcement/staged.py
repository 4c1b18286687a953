"""Blocking reads of staged and committed bytes, for threads: each call closes the descriptor it is given."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from gateway.domain.errors import IntegrityError, StoreError
from gateway.domain.evidence import JudgedSpan

_BLOCK_BYTES = 1024 * 1024


def opened(path: Path) -> int:
    """A descriptor of a blob. Raises StoreError where it is gone (evicted a moment ago: ask again)."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"cannot read a stored blob: {error.strerror}", code="store/io") from error


def read_at(fd: int, offset: int, length: int) -> bytes:
    """Exactly `length` bytes. Raises IntegrityError where the file ends before, StoreError."""
    try:
        data = bytearray()
        while len(data) < length:
            piece = os.pread(fd, length - len(data), offset + len(data))
            if not piece:
                raise IntegrityError(f"a stored blob ends at byte {offset + len(data)}, earlier than it should")
            data += piece
        return bytes(data)
    except OSError as error:
        raise StoreError(f"cannot read a stored blob: {error.strerror}", code="store/io") from error
    finally:
        os.close(fd)


def equals(fd: int, span: JudgedSpan) -> bool:
    """Do the bytes of the span have its sha256? A shorter file has not. Raises StoreError."""
    digest = hashlib.sha256()
    try:
        position = span.start
        while position < span.end:
            data = os.pread(fd, min(_BLOCK_BYTES, span.end - position), position)
            if not data:
                return False
            digest.update(data)
            position += len(data)
    except OSError as error:
        raise StoreError(f"cannot read a stored blob: {error.strerror}", code="store/io") from error
    finally:
        os.close(fd)
    return digest.hexdigest() == span.sha256
