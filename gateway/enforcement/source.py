"""The bytes a scanner reads: a committed blob, a running fill, or range reads upstream (design §6.1)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from gateway.domain.artifact import Artifact, Span
from gateway.domain.errors import IntegrityError, StoreError
from gateway.enforcement.fills import Fills
from gateway.ports import BlobInfo, Upstream

WHOLE_BELOW_BYTES = 1024 * 1024
READ_AHEAD_BYTES = 32 * 1024 * 1024


class EvidenceSource:
    """Implements `RangeSource`. Starts with range reads for large files whose digest the hub names by sha256;
    a scan that asks for more than the read-ahead budget turns into a fill, so that no byte is fetched twice for long.
    """

    def __init__(
        self, artifact: Artifact, access: str, blob: BlobInfo | None, fills: Fills, upstream: Upstream
    ) -> None:
        self.size_bytes = artifact.entry.size_bytes
        self.range_bytes = 0
        self._artifact = artifact
        self._access = access
        self._blob = blob
        self._fills = fills
        self._upstream = upstream
        self._uses_ranges = artifact.entry.is_lfs and self.size_bytes > WHOLE_BELOW_BYTES

    async def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size_bytes - offset))
        if length == 0:
            return b""
        if self._blob is not None:
            return await _pread(self._blob.path, offset, length)
        fill = self._fills.running(self._artifact)
        if fill is None and self._uses_ranges and self.range_bytes + length <= READ_AHEAD_BYTES:
            self.range_bytes += length
            return await self._upstream.read_range(self._artifact, Span(offset, offset + length), self._access)
        fill = fill or self._fills.start(self._artifact, self._access)
        await fill.wait_written(offset + length)
        path = fill.blob.path if fill.blob is not None else fill.path
        if path is None:
            raise StoreError(f"the staged bytes of {self._artifact.path!r} are gone")
        return await _pread(path, offset, length)


async def _pread(path: Path, offset: int, length: int) -> bytes:
    return await asyncio.to_thread(_pread_blocking, path, offset, length)


def _pread_blocking(path: Path, offset: int, length: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"cannot read a stored blob: {error.strerror}") from error
    try:
        data = bytearray()
        while len(data) < length:
            piece = os.pread(fd, length - len(data), offset + len(data))
            if not piece:
                raise IntegrityError(f"a stored blob ends at byte {offset + len(data)}, earlier than it should")
            data += piece
        return bytes(data)
    finally:
        os.close(fd)
