"""Answers for an allowed file: conditional and ranged requests, small bodies from memory, large ones streamed."""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict

from gateway.domain.artifact import Span
from gateway.domain.errors import GatewayError, LedgerError, ScanError, StoreError
from gateway.enforcement.context import GrantedFile, RequestContext
from gateway.enforcement.delivery import Delivery, OpenBytes, OpenFile
from gateway.enforcement.partial import OpenPart
from gateway.enforcement.recording import Recording
from gateway.http.metrics import Metrics
from gateway.http.ranges import RangeNotSatisfiable, matches, parse_range, range_applies
from gateway.http.stream import STALLED_S, ClientGone, Sending, reset, send_part
from gateway.ports import Rendering

SMALL_BYTES = 64 * 1024
MEMORY_BYTES = 64 * 1024 * 1024
FIRST_BYTE_S = 8.0
CLIENT_WAIT_S = 9.0  # clients give up after 10 s of silence (hub-protocol §11)
LEAST_WAIT_S = 0.5
NOT_HERE = "fill/under-way"
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
    """Sends what admission granted, and records what left. A client that takes nothing for `stalled_s` is cut off."""

    def __init__(
        self, delivery: Delivery, recording: Recording, metrics: Metrics, *, stalled_s: float = STALLED_S
    ) -> None:
        self._stalled_s = stalled_s
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
        asked: Span | None = None
        if range_applies(request.headers.get(hdrs.IF_RANGE), etag):
            try:
                asked = parse_range(request.headers.get(hdrs.RANGE), size)
            except RangeNotSatisfiable:
                return web.Response(status=416, headers={hdrs.CONTENT_RANGE: f"bytes */{size}", hdrs.ETAG: etag})
        span = asked or Span(0, size)
        if asked is not None:
            headers[hdrs.CONTENT_RANGE] = f"bytes {span.start}-{span.end - 1}/{size}"
        body = _Body(granted, span, 200 if asked is None else 206, headers)
        if (small := self._small.get(granted.sha256)) is not None and len(small) == size:
            return await self._send_bytes(context, body, small[span.start : span.end])
        async with AsyncExitStack() as stack:
            opened = await self._opened(stack, context, body)
            if isinstance(opened, OpenBytes):
                return await self._send_bytes(context, body, opened.data)
            if isinstance(opened, OpenFile) and opened.fill is None and size <= SMALL_BYTES:
                blob = _read_small(opened.fd, size)
                self._small.put(granted.sha256, blob)
                return await self._send_bytes(context, body, blob[span.start : span.end])
            response = web.StreamResponse(status=body.status, headers=body.headers)
            response.headers["X-Request-Id"] = context.request_id
            response.headers[hdrs.SERVER] = "model-gateway"
            response.content_length = span.length
            await response.prepare(request)
            await self._send_file(request, context, body, opened, response)
            return response

    async def carry_on(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        granted: GrantedFile,
        opened: OpenFile,
        response: web.StreamResponse,
        sent_bytes: int,
    ) -> None:
        """Send the rest of a whole file of which `sent_bytes` left in a hold, on the same answer, and record it all."""
        span = Span(0, granted.artifact.entry.size_bytes)
        body = _Body(granted, span, 200, response.headers)
        self._metrics.bytes_delivered.inc(sent_bytes)
        await self._send_file(request, context, body, opened, response, sent_bytes)

    async def _opened(
        self, stack: AsyncExitStack, context: RequestContext, body: _Body
    ) -> OpenFile | OpenBytes | OpenPart:
        """The open bytes, of which the first may leave: trouble up to here still has words.

        Raises ScanError where it takes longer than a client waits, and GatewayError.
        """
        granted, span = body.granted, body.span
        whole = span == Span(0, granted.artifact.entry.size_bytes)
        try:
            async with asyncio.timeout(_patience_s(context)):
                if not whole:
                    part = await stack.enter_async_context(self._delivery.open_range(granted, span))
                    if isinstance(part, OpenPart):
                        await part.ready()
                        return part
                    opened = part
                else:
                    opened = await stack.enter_async_context(self._delivery.open(granted, span, whole=True))
                if isinstance(opened, OpenFile) and opened.fill is not None and span.length > 0:
                    await opened.available(span.start)
        except TimeoutError:
            so_far = self._delivery.progress(granted.artifact)
            raise ScanError(
                f"{granted.artifact.path!r} is being fetched{so_far}; nothing is wrong, ask again",
                code=NOT_HERE,
            ) from None
        return opened

    async def _send_bytes(self, context: RequestContext, body: _Body, data: bytes) -> web.Response:
        await self._recording.delivered(context, body.granted, body.span.start, body.span.end, len(data))
        self._metrics.bytes_delivered.inc(len(data))
        body.headers[hdrs.CONTENT_LENGTH] = str(len(data))
        return web.Response(status=body.status, headers=body.headers, body=data)

    async def _send_file(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        body: _Body,
        opened: OpenFile | OpenPart,
        response: web.StreamResponse,
        already_bytes: int = 0,
    ) -> None:
        span = body.span
        sending, note = Sending(request, response, self._stalled_s), "the gateway stopped"
        if opened.fill is not None:
            opened.fill.takers.add(context.subject.id, span.start, span.end)
        try:
            if isinstance(opened, OpenPart):
                await send_part(sending, opened)
            else:
                available = opened.available if opened.fill is not None else None
                await sending.run(opened.fd, span.start + already_bytes, span.end, available)
            await response.write_eof()
            note = ""
        except ClientGone as gone:
            note = str(gone)
        except ConnectionError:
            note = "the client left at the last byte"
        except GatewayError as error:
            note = f"cut: {error.code}"
            _log.warning("delivery.cut", path=body.granted.artifact.path, code=error.code, cause=str(error))
        finally:
            if note:
                reset(request.transport)
            self._metrics.bytes_delivered.inc(sending.sent)
            is_verified = opened.fill is None or opened.fill.blob is not None
            await self._delivered(request, context, body, already_bytes + sending.sent, note, is_verified=is_verified)

    async def _delivered(
        self,
        request: web.BaseRequest,
        context: RequestContext,
        body: _Body,
        sent: int,
        note: str,
        *,
        is_verified: bool,
    ) -> None:
        """Record what left. An answer is on the wire already, so a ledger that fails now cannot get one of its own."""
        try:
            span = body.span
            await self._recording.delivered(
                context, body.granted, span.start, span.end, sent, note, is_verified=is_verified
            )
        except LedgerError as error:
            _log.error("delivery.unrecorded", request_id=context.request_id, cause=str(error))
            reset(request.transport)


@dataclass(frozen=True, slots=True)
class _Body:
    """What goes out: the span of a granted file, and the status and headers before it."""

    granted: GrantedFile
    span: Span
    status: int
    headers: CIMultiDict[str]


def _patience_s(context: RequestContext) -> float:
    """How long the first byte may take: what admission has left of the time a client waits."""
    elapsed_s = time.monotonic() - context.started_s
    return max(LEAST_WAIT_S, min(FIRST_BYTE_S, CLIENT_WAIT_S - elapsed_s))


def _read_small(fd: int, size: int) -> bytes:
    """A small blob whole. Raises StoreError where the disk gives less."""
    blob = os.pread(fd, size, 0)
    if len(blob) != size:
        raise StoreError("a stored blob is shorter than it was when it was verified", code="store/short")
    return blob
