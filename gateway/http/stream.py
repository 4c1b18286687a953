"""Sends the bytes of an open file: by sendfile on the socket where it can, by bounded copies under TLS.

uvloop has no `loop.sendfile`, and aiohttp would fall back to copies without a word (performance.md §1); so the
kernel is asked directly, in pieces small enough to be fair to other clients of the same loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

PIECE_BYTES = 512 * 1024
STALLED_S = 120.0


class ClientGone(Exception):
    """The client closed the connection, or took nothing for `STALLED_S`."""


async def send_span(
    request: web.BaseRequest,
    response: web.StreamResponse,
    fd: int,
    start: int,
    end: int,
    available: Callable[[int], Awaitable[int]] | None,
) -> int:
    """Send [start, end) of `fd`; return how many bytes left.

    `available(offset)` waits until bytes beyond `offset` may be sent and says how far; None: all may be.
    Raises ClientGone, and what `available` raises.
    """
    transport = request.transport
    if transport is None:
        raise ClientGone
    plain = transport.get_extra_info("sslcontext") is None
    sender = _Sendfile(transport) if plain else _Copies(response)
    position = start
    try:
        await sender.ready()
        while position < end:
            limit = end if available is None else min(end, await available(position))
            while position < limit:
                position += await sender.send(fd, position, min(PIECE_BYTES, limit - position))
    except (ConnectionError, TimeoutError) as error:
        raise ClientGone(position - start) from error
    finally:
        sender.close()
    return position - start


class _Sendfile:
    """os.sendfile on a duplicate of the transport's socket, once the transport's own buffer is empty."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        raw: socket.socket = transport.get_extra_info("socket")
        self._fd = os.dup(raw.fileno())

    async def ready(self) -> None:
        async with asyncio.timeout(STALLED_S):
            while self._transport.get_write_buffer_size() > 0:
                if self._transport.is_closing():
                    raise ConnectionResetError
                await self._writable()
                await asyncio.sleep(0)

    async def send(self, fd: int, offset: int, length: int) -> int:
        while True:
            if self._transport.is_closing():
                raise ConnectionResetError
            try:
                sent = os.sendfile(self._fd, fd, offset, length)
            except BlockingIOError:
                async with asyncio.timeout(STALLED_S):
                    await self._writable()
                continue
            if sent == 0:
                raise ConnectionResetError("the file ended early")
            if sent == length:
                await asyncio.sleep(0)
            return sent

    async def _writable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_writer(self._fd, _wake, ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(self._fd)

    def close(self) -> None:
        os.close(self._fd)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Copies:
    """Reads in a thread and writes through the transport: TLS needs the bytes in user space."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response

    async def ready(self) -> None:
        return

    async def send(self, fd: int, offset: int, length: int) -> int:
        data = await asyncio.to_thread(os.pread, fd, length, offset)
        if not data:
            raise ConnectionResetError("the file ended early")
        async with asyncio.timeout(STALLED_S):
            await self._response.write(data)
        return len(data)

    def close(self) -> None:
        return
