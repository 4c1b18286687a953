"""One writer per chain: two would fork it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gateway.domain.errors import LedgerError
from gateway.ledger.files import FILE_MODE


class ChainLock:
    """An exclusive lock that dies with its process."""

    def __init__(self, directory: Path, instance: str, worker: int) -> None:
        self._path = directory / f".{instance}-w{worker}.lock"
        self._chain = f"{instance}/w{worker}"
        self._fd = -1

    def acquire(self) -> None:
        """Raises LedgerError where another process holds it, OSError where the file cannot be made."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise LedgerError(
                f"Another process writes the ledger in {self._path.parent} as {self._chain}; stop it first, or give "
                "this one another state directory.",
                code="ledger/locked",
            ) from None
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
