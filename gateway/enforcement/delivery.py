"""Opens the bytes of an allowed file: the committed blob, or the running fill that everyone shares (design §6)."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.domain.artifact import Span
from gateway.domain.errors import IntegrityError, ScanError, StoreError
from gateway.domain.evidence import JudgedSpan
from gateway.enforcement.context import GrantedFile
from gateway.enforcement.fills import Fill, Fills
from gateway.enforcement.integrity import Integrity
from gateway.ports import BlobStore, Upstream

COMMIT_WAIT_S = 8.0


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Bytes ready to be sent: a file descriptor, and the fill that still feeds it (None once it is committed)."""

    fd: int
    fill: Fill | None

    async def available(self, offset: int) -> int:
        """How far the bytes may be sent from `offset` on; waits while a fill holds them. Raises its error."""
        if self.fill is None:
            raise AssertionError("a committed blob is wholly available")
        return await self.fill.wait_released(offset)


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

    @asynccontextmanager
    async def open(self, granted: GrantedFile, span: Span, *, whole: bool) -> AsyncIterator[OpenFile | OpenBytes]:
        """The bytes of `span`. `whole` tells a plain GET, which may stream while the file is filled.

        Raises UpstreamError, IntegrityError, StoreError, ScanError (a range of a file that is not here yet: ask again).
        """
        async with self._store.pin(granted.sha256) as blob:
            if blob is not None:
                with _opened(os.open(blob.path, os.O_RDONLY)) as fd:
                    yield OpenFile(fd, None)
                return
        if not whole and (judged := _covering(granted.spans, span)) is not None:
            yield OpenBytes(await self._judged_bytes(granted, span, judged))
            return
        fill = self._fills.start(granted.artifact, granted.access)
        await fill.bind(granted.spans)
        if not whole:
            await self._wait_committed(granted, fill)
        with _opened(await _descriptor(fill)) as fd:
            yield OpenFile(fd, fill)

    async def _wait_committed(self, granted: GrantedFile, fill: Fill) -> None:
        try:
            async with asyncio.timeout(COMMIT_WAIT_S):
                await fill.wait_committed()
        except TimeoutError:
            done = 100 * fill.written // max(1, fill.size_bytes)
            raise ScanError(
                f"{granted.artifact.path!r} is being fetched ({done} %); a range of it is served once it is verified",
                code="fill/under-way",
            ) from None

    async def _judged_bytes(self, granted: GrantedFile, span: Span, judged: Sequence[JudgedSpan]) -> bytes:
        """Read whole judged spans again, prove them equal, and cut out what was asked."""
        start = judged[0].start
        data = bytearray()
        for piece in judged:
            again = await self._upstream.read_range(granted.artifact, Span(piece.start, piece.end), granted.access)
            if (await asyncio.to_thread(_sha256, again)) != piece.sha256:
                await self._integrity.poison(granted.artifact, f"bytes {piece.start}-{piece.end} changed")
                raise IntegrityError(f"bytes of {granted.artifact.path!r} differ from those that were judged")
            data += again
        return bytes(data[span.start - start : span.end - start])


async def _descriptor(fill: Fill) -> int:
    """A descriptor of the staged bytes; it stays good when the blob is committed and renamed."""
    if fill.size_bytes > 0:
        await fill.wait_written(1)
    else:
        await fill.wait_committed()
    path = fill.blob.path if fill.blob is not None else fill.path
    if path is None:
        raise StoreError("the staged bytes are gone")
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        # Renamed between the two lines above: the commit has a path of its own.
        return os.open((await fill.wait_committed()).path, os.O_RDONLY)


def _covering(spans: Sequence[JudgedSpan], wanted: Span) -> list[JudgedSpan] | None:
    """The adjacent judged spans that hold `wanted` whole, or None."""
    covering: list[JudgedSpan] = []
    position = wanted.start
    for span in sorted(spans, key=lambda s: s.start):
        if span.end <= position or (covering and span.start != covering[-1].end):
            continue
        if not covering and span.start > position:
            return None
        covering.append(span)
        position = span.end
        if position >= wanted.end:
            return covering
    return None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _opened:  # noqa: N801 - reads as a word in `with`
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
