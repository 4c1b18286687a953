"""Answers for an allowed file: conditional and ranged requests, small bodies from memory, large ones streamed."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict

import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict

from gateway.domain.artifact import Span
from gateway.domain.errors import GatewayError, ScanError
from gateway.enforcement.context import GrantedFile, RequestContext
from gateway.enforcement.delivery import Delivery, OpenBytes, OpenFile
from gateway.enforcement.recording import Recording
from gateway.http.metrics import Metrics
from gateway.http.ranges import RangeNotSatisfiable, matches, parse_range, range_applies
from gateway.http.stream import ClientGone, send_span
from gateway.ports import Rendering

SMALL_BYTES = 64 * 1024
MEMORY_BYTES = 64 * 1024 * 1024
FIRST_BYTE_S = 8.0
_log = structlog.get_logger("http.files")


class SmallBlobs:
    """Verified small blobs by digest, bounded by bytes: under 64 KiB a read costs more than a copy."""

    def __init__(self, most_bytes: int = MEMORY_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held_bytes = 0
        self._blobs: OrderedDict[str, bytes] = OrderedDict()

    def get(self, sha256: str) -> bytes | None:
        blob = self._blobs.get(sha256)
        if blob is not None:
            self._blobs.move_to_end(sha256)
        return blob

    def put(self, sha256: str, blob: bytes) -> None:
        if sha256 in self._blobs:
            return
        self._blobs[sha256] = blob
        self._held_bytes += len(blob)
        while self._held_bytes > self._most_bytes:
            self._held_bytes -= len(self._blobs.popitem(last=False)[1])


class Files:
    """Sends what admission granted, and records what left."""

    def __init__(self, delivery: Delivery, recording: Recording, metrics: Metrics) -> None:
        self._delivery = delivery
        self._recording = recording
        self._metrics = metrics
        self._small = SmallBlobs()

    async def answer(
        self, request: web.BaseRequest, context: RequestContext, granted: GrantedFile, head: Rendering
    ) -> web.StreamResponse:
        """HEAD, GET, 206, 304 and 416 of one file. Raises GatewayError while no byte has left."""
        size = granted.artifact.entry.size_bytes
        headers = CIMultiDict(head.headers)
        etag = headers[hdrs.ETAG]
        if matches(request.headers.get(hdrs.IF_NONE_MATCH), etag):
            return web.Response(status=304, headers=headers)
        if context.method == "HEAD":
            headers[hdrs.CONTENT_LENGTH] = str(size)
            return web.Response(status=200, headers=headers)
        try:
            asked = parse_range(request.headers.get(hdrs.RANGE), size)
        except RangeNotSatisfiable:
            return web.Response(status=416, headers={hdrs.CONTENT_RANGE: f"bytes */{size}"})
        if not range_applies(request.headers.get(hdrs.IF_RANGE), etag):
            asked = None
        span = asked or Span(0, size)
        status = 200 if asked is None else 206
        if asked is not None:
            headers[hdrs.CONTENT_RANGE] = f"bytes {span.start}-{span.end - 1}/{size}"
        if (small := self._small.get(granted.sha256)) is not None:
            return await self._send_bytes(context, granted, span, status, headers, small[span.start : span.end])
        whole = asked is None or (span.start == 0 and span.end == size)
        async with self._delivery.open(granted, span, whole=whole) as opened:
            if isinstance(opened, OpenBytes):
                return await self._send_bytes(context, granted, span, status, headers, opened.data)
            if opened.fill is None and size <= SMALL_BYTES:
                blob = os.pread(opened.fd, size, 0)
                self._small.put(granted.sha256, blob)
                return await self._send_bytes(context, granted, span, status, headers, blob[span.start : span.end])
            await _first_byte(opened, span, granted)
            return await self._send_file(request, context, granted, span, status, headers, opened)

    async def _send_bytes(
        self,
        context: RequestContext,
        granted: GrantedFile,
        span: Span,
        status: int,
        headers: CIMultiDict[str],
        body: bytes,
    ) -> web.Response:
        await self._recording.delivered(context, granted, span.start, span.end, len(body))
        self._metrics.bytes_delivered.inc(len(body))
        headers[hdrs.CONTENT_LENGTH] = str(len(body))
        return web.Response(status=status, headers=headers, body=body)

    async def _send_file(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        granted: GrantedFile,
        span: Span,
        status: int,
        headers: CIMultiDict[str],
        opened: OpenFile,
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = span.length
        await response.prepare(request)
        sent, note = 0, ""
        available = opened.available if opened.fill is not None else None
        try:
            sent = await send_span(request, response, opened.fd, span.start, span.end, available)
            await response.write_eof()
        except ClientGone as gone:
            sent, note = (int(gone.args[0]) if gone.args else 0), "the client left"
        except GatewayError as error:
            note = f"cut: {error.code}"
            _log.warning("delivery.cut", path=granted.artifact.path, code=error.code, cause=str(error))
        finally:
            # A short body must never look whole: the connection is reset, so that no client installs it.
            if sent != span.length and request.transport is not None:
                request.transport.abort()
            self._metrics.bytes_delivered.inc(sent)
            await self._recording.delivered(context, granted, span.start, span.end, sent, note)
        return response


async def _first_byte(opened: OpenFile, span: Span, granted: GrantedFile) -> None:
    """Wait for the first byte before any header leaves, so that trouble still has words."""
    if opened.fill is None or span.length == 0:
        return
    try:
        async with asyncio.timeout(FIRST_BYTE_S):
            await opened.available(span.start)
    except TimeoutError:
        raise ScanError(
            f"{granted.artifact.path!r} is being fetched; nothing is wrong, ask again", code="fill/under-way"
        ) from None
