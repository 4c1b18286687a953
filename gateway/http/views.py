"""The other forms in which an allowed file is shown: the pointer of `/raw/`, the page of `/blob/`, and the headers of
safetensors files. Each was admitted like the bytes themselves; what needs further files has each of them admitted."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import hdrs, web
from multidict import CIMultiDict

from gateway.domain.artifact import Span
from gateway.domain.errors import ScanError, StoreError
from gateway.domain.outcome import Absence, Refusal
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.admission import Admission
from gateway.enforcement.context import GrantedFile, RequestContext
from gateway.enforcement.delivery import Delivery, OpenBytes
from gateway.enforcement.recording import Recording
from gateway.enforcement.refusing import UNDER_WAY
from gateway.http.files import Files
from gateway.http.ranges import RangeNotSatisfiable, matches, parse_range, range_applies
from gateway.hubs.huggingface import shards
from gateway.identity.ratelimit import RateLimiter
from gateway.ports import Dialect, Rendering

WAIT_S = 9.0  # clients give up after 10 s of silence (hub-protocol §11)
LEAST_WAIT_S = 0.5
WARNING = "X-HF-Warning"  # clients print each topic once (hub-protocol §5)
_AT_ONCE = 8  # shards that are admitted and read beside one another, for one client


class _ShardRefused(Exception):
    """A shard of an index may not be shown: nor may the whole answer."""

    def __init__(self, request: HubRequest, refusal: Refusal) -> None:
        self.request, self.refusal = request, refusal


class _Room:
    """What headers may take together, kept before they are read: several are read at once."""

    def __init__(self) -> None:
        self._left_bytes = shards.MAX_TOTAL_BYTES

    def take(self, length: int) -> None:
        """Raises NoMetadata where there is no room left."""
        self._left_bytes -= length
        if self._left_bytes < 0:
            raise shards.NoMetadata(f"the headers are larger than {shards.MAX_TOTAL_BYTES} bytes together")


class Views:
    """Answers for a `GrantedFile` by what was asked of it; bytes themselves are left to `Files`."""

    def __init__(
        self,
        files: Files,
        dialect: Dialect,
        admission: Admission,
        delivery: Delivery,
        recording: Recording,
        limits: RateLimiter,
    ) -> None:
        self._files = files
        self._dialect = dialect
        self._admission = admission
        self._delivery = delivery
        self._recording = recording
        self._limits = limits

    async def answer(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        asked: HubRequest,
        granted: GrantedFile,
        head: Rendering,
    ) -> web.StreamResponse:
        """`head`: status and headers of the file itself. Raises GatewayError while no byte has left."""
        match asked.kind:
            case RequestKind.RAW if granted.artifact.entry.is_lfs:
                return _bounded(request, _warned(self._dialect.pointer(granted.artifact), head))
            case RequestKind.BLOB:
                return _whole(self._dialect.page(granted.artifact, granted.sha256, granted.decision))
            case RequestKind.SAFETENSORS_METADATA:
                return _whole(_warned(await self._metadata(context, asked, granted), head))
            case RequestKind.LAYER:
                layer = self._dialect.layer(granted.artifact, granted.sha256)
                return await self._files.answer(request, context, granted, layer)
            case _:
                return await self._files.answer(request, context, granted, head)

    async def _metadata(self, context: RequestContext, asked: HubRequest, granted: GrantedFile) -> Rendering:
        """The headers of a safetensors file, or of all that an index names."""
        try:
            async with asyncio.timeout(_patience_s(context)):
                headers, about = await self._headers(context, asked, granted)
        except _ShardRefused as refused:
            return self._dialect.refuse(refused.request, context.method, refused.refusal)
        except shards.NoMetadata as none:
            absence = Absence("entry", f"{asked.path} has no safetensors metadata: {none}.")
            return self._dialect.refuse(asked, context.method, absence)
        except TimeoutError:
            raise ScanError(
                f"the files behind {asked.path!r} are being fetched and judged; nothing is wrong, ask again",
                code=UNDER_WAY,
            ) from None
        return shards.metadata_answer(headers, about)

    async def _headers(
        self, context: RequestContext, asked: HubRequest, granted: GrantedFile
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The headers by name, and what the index says of itself. Raises NoMetadata, _ShardRefused, GatewayError."""
        if not shards.is_index(asked.path):
            raw = await self._header(context, granted, _Room())
            return {asked.path.rpartition("/")[2]: await asyncio.to_thread(shards.read_header, raw)}, {}
        size = granted.artifact.entry.size_bytes
        if size > shards.MAX_INDEX_BYTES:
            raise shards.NoMetadata(f"the index is larger than {shards.MAX_INDEX_BYTES} bytes")
        index = await self._read(context, granted, Span(0, size))
        named, about = await asyncio.to_thread(shards.read_index, asked.path, index)
        self._limits.count(context.subject, context.address, len(named))  # each is judged and recorded by itself
        found: dict[str, bytes] = {}
        left, room = iter(named.items()), _Room()

        async def some() -> None:
            for name, path in left:
                shard = await self._shard(context, replace(asked, path=path), granted.artifact.commit)
                found[name] = await self._header(context, shard, room)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(some())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return await asyncio.to_thread(lambda: {name: shards.read_header(found[name]) for name in named}), about

    async def _shard(self, context: RequestContext, asked: HubRequest, commit: str) -> GrantedFile:
        """A file that an index names, through the one door. Raises _ShardRefused."""
        granted = await self._admission.admit(context, asked)
        if isinstance(granted, Refusal):
            raise _ShardRefused(asked, granted)
        if not isinstance(granted, GrantedFile) or granted.artifact.commit != commit:
            raise ScanError("the revision moved while its files were read; ask again", code=UNDER_WAY)
        return granted

    async def _header(self, context: RequestContext, granted: GrantedFile, room: _Room) -> bytes:
        """The header of one file: bytes that were judged. Raises NoMetadata."""
        size = granted.artifact.entry.size_bytes
        start = Span(0, min(size, shards.LENGTH_BYTES))
        length = shards.header_length(await self._bytes(granted, start), size)
        room.take(length)
        span = Span(start.end, start.end + length)
        header = await self._bytes(granted, span)
        await self._recording.delivered(context, granted, 0, span.end, span.end)
        return header

    async def _read(self, context: RequestContext, granted: GrantedFile, span: Span) -> bytes:
        data = await self._bytes(granted, span)
        await self._recording.delivered(context, granted, span.start, span.end, span.length)
        return data

    async def _bytes(self, granted: GrantedFile, span: Span) -> bytes:
        """A span of a granted file, in memory. Raises GatewayError."""
        async with self._delivery.open(granted, span, whole=False) as opened:
            if isinstance(opened, OpenBytes):
                return opened.data
            position = span.start
            while opened.fill is not None and position < span.end:
                position = min(span.end, await opened.available(position))
            data = await asyncio.to_thread(os.pread, opened.fd, span.length, span.start)
        if len(data) != span.length:
            raise StoreError("the stored bytes ended early", code="store/short")
        return data


def _patience_s(context: RequestContext) -> float:
    return max(LEAST_WAIT_S, WAIT_S - (time.monotonic() - context.started_s))


def _warned(rendering: Rendering, head: Rendering) -> Rendering:
    """The same answer with the warnings that the file itself would carry."""
    warnings = tuple(header for header in head.headers if header[0] == WARNING)
    return replace(rendering, headers=(*rendering.headers, *warnings))


def _whole(rendering: Rendering) -> web.Response:
    return web.Response(status=rendering.status, headers=CIMultiDict(rendering.headers), body=rendering.body)


def _bounded(request: web.BaseRequest, rendering: Rendering) -> web.Response:
    """A small body with an ETag: conditional and ranged like any file."""
    headers, size = CIMultiDict(rendering.headers), len(rendering.body)
    etag = headers[hdrs.ETAG]
    if matches(request.headers.get(hdrs.IF_NONE_MATCH), etag):
        return web.Response(status=304, headers=headers)
    asked: Span | None = None
    if request.method != hdrs.METH_HEAD and range_applies(request.headers.get(hdrs.IF_RANGE), etag):
        try:
            asked = parse_range(request.headers.get(hdrs.RANGE), size)
        except RangeNotSatisfiable:
            return web.Response(status=416, headers={hdrs.CONTENT_RANGE: f"bytes */{size}", hdrs.ETAG: etag})
    if asked is None:
        return web.Response(status=200, headers=headers, body=rendering.body)
    headers[hdrs.CONTENT_RANGE] = f"bytes {asked.start}-{asked.end - 1}/{size}"
    return web.Response(status=206, headers=headers, body=rendering.body[asked.start : asked.end])
