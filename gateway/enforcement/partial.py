"""Ranges of a running fill, for formats that are inert when read in part (design §6.3).

What the fill holds is sent as it comes. What lies far ahead of it is read from the hub by range, and owed a comparison
when the fill passes: parquet readers and `HfFileSystem` want a few blocks at once, and a parallel downloader must hear
something now and then until the fill has come to each of its parts. The last 64 KiB wait for the digest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.domain.artifact import Span
from gateway.domain.evidence import JudgedSpan, ScanReport, Severity, Surface
from gateway.enforcement.context import GrantedFile
from gateway.enforcement.fill import Fill
from gateway.enforcement.release import HELD_TAIL_BYTES
from gateway.ports import Upstream

# Reviewed one by one: a reader of any part gets numbers, pixels or cells, never something that is run. Not on the list:
# text of any kind (a script is text), JSON (a configuration names code), archives, pickles, all that is unknown.
INERT_IN_PART = frozenset({"safetensors", "gguf", "parquet", "arrow", "csv", "image", "audio", "video"})
AT_ONCE_BYTES = 8 * 1024 * 1024  # a range up to this size is wanted now; a longer one is a download, which can wait
AT_ONCE_PARTS = 8  # and so are more ranges of one file than this at a time
PIECE_BYTES = 2 * 1024 * 1024
SIGN_BYTES = 64 * 1024  # what a longer one gets every `SOON_S`, so that its client does not give up
SOON_S = 4.0  # what the fill brings within that time is waited for
MOST_READS = 16

Judged = Callable[[GrantedFile, Span, Sequence[JudgedSpan]], Awaitable[bytes]]


def inert_in_part(reports: Sequence[ScanReport]) -> bool:
    """May ranges of this file leave before the whole is verified? Every scanner saw all that can act or mislead, in a
    format of the list, and found nothing grave."""
    return bool(reports) and all(
        report.format in INERT_IN_PART
        and report.coverage.surface is Surface.COMPLETE
        and not any(finding.severity in {Severity.CRITICAL, Severity.HIGH} for finding in report.findings)
        for report in reports
    )


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes up to `end` may be sent from the fill's descriptor."""

    end: int


@dataclass(slots=True)
class OpenPart:
    """One range on its way out. `next` gives piece after piece; `is_verified` once nothing of the file is in doubt."""

    granted: GrantedFile
    span: Span
    fill: Fill
    upstream: Upstream
    judged: Judged
    reads: asyncio.Semaphore
    _first: tuple[int, bytes | Staged] | None = field(default=None)

    @property
    def is_verified(self) -> bool:
        return self.fill.blob is not None

    async def ready(self) -> None:
        """Wait for the first piece, so that trouble up to here still has words. Raises GatewayError."""
        self._first = (self.span.start, await self.next(self.span.start))

    async def next(self, position: int) -> bytes | Staged:
        """What may leave from `position` on: bytes, or how far the staged ones may.

        Waits while there is nothing, and then reads a piece of the hub. Raises UpstreamError, IntegrityError,
        StoreError.
        """
        if self._first is not None and self._first[0] == position:
            first, self._first = self._first[1], None
            return first
        tail = max(0, self.granted.artifact.entry.size_bytes - HELD_TAIL_BYTES)
        while True:
            if (released := self._released()) > position:
                return Staged(min(self.span.end, released))
            if (judged := self._judged_at(position)) is not None:
                wanted = Span(position, min(self.span.end, judged.end))
                return await self.judged(self.granted, wanted, [judged])
            if position >= tail or self._is_judged(position):
                await self.fill.wait_released(position, self.granted.spans)
            elif not await self._comes_soon(position) and (piece := await self._of_hub(position, tail)) is not None:
                return piece

    def _released(self) -> int:
        if self.fill.error is not None:
            raise self.fill.error
        return self.fill.release.may_leave(self.granted.spans)

    def _judged_at(self, position: int) -> JudgedSpan | None:
        return next(
            (s for s in self.granted.spans if s.start <= position < s.end and s.end - s.start <= AT_ONCE_BYTES), None
        )

    def _is_judged(self, position: int) -> bool:
        """Bytes of a judged span leave proven or not at all; one too large to be read again waits for the fill."""
        return any(span.start <= position < span.end for span in self.granted.spans)

    def _is_wanted_now(self) -> bool:
        """A few short ranges are somebody who reads; long ones, or many at once, are a download in parts."""
        return self.span.length <= AT_ONCE_BYTES and self.fill.parts <= AT_ONCE_PARTS

    async def _comes_soon(self, position: int) -> bool:
        """Wait a little for the fill, unless it is known to be far; does it have bytes from `position` on now?"""
        patience_s = SOON_S
        if self._is_wanted_now():
            if (due_s := self.fill.due_in_s(position)) > SOON_S:
                return False
            patience_s = min(SOON_S, due_s + 0.5)
        try:
            async with asyncio.timeout(patience_s):
                await self.fill.wait_released(position, self.granted.spans)
        except TimeoutError:
            return False
        return True

    async def _of_hub(self, position: int, tail: int) -> bytes | None:
        """The next bytes straight from the hub; None where the fill is so near its end that they must wait for it."""
        most = PIECE_BYTES if self._is_wanted_now() else SIGN_BYTES
        ends = (span.start for span in self.granted.spans if span.start > position)
        end = min(self.span.end, tail, position + most, *ends)
        async with self.reads:
            data = await self.upstream.read_range(self.granted.artifact, Span(position, end), self.granted.access)
        return data if await self.fill.release.promise(position, data) else None
