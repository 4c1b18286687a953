"""Verified bytes on the local disk: staging → verify → fsync → rename → fsync of the folder. Whole, never compressed.

The event loop never waits for the disk: a file of at most 1 MiB is hashed and written in place (a thread would cost
more than the work, performance.md §4), every other chunk in the store's own threads. Callers hand over 1 MiB pieces.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.clock import Clock
from gateway.domain.artifact import FileEntry
from gateway.domain.errors import ConfigError, StoreError
from gateway.ports import BlobInfo
from gateway.stores import access
from gateway.stores.layout import blob_path
from gateway.stores.quota import Limits, Quota
from gateway.stores.scrub import move_aside
from gateway.stores.staging import StagedFile, store_failure

INLINE_BYTES = 1 << 20
SAVE_ACCESS_EVERY_S = 60.0
T = TypeVar("T")
_log = structlog.get_logger("blobs")


class LocalBlobStore:
    """ports.BlobStore in the folder `blobs` (layout.py), which this process owns under the state directory's lock.

    Raises ConfigError when the folder cannot be used. Reads the names of all blobs once, at start.
    """

    def __init__(self, blobs: Path, limits: Limits, clock: Clock, *, threads: int = 8) -> None:
        self._blobs = blobs
        self._staging = blobs / "staging"
        self._clock = clock
        self._gate = threading.Lock()  # making a blob visible and removing one exclude each other
        self._saved_at_s = clock.now().timestamp()
        self._saved_changes = 0
        try:
            self.quota = _take_stock(blobs, limits)
            for leftover in self._staging.iterdir():  # of a run that was killed
                leftover.unlink()
        except OSError as error:
            raise ConfigError(f"cannot use the blob store {blobs}: {error.strerror}", code="config/state") from error
        self._saved_changes = self.quota.changes
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="blobs")
        # Apart: a slow disk's early writeback must not keep a small file from being staged.
        self._flushers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="blobs-flush")

    async def stat(self, sha256: str) -> BlobInfo | None:
        """ports.BlobStore.stat. One `lstat` on the loop: no disk is read for a name in use.

        A blob whose size or kind changed on disk is moved aside and logged: it is fetched again.
        """
        info = self._look(sha256)
        if info is not None:
            self._touch(sha256)
        return info

    def pin(self, sha256: str) -> AbstractAsyncContextManager[BlobInfo | None]:
        """ports.BlobStore.pin."""
        return self._pinned(sha256)

    @asynccontextmanager
    async def _pinned(self, sha256: str) -> AsyncIterator[BlobInfo | None]:
        self.quota.pin(sha256)  # before the look: what is seen cannot be evicted any more
        try:
            info = self._look(sha256)
            if info is not None:
                self._touch(sha256)
            yield info
        finally:
            self.quota.unpin(sha256)

    async def stage(self, size_bytes: int) -> LocalStaging:
        """ports.BlobStore.stage. Raises StoreError: over the quota (store/quota), disk full (store/full)."""
        started = self.spawn(self._stage, size_bytes)
        try:
            return LocalStaging(self, await asyncio.wrap_future(started))
        except asyncio.CancelledError:
            started.add_done_callback(self._drop)  # the thread may finish it: nobody would discard it
            raise

    def spawn(self, call: Callable[..., T], *arguments: object) -> Future[T]:
        """Start a blocking call in the store's threads. Raises StoreError after `close`."""
        try:
            return self._pool.submit(call, *arguments)
        except RuntimeError as error:
            raise StoreError("the blob store is closed", code="store/closed") from error

    def flush(self, staged: StagedFile) -> Future[None]:
        """Begin to send what is written of `staged` to the disk. Raises StoreError after `close`."""
        try:
            return self._flushers.submit(staged.flush)
        except RuntimeError as error:
            raise StoreError("the blob store is closed", code="store/closed") from error

    async def close(self) -> None:
        """Write the access hint and end the threads. Running fills fail with StoreError."""
        await asyncio.get_running_loop().run_in_executor(None, self._shut_down)

    def _shut_down(self) -> None:
        self._pool.shutdown(wait=True)
        self._flushers.shutdown(wait=True)
        self._save_access()

    def _look(self, sha256: str) -> BlobInfo | None:
        size_bytes = self.quota.size_of(sha256)
        if size_bytes is None:
            return None
        path = blob_path(self._blobs, sha256)
        try:
            status = path.lstat()
        except FileNotFoundError:  # moved aside by a scrub in another process
            self.quota.forget(sha256)
            return None
        except OSError as error:
            raise store_failure(error, "cannot look at a blob") from error
        if not stat.S_ISREG(status.st_mode) or status.st_size != size_bytes:
            aside = move_aside(self._blobs, sha256)
            self.quota.forget(sha256)
            _log.error("blob.changed", sha256=sha256, size_bytes=size_bytes, moved_to=str(aside))
            return None
        return BlobInfo(sha256, size_bytes, path)

    def _touch(self, sha256: str) -> None:
        now_s = self._clock.now().timestamp()
        self.quota.touch(sha256, int(now_s))
        if not 0 <= now_s - self._saved_at_s < SAVE_ACCESS_EVERY_S:
            self._saved_at_s = now_s
            self.spawn(self._save_access)

    def _save_access(self) -> None:
        changes = self.quota.changes
        if changes != self._saved_changes:
            try:
                access.save(self._blobs, self.quota.uses())
                self._saved_changes = changes
            except OSError as error:  # only the order of eviction suffers
                _log.warning("blobs.access-not-saved", cause=error.strerror)

    def _stage(self, size_bytes: int) -> StagedFile:
        with self._gate:
            self.quota.reserve(size_bytes)
            try:
                self._make_room(size_bytes)
                return StagedFile(self._staging / f"{secrets.token_hex(16)}.part", size_bytes)
            except BaseException:
                self.quota.release(size_bytes)
                raise

    def _drop(self, started: Future[StagedFile]) -> None:
        if not started.cancelled() and started.exception() is None:
            self.abandon(started.result())

    def abandon(self, staged: StagedFile) -> None:
        """Blocking: end `staged` and give its room back."""
        try:
            staged.abandon()
        finally:
            with self._gate:
                self._give_back(staged)

    def _give_back(self, staged: StagedFile) -> None:
        if staged.has_room:
            staged.has_room = False
            self.quota.release(staged.size_bytes)

    def _make_room(self, size_bytes: int) -> None:
        """Evict until `size_bytes` fit. What cannot fit is refused first: it must not empty the store."""
        limits = self.quota.limits
        if limits.high_bytes is not None and self.quota.reserved_bytes > limits.high_bytes:
            raise StoreError(f"{size_bytes} bytes do not fit the blob store's quota now", code="store/quota")
        if self.quota.over_high():
            self._check_served()
            while self.quota.over_low() and self._evict_one():
                pass
            if self.quota.over_high():
                raise StoreError("the blob store's quota is full of blobs that are being served", code="store/quota")
        needed_bytes = size_bytes + limits.reserve_bytes
        while (free_bytes := self._free_bytes()) < needed_bytes:
            if free_bytes + self.quota.evictable_bytes() < needed_bytes or not self._evict_one():
                raise StoreError(
                    f"{size_bytes} bytes do not fit the disk of the blob store above its reserve", code="store/full"
                )

    def _check_served(self) -> None:
        high_bytes, served_bytes = self.quota.limits.high_bytes, self.quota.stored_bytes - self.quota.evictable_bytes()
        if high_bytes is not None and served_bytes + self.quota.reserved_bytes > high_bytes:
            raise StoreError("the blob store's quota is full of blobs that are being served", code="store/quota")

    def _free_bytes(self) -> int:
        try:
            status = os.statvfs(self._blobs)
        except OSError as error:
            raise store_failure(error, "cannot ask for the free space of the blob store") from error
        return status.f_bavail * status.f_frsize

    def _evict_one(self) -> bool:
        victim = self.quota.take_victim()
        if victim is None:
            return False
        try:
            blob_path(self._blobs, victim).unlink(missing_ok=True)
        except OSError as error:
            raise store_failure(error, "cannot evict a blob") from error
        return True

    def publish(self, staged: StagedFile, expected: FileEntry) -> BlobInfo:
        """Blocking: seal `staged` and make it visible. An equal blob is replaced by the fresh bytes."""
        sha256 = staged.seal(expected)
        place = blob_path(self._blobs, sha256)
        with self._gate:
            staged.move(place)
            self._give_back(staged)
            self.quota.add(sha256, expected.size_bytes, int(self._clock.now().timestamp()))
        return BlobInfo(sha256, expected.size_bytes, place)


class LocalStaging:
    """ports.Staging on a StagedFile. `size_bytes` counts what was written: all of it can be read at `path` now."""

    def __init__(self, store: LocalBlobStore, staged: StagedFile) -> None:
        self._store = store
        self._staged = staged
        self._flush: Future[None] | None = None
        self._ended = False
        self.path = staged.path

    @property
    def size_bytes(self) -> int:
        return self._staged.written_bytes

    async def write(self, chunk: bytes) -> None:
        """ports.Staging.write. Also raises IntegrityError when more arrives than was staged for."""
        if self._staged.size_bytes <= INLINE_BYTES:
            self._staged.append(chunk)
            return
        await asyncio.wrap_future(self._store.spawn(self._staged.append, chunk))
        if self._staged.wants_writeback and (self._flush is None or self._flush.done()):
            self._check_flush()
            self._flush = self._store.flush(self._staged)

    async def commit(self, expected: FileEntry) -> BlobInfo:
        """ports.Staging.commit. The staging has ended afterwards, also when this raises."""
        try:
            if self._flush is not None:
                await asyncio.wrap_future(self._flush)
            return await asyncio.wrap_future(self._store.spawn(self._store.publish, self._staged, expected))
        finally:
            await self.discard()

    async def discard(self) -> None:
        """ports.Staging.discard. Harmless after `commit`."""
        if not self._ended:
            self._ended = True
            ending = self._store.spawn(self._store.abandon, self._staged)
            await asyncio.shield(asyncio.wrap_future(ending))

    def _check_flush(self) -> None:
        if self._flush is not None:
            self._flush.result()


def _take_stock(blobs: Path, limits: Limits) -> Quota:
    """Read which blobs there are, in the order of their last use. Raises OSError."""
    quota = Quota(limits)
    used_at_s = access.load(blobs)
    found: list[tuple[int, str, int]] = []
    for sha256, status in access.walk(blobs):
        found.append((used_at_s.get(sha256, int(status.st_mtime)), sha256, status.st_size))
    for used, sha256, size_bytes in sorted(found):
        quota.add(sha256, size_bytes, used)
    return quota
