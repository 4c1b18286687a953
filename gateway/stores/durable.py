"""The few file operations whose order decides what survives a crash (POSIX, Linux first)."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
from pathlib import Path

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE, linux/falloc.h
_NOT_SUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def fsync_directory(path: Path) -> None:
    """Make the names inside `path` durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def create_private(path: Path) -> int:
    """Open a new file for reading and writing, 0600, never through a link. Raises OSError, FileExistsError too."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write every byte at `offset`: pwrite may be short near a full disk. Raises OSError."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, offset)
        offset += written
        rest = rest[written:]


def replace_file(path: Path, data: bytes, *, exclusive: bool = False) -> None:
    """Put `data` at `path` so that a crash leaves the old content or the new, never a part. Raises OSError.

    `exclusive`: an existing file wins and FileExistsError is raised.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    fd = create_private(temporary)
    try:
        try:
            write_all(fd, data, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        if exclusive:
            os.link(temporary, path, follow_symlinks=False)
            temporary.unlink()
        else:
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def preallocate(fd: int, size_bytes: int) -> None:
    """Reserve blocks without growing the file: a reader past the written part gets nothing instead of zeros.

    (`os.posix_fallocate` grows it.) Does nothing where the file system cannot. Raises OSError when the disk is full.
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if call is None or size_bytes <= 0:
        return
    result = call(ctypes.c_int(fd), ctypes.c_int(_KEEP_SIZE), ctypes.c_int64(0), ctypes.c_int64(size_bytes))
    if result != 0 and (code := ctypes.get_errno()) not in _NOT_SUPPORTED:
        raise OSError(code, os.strerror(code))
