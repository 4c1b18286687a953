"""How much of a body is read, and for how long it is waited for: whole where it is small, never more than a bound."""

import asyncio
import io

import pytest
from aiohttp import ClientSession, web

from gateway.domain.errors import UnroutableRequest
from gateway.http.body import BODY_BYTES, BODY_WAIT_S, small_body


@pytest.fixture
async def url():
    async def handle(request):
        try:
            body = await small_body(request, wait_s=0.2 if request.path == "/impatient" else BODY_WAIT_S)
        except UnroutableRequest as error:
            return web.Response(status=400, text=error.code)
        return web.Response(text=f"{len(body)}:{body[:3].decode()}")

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def chunks(count):
    for _ in range(count):
        yield b"x" * 65536


@pytest.mark.parametrize(
    ("method", "body", "read"),
    [
        ("GET", b"abc", "0:"), ("POST", None, "0:"), ("POST", b"abcdef", "6:abc"), ("PUT", b"x" * BODY_BYTES, f"{BODY_BYTES}:xxx"),
        ("POST", b"x" * (BODY_BYTES + 1), f"{BODY_BYTES + 1}:\0\0\0"),
    ],
)  # fmt: skip
async def test_so_much_is_read(url, method, body, read):
    async with ClientSession() as client, client.request(method, url, data=body and io.BytesIO(body)) as answer:
        assert await answer.text() == read


async def test_a_body_without_a_length_is_read_to_the_bound(url):
    async with ClientSession() as client:
        async with client.post(url, data=chunks(2)) as answer:
            assert await answer.text() == "131072:xxx"
        async with client.post(url, data=chunks(17)) as answer:
            assert (await answer.text()).startswith(f"{BODY_BYTES + 1}:")


async def test_a_body_that_cannot_be_unpacked_is_malformed(url):
    headers = {"Content-Encoding": "gzip"}
    async with ClientSession() as client, client.post(url, data=b"no gzip", headers=headers) as answer:
        assert (answer.status, await answer.text()) == (400, "route/malformed")


async def test_a_body_that_does_not_come_is_waited_for_no_longer(url):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write(b"POST /impatient HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    answer = await reader.readuntil(b"route/slow-body")
    assert answer.startswith(b"HTTP/1.1 400")
    writer.close()
