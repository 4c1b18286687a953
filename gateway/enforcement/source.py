"""The bytes a scanner reads: a committed blob, a running fill, or range reads upstream (design §6.1).

Bytes that are not verified yet are bound to the file by `bound`: nothing may be judged on bytes that are not served.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib

from gateway.domain.artifact import Artifact, Span
from gateway.domain.errors import IntegrityError, UpstreamUnavailable
from gateway.domain.evidence import JudgedSpan, ScanReport
from gateway.enforcement.fills import RANGE_IGNORED, Fill, Fills
from gateway.enforcement.staged import equals, opened, read_at
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
        self._fill: Fill | None = None
        self._by_ranges: dict[tuple[int, int], JudgedSpan] = {}
        self._uses_ranges = artifact.entry.is_lfs and self.size_bytes > WHOLE_BELOW_BYTES

    async def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size_bytes - offset))
        if length == 0:
            return b""
        if self._blob is not None:
            return await asyncio.to_thread(read_at, opened(self._blob.path), offset, length)
        if self._fill is None and (data := await self._ranged(offset, length)) is not None:
            return data
        if self._fill is None:
            self._fill = self._fills.start(self._artifact, self._access)
        return await self._fill.read(offset, length)

    async def _ranged(self, offset: int, length: int) -> bytes | None:
        """One range from upstream; None where the file should rather be fetched whole."""
        if not self._uses_ranges or self.range_bytes + length > READ_AHEAD_BYTES:
            return None
        if self._fills.running(self._artifact) is not None:
            return None
        self.range_bytes += length
        try:
            data = await self._upstream.read_range(self._artifact, Span(offset, offset + length), self._access)
        except UpstreamUnavailable as error:
            if error.code != RANGE_IGNORED:
                raise
            self._uses_ranges = False
            return None
        digest = hashlib.sha256(data).hexdigest()
        self._by_ranges[offset, offset + length] = JudgedSpan(offset, offset + length, digest)
        return data

    async def bound(self, report: ScanReport) -> ScanReport:
        """The report, with the spans that bind it to the bytes it speaks of; none where these are verified.

        A report without spans of its own (the file was read whole) waits for the commit of the fill it read from.
        Raises IntegrityError where the verified bytes are others than those that were read, and what ended the fill.
        """
        if self._blob is not None:
            return dataclasses.replace(report, spans=())
        if report.spans or self._fill is None:
            return dataclasses.replace(report, spans=report.spans or tuple(self._by_ranges.values()))
        blob = await self._fill.wait_committed()
        for span in self._by_ranges.values():
            if not await asyncio.to_thread(equals, opened(blob.path), span):
                raise IntegrityError(
                    f"bytes {span.start}-{span.end} of {self._artifact.path!r} differ from those that were judged"
                )
        return report
