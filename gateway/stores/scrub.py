"""Scrub: read every blob again and compare. Disks rot; a blob that did is moved aside, neither served nor deleted."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.errors import StoreError
from gateway.stores.access import load, walk
from gateway.stores.durable import fsync_directory
from gateway.stores.layout import blob_path

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Held:
    """A blob as the folder shows it. `used_at_s` is None where no hint says when it was last used."""

    sha256: str
    size_bytes: int
    committed_at_s: float
    used_at_s: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scrub found of one blob: "ok", "corrupt", "gone" (evicted meanwhile) or "unreadable" (`cause`).

    `moved_to` is set where a corrupt blob was put aside.
    """

    sha256: str
    size_bytes: int
    state: str
    cause: str = ""
    moved_to: Path | None = None


def held(blobs: Path) -> list[Held]:
    """All blobs, by name. Reads only; fit beside a running server. Raises StoreError."""
    try:
        used_at_s = load(blobs)
        found = [Held(sha256, status.st_size, status.st_mtime, used_at_s.get(sha256)) for sha256, status in walk(blobs)]
    except OSError as error:
        raise StoreError(f"cannot list the blobs in {blobs}: {error.strerror}", code="store/io") from error
    return sorted(found, key=lambda blob: blob.sha256)


def scrub(
    blobs: Path, *, quarantine: bool, progress: Callable[[int], object] = lambda _read_bytes: None
) -> Iterator[Verdict]:
    """Verify every blob; yields a verdict each. Blocking. `progress` hears the bytes read since it was last called.

    `quarantine` moves the corrupt ones aside, which is safe beside a running server: it finds them gone and fetches
    them again. Without it nothing is written. Raises StoreError.
    """
    for blob in held(blobs):
        verdict = _verify(blobs, blob, progress)
        if quarantine and verdict.state == "corrupt":
            yield Verdict(blob.sha256, blob.size_bytes, "corrupt", moved_to=move_aside(blobs, blob.sha256))
        else:
            yield verdict


def _verify(blobs: Path, blob: Held, progress: Callable[[int], object]) -> Verdict:
    digest = hashlib.sha256()
    try:
        fd = os.open(blob_path(blobs, blob.sha256), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return Verdict(blob.sha256, blob.size_bytes, "unreadable", "it is no plain file")
            while chunk := file.read(READ_BYTES):
                digest.update(chunk)
                progress(len(chunk))
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # leave the page cache to what is being served
    except FileNotFoundError:
        return Verdict(blob.sha256, blob.size_bytes, "gone")
    except OSError as error:
        return Verdict(blob.sha256, blob.size_bytes, "unreadable", error.strerror or str(error))
    return Verdict(blob.sha256, blob.size_bytes, "ok" if digest.hexdigest() == blob.sha256 else "corrupt")


def move_aside(blobs: Path, sha256: str) -> Path:
    """Take a blob out of the store, durably, and return where it went. Raises StoreError."""
    place = blob_path(blobs, sha256)
    aside = blobs / "quarantine" / f"{sha256}.{secrets.token_hex(4)}"
    try:
        place.rename(aside)
        fsync_directory(place.parent)
        fsync_directory(aside.parent)
    except OSError as error:
        raise StoreError(f"cannot move the corrupt blob {sha256} aside: {error.strerror}", code="store/io") from error
    return aside
