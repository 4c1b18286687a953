"""Opens the bytes of an allowed file: the committed blob, or the running fill that everyone shares (design §6)."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from gateway.domain.artifact import Artifact, Span
from gateway.domain.errors import IntegrityError
from gateway.domain.evidence import JudgedSpan
from gateway.enforcement.context import GrantedFile
from gateway.enforcement.fill import Fill
from gateway.enforcement.fills import Fills
from gateway.enforcement.integrity import Integrity, check_size
from gateway.enforcement.partial import MOST_READS, OpenPart
from gateway.enforcement.staged import equals, opened
from gateway.ports import BlobInfo, BlobStore, Upstream

AGAIN_BYTES = 8 * 1024 * 1024  # judged spans up to this size are read again for a range; beyond, the fill is waited for
_PROVEN_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Bytes ready to be sent: a file descriptor, and the fill that still feeds it (None once it is committed)."""

    fd: int
    fill: Fill | None
    spans: tuple[JudgedSpan, ...] = ()

    async def available(self, offset: int) -> int:
        """How far the bytes may be sent from `offset` on; waits while a fill holds them. Raises its error."""
        if self.fill is None:
            raise AssertionError("a committed blob is wholly available")
        return await self.fill.wait_released(offset, self.spans)


@dataclass(frozen=True, slots=True)
class OpenBytes:
    """A few verified bytes in memory: a judged span, read again while the file is not here yet."""

    data: bytes


class Delivery:
    """`open` hands out bytes only for a `GrantedFile`, which only admission makes."""

    def __init__(self, store: BlobStore, upstream: Upstream, fills: Fills, integrity: Integrity) -> None:
        self._store = store
        self._upstream = upstream
        self._fills = fills
        self._integrity = integrity
        self._reads = asyncio.Semaphore(MOST_READS)
        self._proven: OrderedDict[tuple[str, tuple[JudgedSpan, ...]], None] = OrderedDict()

    @asynccontextmanager
    async def open(self, granted: GrantedFile, span: Span, *, whole: bool) -> AsyncIterator[OpenFile | OpenBytes]:
        """The bytes of `span`. `whole` tells a plain GET, which may stream while the file is filled; so may a range to
        the end of the file, which like it is not complete before the whole is verified.

        Waits for as long as it takes: the caller says when to give up. The blob stays pinned inside the block.
        Raises UpstreamError, IntegrityError, StoreError.
        """
        async with self._store.pin(granted.sha256) as blob:
            check_size(granted.artifact, blob)
            if blob is None and not whole and (judged := _covering(granted.spans, span)):
                yield OpenBytes(await self._judged_bytes(granted, span, judged))
                return
            if blob is None:
                fill = self._fills.start(granted.artifact, granted.access)
                is_bound = await fill.bind(granted.spans)
                if is_bound and (whole or span.end == granted.artifact.entry.size_bytes):
                    await fill.wait_staged()
                    with _closing(fill.descriptor()) as fd:
                        yield OpenFile(fd, fill, granted.spans)
                    return
                blob = await fill.wait_committed()
            await self._prove(granted, blob)
            with _closing(opened(blob.path)) as fd:
                yield OpenFile(fd, None)

    @asynccontextmanager
    async def open_range(self, granted: GrantedFile, span: Span) -> AsyncIterator[OpenFile | OpenBytes | OpenPart]:
        """As `open`, for a range: of a file that is inert in part it comes piece by piece while the file is filled."""
        async with self._store.pin(granted.sha256) as blob:
            if blob is None and granted.inert_in_part and not _covering(granted.spans, span):
                fill = self._fills.start(granted.artifact, granted.access)
                if await fill.bind(granted.spans):
                    fill.parts += 1
                    try:
                        yield OpenPart(granted, span, fill, self._upstream, self._judged_bytes, self._reads)
                    finally:
                        fill.parts -= 1
                    return
        async with self.open(granted, span, whole=False) as opened:
            yield opened

    def progress(self, artifact: Artifact) -> str:
        """How far the fill of a file is, in words; "" where none is under way."""
        fill = self._fills.running(artifact)
        if fill is None or fill.is_over:
            return ""
        return f" ({100 * fill.written // max(1, fill.size_bytes)} % so far)"

    async def _prove(self, granted: GrantedFile, blob: BlobInfo) -> None:
        """What was judged by ranges must be in the blob as well, once per process. Raises IntegrityError."""
        key = (granted.sha256, granted.spans)
        if not granted.spans or key in self._proven:
            return
        for span in granted.spans:
            if not await asyncio.to_thread(equals, opened(blob.path), span):
                await self._refuse(granted, span)
        self._proven[key] = None
        if len(self._proven) > _PROVEN_REMEMBERED:
            self._proven.popitem(last=False)

    async def _judged_bytes(self, granted: GrantedFile, span: Span, judged: Sequence[JudgedSpan]) -> bytes:
        """What was asked, from the running fill where it is proven; else whole judged spans read and proven again."""
        fill = self._fills.running(granted.artifact)
        if fill is not None and not fill.is_over and fill.release.has_proven(judged):
            return await fill.read(span.start, span.length)
        data = bytearray()
        for piece in judged:
            again = await self._upstream.read_range(granted.artifact, Span(piece.start, piece.end), granted.access)
            if await asyncio.to_thread(_sha256, again) != piece.sha256:
                await self._refuse(granted, piece)
            data += again
        start = judged[0].start
        return bytes(data[span.start - start : span.end - start])

    async def _refuse(self, granted: GrantedFile, span: JudgedSpan) -> None:
        """Block the digest, record the event, and raise IntegrityError."""
        cause = f"bytes {span.start}-{span.end} of {granted.artifact.path!r} differ from those that were judged"
        await self._integrity.poison(granted.artifact, cause)
        raise IntegrityError(cause)


def _covering(spans: Sequence[JudgedSpan], wanted: Span) -> list[JudgedSpan]:
    """The adjacent judged spans that hold `wanted` whole; none where there are none, or too large ones."""
    covering: list[JudgedSpan] = []
    position = wanted.start
    for span in sorted(spans, key=lambda s: s.start):
        if span.end <= position or (covering and span.start != covering[-1].end):
            continue
        if not covering and span.start > position:
            return []
        covering.append(span)
        position = span.end
        if position >= wanted.end:
            return covering if position - covering[0].start <= AGAIN_BYTES else []
    return []


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
