"""A fixed address whose other end can be changed: the client keeps its endpoint while another gateway answers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Self
from urllib.parse import urlsplit

_BLOCK_BYTES = 65536
SETTLE_S = 0.1  # for a client to notice that its kept connections are closed


class Relays:
    """TCP forwarding in a thread of its own (so that it works for TLS as well)."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self) -> Relay:
        relay = Relay(self)
        relay.port = self.run(relay.listen())
        return relay

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


class Relay:
    """`port` on loopback; `point` sends what comes from now on to another address and ends what is open."""

    def __init__(self, relays: Relays) -> None:
        self._relays = relays
        self._target = ("127.0.0.1", 9)
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def listen(self) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    def point(self, url: str) -> None:
        parts = urlsplit(url)
        target = (parts.hostname or "", parts.port or 0)
        if target != self._target:
            self._relays.run(self._turn(target))
            threading.Event().wait(SETTLE_S)

    async def _turn(self, target: tuple[str, int]) -> None:
        self._target = target
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        ends = (writer, far_writer)
        self._open.update(ends)
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            self._open.difference_update(ends)
            for end in ends:
                end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(_BLOCK_BYTES):
            writer.write(block)
            await writer.drain()
    writer.close()
