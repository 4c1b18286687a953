"""The server under the door, on real sockets: what a connection may cost that does not speak or does not listen."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.http.listener import Listener

LARGE = b"x" * (64 * 1024 * 1024)
REQUEST = b"GET %s HTTP/1.1\r\nHost: gateway\r\n\r\n"


async def handler(request):
    return web.Response(body=LARGE if request.path == "/large" else b"small")


@asynccontextmanager
async def listening(**limits):
    runner = web.ServerRunner(Listener(handler, lambda _request, status: web.Response(status=status), **limits))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    connections = []

    async def connect():
        reader, writer = await asyncio.open_connection(*connect.address)
        connections.append(writer)
        return reader, writer

    connect.server, connect.address = runner.server, runner.addresses[0]
    try:
        yield connect
    finally:
        for writer in connections:
            writer.transport.abort()
        await runner.cleanup()


@pytest.mark.parametrize("head", [b"", b"GET /slow HTTP/1.1\r\nHost: gate"])
async def test_a_connection_without_a_whole_request_is_ended(head):
    async with listening(first_request_s=0.2) as connect:
        reader, writer = await connect()
        writer.write(head)
        assert await reader.read() == b""


async def test_a_head_that_comes_byte_by_byte_is_ended_too():
    async with listening(first_request_s=0.5) as connect:
        reader, writer = await connect()
        ended = asyncio.ensure_future(reader.read())
        writer.write(b"GET / HTTP/1.1\r\n")
        while not ended.done():
            writer.write(b"a: b\r\n")
            await asyncio.wait([ended], timeout=0.05)
        assert ended.result() == b""


async def test_half_of_a_second_request_is_ended_after_the_idle_time():
    async with listening(idle_s=0.2) as connect:
        reader, writer = await connect()
        writer.write(REQUEST % b"/" + b"GET /second HT")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"small")
        assert answer.count(b"HTTP/1.1") == 1


async def test_a_client_that_takes_nothing_of_an_answer_is_cut():
    async with listening(stalled_s=0.2) as connect:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.connect(connect.address)
            client.sendall(REQUEST % b"/large")
            while not connect.server.connections:
                await asyncio.sleep(0)
            while connect.server.connections:  # nothing but the limit can end it
                await asyncio.sleep(0.01)
            assert await asyncio.to_thread(_received_bytes, client) < len(LARGE)


def _received_bytes(client):
    received = 0
    try:
        while data := client.recv(1024 * 1024):
            received += len(data)
    except ConnectionResetError:
        pass
    return received


async def test_a_client_that_takes_its_answer_slowly_gets_it_whole():
    async with listening(stalled_s=0.2) as connect:
        reader, writer = await connect()
        writer.write(REQUEST % b"/large")
        await reader.readuntil(b"\r\n\r\n")
        taken = 0
        while taken < len(LARGE):
            data = await reader.read(1024 * 1024)
            assert data, taken
            taken += len(data)
            await asyncio.sleep(0.001)  # in all, several times the limit
        assert taken == len(LARGE)
