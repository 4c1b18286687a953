"""Finds files for `gateway scan` and runs them through the scanner."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.errors import ConfigError, GatewayError, StoreError
from gateway.domain.evidence import Coverage, ScanReport, Surface
from gateway.scanners.own import OwnScanner

_WORKERS = 2
_SKIPPED_DIRECTORIES = frozenset({".git"})


@dataclass(frozen=True, slots=True)
class Scanned:
    """One file and what the scanner reports of it. `path` is relative to the directory that was named."""

    path: str
    size_bytes: int
    report: ScanReport


class LocalFile:
    """A RangeSource over a file on disk. Raises StoreError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise StoreError(f"Cannot open {path}: {error.strerror}.") from error
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise StoreError(f"{path} is no regular file.")
        self._path = path
        self.size_bytes = status.st_size

    async def read(self, offset: int, length: int) -> bytes:
        """The bytes of one range, read in a thread."""
        return await asyncio.to_thread(self._read, offset, length)

    def _read(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length > 0:
            try:
                part = os.pread(self._descriptor, length, offset)
            except OSError as error:
                raise StoreError(f"Cannot read {self._path}: {error.strerror}.") from error
            if not part:
                break
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        os.close(self._descriptor)


def find_files(root: Path) -> tuple[list[Path], list[str]]:
    """The files under `root` in order, and the directories that were left out. Raises ConfigError."""
    if not root.exists():
        raise ConfigError(f"{root} does not exist; name a file or a directory.", code="scan/no-such-path")
    if not root.is_dir():
        return [root], []
    found: list[Path] = []
    skipped: list[str] = []
    for folder, directories, names in os.walk(root, onerror=_unreadable):
        skipped += [str(Path(folder, d).relative_to(root)) for d in directories if d in _SKIPPED_DIRECTORIES]
        directories[:] = sorted(d for d in directories if d not in _SKIPPED_DIRECTORIES)
        found += [Path(folder, name) for name in sorted(names)]
    if not found:
        raise ConfigError(f"{root} holds no files to scan.", code="scan/no-files")
    return found, skipped


def _unreadable(error: OSError) -> None:
    raise ConfigError(f"Cannot list {error.filename}: {error.strerror}.", code="scan/unreadable") from error


async def scan_all(root: Path, files: list[Path], advance: Callable[[str], None]) -> list[Scanned]:
    """Scan every file, a few at a time; `advance` hears of each that is done. Order is kept."""
    scanner = OwnScanner(workers=_WORKERS)
    await scanner.start()
    gate = asyncio.Semaphore(_WORKERS)

    async def one(path: Path) -> Scanned:
        shown = str(path.relative_to(root)) if path != root else str(path)
        async with gate:
            result = await _scan_one(scanner, path, shown)
        advance(shown)
        return result

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(path)) for path in files]
    finally:
        await scanner.close()
    return [task.result() for task in tasks]


async def _scan_one(scanner: OwnScanner, path: Path, shown: str) -> Scanned:
    """A file that cannot be read is a file that could not be judged."""
    try:
        source = LocalFile(path)
    except StoreError:
        return Scanned(shown, 0, _unread(scanner))
    try:
        report = await scanner.scan(source, shown)
    except GatewayError:
        report = _unread(scanner)
    finally:
        source.close()
    return Scanned(shown, source.size_bytes, report)


def _unread(scanner: OwnScanner) -> ScanReport:
    return ScanReport(scanner.name, scanner.version, "unknown", Coverage(Surface.FAILED, False, "unreadable"))
