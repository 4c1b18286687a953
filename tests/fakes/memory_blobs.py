"""A blob store without quota for tests of other parts: real files in a folder given, verified at commit, nothing kept."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from gateway.domain.artifact import FileEntry
from gateway.domain.errors import IntegrityError, StoreError
from gateway.ports import BlobInfo


class MemoryBlobs:
    """ports.BlobStore. Passes tests/contracts/blob_store.py. `pins` and `used` show what happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs: dict[str, BlobInfo] = {}
        self.pins: Counter[str] = Counter()
        self.used: list[str] = []
        self.staged = 0
        folder.mkdir(parents=True, exist_ok=True)

    async def stat(self, sha256: str) -> BlobInfo | None:
        self.used.append(sha256)
        return self.blobs.get(sha256)

    def pin(self, sha256: str) -> AbstractAsyncContextManager[BlobInfo | None]:
        return self._pinned(sha256)

    @asynccontextmanager
    async def _pinned(self, sha256: str) -> AsyncIterator[BlobInfo | None]:
        self.pins[sha256] += 1
        try:
            yield self.blobs.get(sha256)
        finally:
            self.pins[sha256] -= 1

    async def stage(self, size_bytes: int) -> MemoryStaging:
        self.staged += 1
        return MemoryStaging(self, self.folder / f"staging-{self.staged}", size_bytes)

    async def close(self) -> None:
        return


class MemoryStaging:
    """ports.Staging."""

    def __init__(self, store: MemoryBlobs, path: Path, expected_bytes: int) -> None:
        self.path = path
        self.size_bytes = 0
        self._store = store
        self._expected_bytes = expected_bytes
        self._ended = False
        path.touch()

    async def write(self, chunk: bytes) -> None:
        self._check()
        if self.size_bytes + len(chunk) > self._expected_bytes:
            raise IntegrityError("more bytes than expected", code="integrity/size")
        with self.path.open("ab") as file:
            file.write(chunk)
        self.size_bytes += len(chunk)

    async def commit(self, expected: FileEntry) -> BlobInfo:
        self._check()
        try:
            data = self.path.read_bytes()
            sha256 = hashlib.sha256(data).hexdigest()
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            if len(data) != expected.size_bytes:
                raise IntegrityError("wrong size", code="integrity/size")
            if expected.digest.value != (sha256 if expected.is_lfs else git):
                raise IntegrityError("wrong digest", code="integrity/digest")
            place = self.path.rename(self._store.folder / sha256)
        finally:
            await self.discard()
        info = BlobInfo(sha256, len(data), place)
        self._store.blobs[sha256] = info
        return info

    async def discard(self) -> None:
        self._ended = True
        self.path.unlink(missing_ok=True)

    def _check(self) -> None:
        if self._ended:
            raise StoreError("this staging has ended", code="store/staging-ended")
