"""One file of unverified bytes: appended, hashed on the way, then published whole or not at all. Synchronous."""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import threading
from pathlib import Path

from gateway.domain.artifact import FileEntry
from gateway.domain.errors import IntegrityError, StoreError
from gateway.stores.durable import create_private, fsync_directory, preallocate, write_all

# Hubs name only small files by a git blob id; larger ones need the second hash only in odd cases, and then re-read.
GIT_HASH_BYTES = 64 << 20
PREALLOCATE_BYTES = 1 << 20
WRITEBACK_BYTES = 64 << 20
READ_BYTES = 1 << 20


def store_failure(error: OSError, what: str) -> StoreError:
    """The StoreError that tells a person what an OSError means for the blob store."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreError(
            f"{what}: the disk of the blob store is full; free space or lower the quota", code="store/full"
        )
    return StoreError(f"{what}: {error.strerror or error}", code="store/io")


class StagedFile:
    """Bytes on their way in, at `path`. Methods may run in any thread, one at a time; after the end all are refused.

    `written_bytes` is the contiguous part that a reader of `path` can see.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Create the file and reserve its blocks. Raises StoreError, the disk being full included."""
        self.path = path
        self.size_bytes = size_bytes
        self.written_bytes = 0
        self.has_room = True  # the quota holds `size_bytes` reserved for it
        self._lock = threading.Lock()
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
        self._git_running = size_bytes <= GIT_HASH_BYTES
        self._flushed_bytes = 0
        try:
            self._fd = create_private(path)
        except OSError as error:
            raise store_failure(error, "cannot stage a file") from error
        try:
            if size_bytes >= PREALLOCATE_BYTES:
                preallocate(self._fd, size_bytes)
        except OSError as error:
            self.abandon()
            raise store_failure(error, "cannot stage a file") from error

    def append(self, chunk: bytes) -> None:
        """Write and hash. Raises IntegrityError past the expected size, StoreError."""
        with self._lock:
            self._check_open()
            if self.written_bytes + len(chunk) > self.size_bytes:
                raise IntegrityError(f"more than the expected {self.size_bytes} bytes arrived", code="integrity/size")
            try:
                write_all(self._fd, chunk, self.written_bytes)
            except OSError as error:
                raise store_failure(error, "cannot write a staged file") from error
            self._sha256.update(chunk)
            if self._git_running:
                self._git.update(chunk)
            self.written_bytes += len(chunk)

    @property
    def wants_writeback(self) -> bool:
        """Have enough bytes gathered that the disk should begin now, so that the commit need not wait for all?"""
        return self.written_bytes - self._flushed_bytes >= WRITEBACK_BYTES

    def flush(self) -> None:
        """Send what is written to the disk. Runs beside `append`. Raises StoreError, which is final."""
        with self._lock:
            if self._fd < 0:
                return
            mark, fd = self.written_bytes, os.dup(self._fd)  # own descriptor: the end may come while the disk works
        try:
            os.fdatasync(fd)
        except OSError as error:
            raise store_failure(error, "cannot flush a staged file") from error
        finally:
            os.close(fd)
        self._flushed_bytes = mark

    def seal(self, expected: FileEntry) -> str:
        """Verify the size and the digest, put the bytes on the disk, and return the sha256; nothing is visible yet.

        Raises IntegrityError, StoreError.
        """
        with self._lock:
            self._check_open()
            sha256 = self._verified(expected)
            try:
                os.fchmod(self._fd, 0o400)
                os.fsync(self._fd)
            except OSError as error:
                raise store_failure(error, "cannot commit a blob") from error
        return sha256

    def move(self, place: Path) -> None:
        """Rename the sealed file to `place`, durably: from here on it is a blob. Raises StoreError."""
        with self._lock:
            self._check_open()
            try:
                if not place.parent.is_dir():
                    place.parent.mkdir(mode=0o700, exist_ok=True)
                    fsync_directory(place.parent.parent)
                self.path.replace(place)
                fsync_directory(place.parent)
            except OSError as error:
                raise store_failure(error, "cannot commit a blob") from error
            self._close()

    def _verified(self, expected: FileEntry) -> str:
        if self.written_bytes != expected.size_bytes or self.size_bytes != expected.size_bytes:
            raise IntegrityError(
                f"{expected.size_bytes} bytes were promised and {self.written_bytes} arrived", code="integrity/size"
            )
        sha256 = self._sha256.hexdigest()
        actual = sha256 if expected.is_lfs else self._git_blob_id()
        if not hmac.compare_digest(actual, expected.digest.value):
            algorithm = expected.digest.algorithm
            raise IntegrityError(
                f"the bytes have {algorithm} {actual}, not the promised {expected.digest.value}",
                code="integrity/digest",
            )
        return sha256

    def _git_blob_id(self) -> str:
        """The sha1 of `blob <size>`, a NUL and the bytes (Pro Git §10.2)."""
        if not self._git_running:
            for offset in range(0, self.size_bytes, READ_BYTES):
                self._git.update(os.pread(self._fd, READ_BYTES, offset))
            self._git_running = True
        return self._git.hexdigest()

    def abandon(self) -> None:
        """Remove the file; harmless when already published or abandoned."""
        with self._lock:
            self._close()
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                raise store_failure(error, "cannot discard a staged file") from error

    def _check_open(self) -> None:
        if self._fd < 0:
            raise StoreError("the staged file was already committed or discarded", code="store/staging-ended")

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
