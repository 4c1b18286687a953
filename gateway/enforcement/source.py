"""The bytes a scanner reads: a committed blob, or range reads upstream that bind to the file (design §6.1).

Never the unverified bytes of a running fill: nothing may be judged on bytes that are not served (P3), and no scan
worker stands idle while a slow hub sends a large file.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib

from gateway.domain.artifact import Artifact, Span
from gateway.domain.errors import GatewayError, UpstreamUnavailable
from gateway.domain.evidence import JudgedSpan, ScanReport
from gateway.enforcement.fill import RANGE_IGNORED
from gateway.enforcement.staged import opened, read_at
from gateway.ports import BlobInfo, Upstream

WHOLE_UP_TO_BYTES = 8 * 1024 * 1024  # fetched whole before it is judged: one request, and no byte comes twice
READ_AHEAD_BYTES = 32 * 1024 * 1024


class WholeFileNeeded(GatewayError):
    """The file cannot be judged by a few ranges: fetch it whole, then scan the blob."""

    code = "scan/whole-file-needed"


class EvidenceSource:
    """Implements `RangeSource`: on the blob where there is one, else by ranges up to the read-ahead budget."""

    def __init__(self, artifact: Artifact, access: str, blob: BlobInfo | None, upstream: Upstream) -> None:
        self.size_bytes = artifact.entry.size_bytes
        self.range_bytes = 0
        self._artifact = artifact
        self._access = access
        self._blob = blob
        self._upstream = upstream
        self._by_ranges: dict[tuple[int, int], JudgedSpan] = {}

    async def read(self, offset: int, length: int) -> bytes:
        """As `RangeSource.read`. Raises WholeFileNeeded too: past the read-ahead, or where the hub ignores ranges."""
        length = max(0, min(length, self.size_bytes - offset))
        if length == 0:
            return b""
        if self._blob is not None:
            return await asyncio.to_thread(read_at, opened(self._blob.path), offset, length)
        if self.range_bytes + length > READ_AHEAD_BYTES:
            raise WholeFileNeeded(f"{self._artifact.path!r} asks for more than the read-ahead")
        self.range_bytes += length
        return await self._range(offset, length)

    async def _range(self, offset: int, length: int) -> bytes:
        try:
            data = await self._upstream.read_range(self._artifact, Span(offset, offset + length), self._access)
        except UpstreamUnavailable as error:
            if error.code != RANGE_IGNORED:
                raise
            raise WholeFileNeeded("the hub serves no ranges of this file") from None
        digest = hashlib.sha256(data).hexdigest()
        self._by_ranges[offset, offset + length] = JudgedSpan(offset, offset + length, digest)
        return data

    def bound(self, report: ScanReport) -> ScanReport:
        """The report with the spans that bind it to the bytes it speaks of; none where these are verified."""
        if self._blob is not None:
            return dataclasses.replace(report, spans=())
        return dataclasses.replace(report, spans=report.spans or tuple(self._by_ranges.values()))
