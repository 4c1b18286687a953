"""The blocking half of the writer: one thread that syncs and changes segments, one that prepares the next segment."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path

from gateway.ledger.files import FileLayer

Job = Callable[[], None]


class DiskThread:
    """Runs jobs one after the other on its own thread; a job reports its own outcome and never raises."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        self._jobs.put(job)

    def stop(self) -> None:
        """Finish what was submitted, then end. Blocks."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


class Reserve:
    """The next segment, made before it is needed: a full disk shows here, not in the middle of a record.

    The file has all its blocks, so the records that go into it later need no free space.
    """

    def __init__(self, path: Path, size_bytes: int, files: FileLayer) -> None:
        self._path = path
        self._size_bytes = size_bytes
        self._files = files
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None
        self._ready = False

    @property
    def problem(self) -> str:
        """Why the last attempt to make the reserve failed, else ""."""
        error = self._error
        return "" if error is None else f"{error.strerror or error}"

    def prepare(self) -> None:
        """Begin to make the file in the background."""
        self._thread = threading.Thread(target=self._make, name="ledger-reserve", daemon=True)
        self._thread.start()

    def take(self, target: Path) -> int:
        """Give the file its name for good and open it; tries once more where making it had failed. Blocks.

        Raises OSError.
        """
        self.wait()
        if not self._ready:
            self._make()
        if self._error is not None:
            raise self._error
        self._ready = False
        self._files.rename(self._path, target)
        self._files.sync_directory(target.parent)
        return self._files.open(target)

    def wait(self) -> None:
        """Block until no attempt is under way."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def discard(self) -> None:
        """Give the room back. Blocks. Raises OSError."""
        self.wait()
        self._ready = False
        self._files.unlink(self._path)

    def _make(self) -> None:
        try:
            self._files.unlink(self._path)  # one that a killed boot left may hold unproven bytes
            self._files.create_zeroed(self._path, self._size_bytes)
        except OSError as error:
            self._error = error
        else:
            self._error = None
            self._ready = True
