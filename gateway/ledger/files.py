"""The few file operations that the ledger needs, as a layer, so that tests can cut the power below it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

_ZEROS = bytes(2**20)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


class FileLayer(Protocol):
    """Every method raises OSError as the system call below it does."""

    def create_zeroed(self, path: Path, size_bytes: int) -> None:
        """Make a new file of zeros with all its blocks, on stable storage. Removes what it began if it fails."""
        ...

    def open(self, path: Path) -> int: ...

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        """Write all of `data`, or raise."""
        ...

    def fdatasync(self, fd: int) -> None: ...

    def truncate(self, fd: int, size_bytes: int) -> None: ...

    def close(self, fd: int) -> None: ...

    def rename(self, old: Path, new: Path) -> None: ...

    def unlink(self, path: Path) -> None:
        """Remove the file if it is there."""
        ...

    def sync_directory(self, directory: Path) -> None: ...

    def machine_boot(self) -> str:
        """The kernel's id of this boot, "" where it has none: tells a killed process from a machine that went down."""
        ...


class PosixFiles:
    """The machine's own files."""

    def create_zeroed(self, path: Path, size_bytes: int) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            # Real zeros, not fallocate: an unwritten extent would turn each later fdatasync into a metadata write.
            done = 0
            while done < size_bytes:
                done += os.pwrite(fd, _ZEROS[: size_bytes - done], done)
            os.fsync(fd)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        done = os.pwrite(fd, data, offset)
        while done < len(data):
            done += os.pwrite(fd, data[done:], offset + done)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def truncate(self, fd: int, size_bytes: int) -> None:
        os.ftruncate(fd, size_bytes)
        os.fsync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_directory(self, directory: Path) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def machine_boot(self) -> str:
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            return ""
