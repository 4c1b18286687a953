"""The body of a request, on real sockets: bounded in size, and asked for where a client waits to be asked."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.domain.errors import UnroutableRequest
from gateway.http.body import BODY_BYTES, small_body
from gateway.http.listener import Listener


@asynccontextmanager
async def asked(*, refuse=False):
    """Yields `send(bytes) -> everything that came back`, and what the handler read."""
    read = []

    async def handler(request):
        if refuse:
            return web.Response(status=403)
        try:
            read.append(await small_body(request))
        except UnroutableRequest as error:
            return web.Response(status=400, text=error.code)
        return web.Response(text=str(len(read[-1])))

    listener = Listener(handler, lambda _request, status: web.Response(status=status))
    runner = web.ServerRunner(listener, shutdown_timeout=0.05)  # else it waits for bodies that never come
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def send(head, body=None, *, wait_for=b""):
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(head)
        first = await reader.readuntil(b"\r\n\r\n") if wait_for else b""
        assert first.startswith(wait_for)
        if body is not None:
            writer.write(body)
        rest = await reader.read() if body is not None or not wait_for else b""
        writer.close()
        return first + rest

    try:
        yield send, read
    finally:
        await runner.cleanup()


def post(*headers):
    return b"\r\n".join([b"POST / HTTP/1.1", b"Host: x", b"Connection: close", *headers]) + b"\r\n\r\n"


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue"])
async def test_a_client_that_waits_is_told_to_go_on(value):
    async with asked() as (send, read):
        wire = await send(
            post(b"Content-Length: 3", b"Expect: " + value), b"abc", wait_for=b"HTTP/1.1 100 Continue\r\n"
        )
        assert wire.count(b"HTTP/1.1 200") == 1
        assert read == [b"abc"]


@pytest.mark.parametrize(
    "head",
    [
        post(b"Content-Length: 3"),
        post(b"Content-Length: 3", b"Expect:"),
        b"POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    ],
)
async def test_nobody_else_is_sent_an_interim_answer(head):
    """Some clients take any 1xx for the answer itself (hub-protocol, trap 30)."""
    async with asked() as (send, read):
        wire = await send(head, b"abc")
        assert b" 100 " not in wire
        assert read == [b"abc"]


async def test_a_body_that_is_refused_is_not_asked_for():
    too_large = b"Content-Length: %d" % (BODY_BYTES + 1)
    async with asked() as (send, read):
        wire = await send(post(too_large, b"Expect: 100-continue"), wait_for=b"HTTP/1.1 200")
        assert b" 100 " not in wire
        assert len(read[0]) == BODY_BYTES + 1
    async with asked(refuse=True) as (send, _):
        assert b" 100 " not in await send(post(b"Content-Length: 3", b"Expect: 100-continue"), wait_for=b"HTTP/1.1 403")


@pytest.mark.parametrize(
    ("head", "status"),
    [(post(b"Expect: 200-ok"), 417), (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505), (b"GET / HTTP/0.9\r\n\r\n", 505)],
)
async def test_what_the_listener_turns_away(head, status):
    async with asked() as (send, read):
        wire = await send(head)
        assert wire.startswith(b"HTTP/1.1 %d " % status)
        assert read == []


async def test_a_body_of_any_size_is_read_up_to_the_bound():
    body = b"a" * (BODY_BYTES * 2)
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    async with asked() as (send, read):
        await send(post(b"Transfer-Encoding: chunked"), chunks)
        assert len(read[0]) == BODY_BYTES + 1
