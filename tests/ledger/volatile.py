"""A file layer that loses its power: what was not synced is gone, or there in part, as a disk would have it."""

from __future__ import annotations

import errno
import os
import random
import threading
from pathlib import Path

from gateway.ledger.files import PosixFiles

PAGE_BYTES = 512  # smaller than a real page, so that frames are cut more often


class VolatileFiles(PosixFiles):
    """Works on real files and remembers beside them what is on stable storage.

    `stable` holds file contents by inode; `names` the entries of each directory as of its last sync.
    The `fail_…` numbers (errno) make each later call of that kind fail; a cleared `hold` makes fdatasync wait.
    """

    def __init__(self, boot: str = "boot-1") -> None:
        self.boot = boot
        self.stable: dict[int, bytes] = {}
        self.names: dict[Path, dict[str, int]] = {}
        self.fail_pwrite = 0
        self.fail_fdatasync = 0
        self.fail_create = 0
        self.pwrites = 0
        self.fdatasyncs = 0
        self.hold = threading.Event()
        self.hold.set()
        self._guard = threading.Lock()

    def adopt(self, directory: Path) -> None:
        """Take what lies in the directory as being on stable storage: this machine has just started."""
        for path in directory.iterdir():
            self.stable[path.stat().st_ino] = path.read_bytes()
        self.sync_directory(directory)

    def create_zeroed(self, path: Path, size_bytes: int) -> None:
        if self.fail_create:
            raise OSError(self.fail_create, os.strerror(self.fail_create))
        super().create_zeroed(path, size_bytes)
        with self._guard:
            self.stable[path.stat().st_ino] = bytes(size_bytes)

    def pwrite(self, fd: int, data: bytes, offset: int) -> None:
        self.pwrites += 1
        if self.fail_pwrite:
            raise OSError(self.fail_pwrite, os.strerror(self.fail_pwrite))
        super().pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        self.hold.wait()
        self.fdatasyncs += 1
        if self.fail_fdatasync:
            raise OSError(self.fail_fdatasync, os.strerror(self.fail_fdatasync))
        status = os.fstat(fd)
        content = os.pread(fd, status.st_size, 0)
        with self._guard:
            self.stable[status.st_ino] = content

    def machine_boot(self) -> str:
        return self.boot

    def truncate(self, fd: int, size_bytes: int) -> None:
        super().truncate(fd, size_bytes)
        self.fdatasync(fd)

    def sync_directory(self, directory: Path) -> None:
        found = {entry.name: entry.stat().st_ino for entry in directory.iterdir() if entry.is_file()}
        with self._guard:
            self.names[directory] = found

    def cut_power(self, source: Path, target: Path, dice: random.Random) -> None:
        """Write into `target` what a disk may hold if the machine stopped now: all that was synced, and any of the rest."""
        with self._guard:
            names, stable = dict(self.names.get(source, {})), dict(self.stable)
        current = {p.stat().st_ino: p.read_bytes() for p in source.iterdir() if p.is_file()}
        target.mkdir(mode=0o700)
        for name, inode in names.items():
            if name.endswith((".segment", ".reserve")):
                old = stable.get(inode, b"")
                new = current.get(inode, old).ljust(len(old), b"\0")
                pages = [
                    (new if dice.random() < 0.5 else old)[at : at + PAGE_BYTES] for at in range(0, len(old), PAGE_BYTES)
                ]
                (target / name).write_bytes(b"".join(pages))


EIO = errno.EIO
ENOSPC = errno.ENOSPC
