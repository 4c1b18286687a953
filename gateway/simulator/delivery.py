"""Sends an answer over the wire, bent by the fault that matched."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator

from aiohttp import web
from multidict import CIMultiDict

from gateway.simulator.answers import Answer, parse_range
from gateway.simulator.content import PIECE_BYTES, Bytes, Content
from gateway.simulator.faults import Fault
from gateway.simulator.traffic import SeenRequest

_CORRUPT_BYTES = 16


class Corrupted:
    """The same content with 16 bytes inverted from `offset` on: the length is right, the bytes are not."""

    def __init__(self, content: Content, offset: int) -> None:
        self._content = content
        self._from = min(offset, max(0, content.size - 1))
        self.size = content.size

    @property
    def sha256(self) -> str:
        return self._content.sha256

    def read(self, offset: int, length: int) -> bytes:
        data = bytearray(self._content.read(offset, length))
        for index in range(max(self._from, offset), min(self._from + _CORRUPT_BYTES, offset + len(data))):
            data[index - offset] ^= 0xFF
        return bytes(data)


class Repeated:
    """A piece of bytes over and over."""

    sha256 = ""

    def __init__(self, piece: bytes, times: int) -> None:
        self._piece = piece
        self.size = len(piece) * times

    def read(self, offset: int, length: int) -> bytes:
        skip = offset % len(self._piece)
        end = min(offset + length, self.size)
        return (self._piece * ((skip + length) // len(self._piece) + 1))[skip : skip + end - offset]


def ranged(content: Content, range_header: str, headers: dict[str, str]) -> Answer:
    """200, 206 or 416 for a content, as a static file server answers."""
    headers = {**headers, "Accept-Ranges": "bytes"}
    try:
        span = parse_range(range_header, content.size)
    except ValueError:
        return Answer(416, {**headers, "Content-Range": f"bytes */{content.size}"})
    if span is None:
        return Answer(200, headers, content)
    start, end = span
    return Answer(206, {**headers, "Content-Range": f"bytes {start}-{end - 1}/{content.size}"}, content, start, end)


def bend(answer: Answer, fault: Fault, range_header: str) -> Answer:
    """What the fault makes of the answer (all but timing and cut connections)."""
    if fault.replaces_answer:
        body = fault.body or b""
        content = Repeated(body, fault.repeat) if fault.repeat and body else Bytes(body)
        answer = Answer(fault.status or answer.status, {"Content-Type": "text/plain; charset=utf-8"}, content)
    if fault.content is not None or fault.ignore_range:
        answer.headers.pop("Content-Range", None)
        answer = ranged(fault.content or answer.content, "" if fault.ignore_range else range_header, answer.headers)
    if fault.corrupt_at is not None:
        answer.content = Corrupted(answer.content, fault.corrupt_at)
    if fault.location is not None and 300 <= answer.status < 400:
        answer.headers["Location"] = fault.location
    if fault.etag is not None:
        for name in ("ETag", "X-Linked-Etag"):
            if name in answer.headers:
                answer.headers[name] = f'"{fault.etag}"'
    for name, value in (fault.headers or {}).items():
        if value is None:
            answer.headers.pop(name, None)
        else:
            answer.headers[name] = value
    return answer


async def send(request: web.BaseRequest, answer: Answer, fault: Fault, seen: SeenRequest) -> web.StreamResponse:
    """Send the answer; counts what went out in `seen`."""
    if fault.gate is not None:
        await fault.gate.passed()
    for pause_s in (fault.delay_s, fault.latency_s):
        if pause_s:
            await asyncio.sleep(pause_s)
    response = web.StreamResponse(status=answer.status, headers=CIMultiDict(answer.headers))
    if fault.drop:
        _cut(request)
        # aiohttp wants a response even so; writing it to the closed connection fails quietly.
        return response
    seen.status = answer.status
    has_body = answer.status not in (204, 304)
    if not fault.chunked and has_body and "Content-Length" not in response.headers:
        response.content_length = answer.stop - answer.start
    await response.prepare(request)
    if request.method != "HEAD" and has_body:
        for piece in _pieces(answer, fault):
            if await _interrupted(request, fault, seen):
                return response
            # Counted first: a client that holds these bytes finds them in the log.
            seen.bytes_sent += len(piece)
            await response.write(piece)
            await _paced(fault, seen, started_s=seen.started_s)
        if await _interrupted(request, fault, seen):
            return response
    await response.write_eof()
    return response


def _pieces(answer: Answer, fault: Fault) -> Iterator[bytes]:
    """The body, cut so that a piece ends wherever the fault wants to act."""
    marks = {m for m in (fault.stall_at, fault.truncate_at, fault.reset_at) if m is not None}
    piece_bytes = PIECE_BYTES
    if fault.bandwidth_bytes_s:
        # About fifty pieces a second: smooth enough for a read-ahead to notice.
        piece_bytes = max(1024, min(PIECE_BYTES, int(fault.bandwidth_bytes_s / 50)))
    sent, total = 0, answer.stop - answer.start
    while sent < total:
        length = min(piece_bytes, total - sent, *(m - sent for m in marks if m > sent))
        yield answer.content.read(answer.start + sent, length)
        sent += length


async def _interrupted(request: web.BaseRequest, fault: Fault, seen: SeenRequest) -> bool:
    """Stall, cut or reset here, if the fault says so; was the connection cut?"""
    if fault.stall_at == seen.bytes_sent:
        if fault.stall_gate is not None:
            await fault.stall_gate.passed()
        if fault.stall_s:
            await asyncio.sleep(fault.stall_s)
    if fault.truncate_at == seen.bytes_sent:
        await _flushed(request)
        _cut(request)
        return True
    if fault.reset_at == seen.bytes_sent:
        await _flushed(request)
        _cut(request, reset=True)
        return True
    return False


async def _paced(fault: Fault, seen: SeenRequest, *, started_s: float) -> None:
    if fault.bandwidth_bytes_s:
        due_s = started_s + (fault.latency_s or 0) + seen.bytes_sent / fault.bandwidth_bytes_s
        ahead_s = due_s - asyncio.get_running_loop().time()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)


async def _flushed(request: web.BaseRequest) -> None:
    """Let the kernel take what was written, so that exactly that much arrives before the cut."""
    transport = request.transport
    while transport is not None and not transport.is_closing() and transport.get_write_buffer_size():  # noqa: ASYNC110
        await asyncio.sleep(0.001)  # a transport tells nobody when its buffer is empty


def _cut(request: web.BaseRequest, *, reset: bool = False) -> None:
    transport = request.transport
    if transport is None:
        return
    if reset:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
