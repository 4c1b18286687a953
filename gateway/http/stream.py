"""Sends the bytes of an open file: by sendfile on the socket where it can, by bounded copies under TLS.

uvloop has no `loop.sendfile`, and aiohttp would fall back to copies without a word (performance.md §1); so the
kernel is asked directly, in pieces small enough to be fair to other clients of the same loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.domain.errors import StoreError
from gateway.enforcement.partial import OpenPart
from gateway.http.cached import is_cached, warm

# The kernel works longest per call where one body is sent alone; beside others each gets its turn sooner.
PIECE_BYTES = 512 * 1024
ALONE_BYTES = 4 * 1024 * 1024
STALLED_S = 120.0
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER, 0 s: what the kernel still holds is dropped


class ClientGone(Exception):
    """The client closed the connection, or took nothing for the stall limit."""


class Sending:
    """One body on its way to one client. `sent` counts the bytes handed over, however `run` ends.

    Under TLS the last piece may count although only a part of it left: a record may say too much, never too little.
    """

    running = 0  # bodies on their way in this process

    def __init__(self, request: web.BaseRequest, response: web.StreamResponse, stalled_s: float = STALLED_S) -> None:
        self.sent = 0
        self.stalled_s = stalled_s
        self._transport = request.transport
        self._response = response

    async def run(self, fd: int, start: int, end: int, available: Callable[[int], Awaitable[int]] | None) -> None:
        """Send [start, end) of `fd`. `available(offset)` waits until bytes beyond `offset` may be sent and says how
        far; None: all may be. Raises ClientGone, StoreError (the file ended early), and what `available` raises.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ClientGone("the client left")
        plain = transport.get_extra_info("sslcontext") is None
        try:
            sender = _Sendfile(self, transport) if plain else _Copies(self, self._response)
        except OSError as error:
            raise ClientGone("the client left") from error
        Sending.running += 1
        start -= self.sent  # of bodies that leave in several runs
        try:
            await sender.ready()
            while start + self.sent < end:
                position = start + self.sent
                limit = end if available is None else min(end, await available(position))
                while start + self.sent < limit:
                    position = start + self.sent
                    piece = max(PIECE_BYTES, ALONE_BYTES // Sending.running) if plain else PIECE_BYTES
                    await sender.send(fd, position, min(piece, limit - position))
        except TimeoutError as error:
            raise ClientGone(f"the client took nothing for {self.stalled_s:g} s") from error
        except OSError as error:
            raise ClientGone(f"the client left ({error.strerror or 'closed'})") from error
        finally:
            Sending.running -= 1
            sender.close()

    async def write(self, data: bytes) -> None:
        """Send bytes that are in memory. Raises ClientGone."""
        self.sent += len(data)
        try:
            async with asyncio.timeout(self.stalled_s):
                await self._response.write(data)
        except TimeoutError as error:
            raise ClientGone(f"the client took nothing for {self.stalled_s:g} s") from error
        except OSError as error:
            raise ClientGone("the client left") from error


async def send_part(sending: Sending, part: OpenPart) -> None:
    """Send one range of a running fill, piece by piece as it comes. Raises as `Sending.run`."""
    position = part.span.start
    while position < part.span.end:
        piece = await part.next(position)
        if isinstance(piece, bytes):
            await sending.write(piece)
            position += len(piece)
            continue
        fd = part.fill.descriptor()
        try:
            await sending.run(fd, position, piece.end, None)
        finally:
            os.close(fd)
        position = piece.end


def reset(transport: asyncio.Transport | None) -> None:
    """Cut a connection so that a short body never looks whole: by a reset where the socket allows it."""
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None and not transport.is_closing():
        try:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass  # closed by the other side meanwhile
    transport.abort()


def cut(transport: asyncio.Transport | None) -> None:
    """End a connection early without a reset: whoever knows the promised length sees that bytes are missing.

    huggingface_hub from 1.19 on asks again in the same call after such an end, and not after a reset."""
    if transport is not None:
        transport.close()


class _Sendfile:
    """os.sendfile on a duplicate of the transport's socket, once the transport's own buffer is empty."""

    def __init__(self, sending: Sending, transport: asyncio.Transport) -> None:
        """Raises OSError where the socket is closed."""
        self._sending = sending
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        raw: socket.socket = transport.get_extra_info("socket")
        self._fd = os.dup(raw.fileno())

    async def ready(self) -> None:
        async with asyncio.timeout(self._sending.stalled_s):
            while self._transport.get_write_buffer_size() > 0:
                if self._transport.is_closing():
                    raise ConnectionResetError
                await self._writable()
                await asyncio.sleep(0)

    async def send(self, fd: int, offset: int, length: int) -> None:
        if not is_cached(fd, offset, length):
            await warm(fd, offset, length)
        while True:
            if self._transport.is_closing():
                raise ConnectionResetError
            try:
                sent = os.sendfile(self._fd, fd, offset, length)
            except BlockingIOError:
                async with asyncio.timeout(self._sending.stalled_s):
                    await self._writable()
                continue
            if sent == 0:
                raise StoreError("the stored bytes ended early", code="store/short")
            self._sending.sent += sent
            if sent == length:
                await asyncio.sleep(0)
            return

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

    def __init__(self, sending: Sending, response: web.StreamResponse) -> None:
        self._sending = sending
        self._response = response

    async def ready(self) -> None:
        return

    async def send(self, fd: int, offset: int, length: int) -> None:
        data = await asyncio.to_thread(os.pread, fd, length, offset)
        if not data:
            raise StoreError("the stored bytes ended early", code="store/short")
        self._sending.sent += len(data)
        async with asyncio.timeout(self._sending.stalled_s):
            await self._response.write(data)

    def close(self) -> None:
        return
