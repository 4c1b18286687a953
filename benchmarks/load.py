"""Load generators: many small keep-alive requests from one loop, and whole downloads from threads.

wrk is not used: it waits for the body that no answer to a HEAD has. This generator writes prepared bytes and reads no
more of an answer than its length; what it costs is never counted.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvloop

from benchmarks.report import percentile

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Load:
    """`requests` answered with 200 in `seconds`; the waits of single requests in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


class _Client(asyncio.Protocol):
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, requests: Sequence[bytes], count: int, waits: list[float], *, bodies: bool) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._left, self._waits, self._bodies = requests, count, waits, bodies
        self._buffer = bytearray()
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._left % len(self._requests)])

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._missing == 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._buffer.startswith(b"HTTP/1.1 200"):
                self._fail(RuntimeError(f"not answered with 200: {bytes(self._buffer[:300])!r}"))
                return
            head = bytes(self._buffer[:end]).lower()
            at = head.index(b"content-length:") + 15
            length = int(head[at:].split(b"\r\n", 1)[0]) if self._bodies else 0
            self._missing = end + 4 + length
        if len(self._buffer) < self._missing:
            return
        self._waits.append(time.perf_counter() - self._sent)
        self._buffer.clear()
        self._missing = 0
        self._left -= 1
        if self._left > 0:
            self._ask()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self._transport.abort()


def small(
    url: str, paths: Sequence[str], *, method: str, clients: int, count: int, headers: Mapping[str, str] | None = None
) -> Load:
    """`count` requests in all over `clients` keep-alive connections, the paths in turn. Raises where one is no 200."""
    parts = urlsplit(url)
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    agent = "User-Agent: hf-bench/1.0; python/3.11\r\nAccept: */*\r\n"
    requests = [f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{agent}{lines}\r\n".encode() for path in paths]
    waits: list[float] = []

    async def run() -> float:
        loop = asyncio.get_running_loop()
        begin = time.perf_counter()
        made = [
            await loop.create_connection(
                lambda: _Client(requests, count // clients, waits, bodies=method == "GET"), parts.hostname, parts.port
            )
            for _ in range(clients)
        ]
        await asyncio.gather(*(client.done for _, client in made))
        return time.perf_counter() - begin

    seconds = uvloop.run(run())
    return Load(len(waits), seconds, percentile(waits, 0.5) * 1e3, percentile(waits, 0.99) * 1e3)


@dataclass(frozen=True, slots=True)
class Download:
    """One whole body. Seconds from before the connection to the first byte and to the last."""

    status: int
    size_bytes: int
    first_byte_s: float
    total_s: float


def download(url: str, headers: Mapping[str, str] | None = None, at_first: object = None) -> Download:
    """GET `url`, redirects followed; the bytes are read and dropped. `at_first`, a callable, runs at the first byte."""
    begin = time.perf_counter()
    buffer = memoryview(bytearray(PIECE_BYTES))
    while True:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        try:
            connection.request("GET", parts._replace(scheme="", netloc="").geturl(), headers=dict(headers or {}))
            response = connection.getresponse()
            if response.status in (301, 302, 307, 308):
                url = response.headers["Location"]
                continue
            size = response.readinto(buffer[:1])
            first = time.perf_counter() - begin
            if callable(at_first):
                at_first()
            while size and (read := response.readinto(buffer)):
                size += read
            return Download(response.status, size, first, time.perf_counter() - begin)
        finally:
            connection.close()


def downloads(url: str, clients: int, headers: Mapping[str, str] | None = None) -> list[Download]:
    """The same file by several clients at once."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda _: download(url, headers), range(clients)))
