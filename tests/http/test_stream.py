"""The sending end on real sockets, under uvloop and asyncio, plain and TLS: whole bodies, slow and vanishing clients."""

import asyncio
import contextlib
import hashlib
import os
import random
import socket
import ssl
import threading

import pytest
import trustme
import uvloop
from aiohttp import web

from gateway.domain.errors import GatewayError, IntegrityError
from gateway.http.stream import PIECE_BYTES, ClientGone, Sending, reset

SIZE = 6 * 1024 * 1024 + 4321
DATA = random.Random(1).randbytes(SIZE)
LOOPS = {"uvloop": uvloop.run, "asyncio": asyncio.run}


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "big"
    path.write_bytes(DATA)
    return path


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(
    params=[(loop, tls) for loop in LOOPS for tls in (False, True)],
    ids=lambda p: f"{p[0]}-{'tls' if p[1] else 'plain'}",
)
def serve(request, big, authority):
    """`serve(scenario, …)` runs a server in a thread of its own while `scenario(connect)` runs here; returns the log."""
    loop_name, tls = request.param

    def run(scenario, *, stalled_s=30.0, available=None, size=SIZE, path=big, send_buffer=0):
        ready, log, box = threading.Event(), [], {}

        async def handle(req):
            if req.path == "/small":
                return web.Response(body=b"small")
            if req.path == "/copied":
                return web.Response(body=DATA)
            fd = os.open(path, os.O_RDONLY)
            response = web.StreamResponse()
            response.content_length = size
            await response.prepare(req)
            sending, note = Sending(req, response, stalled_s), ""
            try:
                if req.method != "HEAD":
                    await sending.run(fd, 0, size, available)
                await response.write_eof()
            except (ClientGone, GatewayError) as error:
                note = f"{type(error).__name__}: {error}"
                reset(req.transport)
            finally:
                os.close(fd)
                log.append((sending.sent, note))
                box["logged"].set()
            return response

        async def main():
            box["loop"], box["stop"] = asyncio.get_running_loop(), asyncio.Event()
            box["logged"] = threading.Event()
            runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
            await runner.setup()
            context = None
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
            sock = socket.create_server(("127.0.0.1", 0))
            if send_buffer:  # inherited by every connection
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            await web.SockSite(runner, sock, ssl_context=context).start()
            box["port"] = sock.getsockname()[1]
            ready.set()
            await box["stop"].wait()
            await runner.cleanup()

        thread = threading.Thread(target=LOOPS[loop_name], args=(main(),))
        thread.start()
        assert ready.wait(10)

        def connect(receive_buffer=None):
            raw = socket.socket()
            if receive_buffer:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            raw.settimeout(20)
            raw.connect(("127.0.0.1", box["port"]))
            if tls:
                context = ssl.create_default_context()
                authority.configure_trust(context)
                raw = context.wrap_socket(raw, server_hostname="localhost")
            return raw

        connect.log, connect.box = log, box
        try:
            scenario(connect)
            if not log:
                assert box["logged"].wait(20)
        finally:
            box["loop"].call_soon_threadsafe(box["stop"].set)
            thread.join(20)
        assert not thread.is_alive()
        return log

    run.tls = tls
    return run


def ask(sock, *requests):
    sock.sendall(b"".join(f"{m} {t} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for m, t in requests))


class Answers:
    """Reads answers off one connection, one after the other."""

    def __init__(self, sock):
        self._file = sock.makefile("rb")

    def next(self, has_body=True):
        status = self._file.readline()
        assert status.startswith(b"HTTP/1.1 200"), status
        length = 0
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return self._file.read(length) if has_body else length


def test_one_connection_carries_bodies_one_after_the_other(serve):
    def scenario(connect):
        with connect() as sock:
            answers = Answers(sock)
            for _ in range(3):
                ask(sock, ("GET", "/big"))
                assert answers.next() == DATA
                ask(sock, ("GET", "/small"))
                assert answers.next() == b"small"
                ask(sock, ("HEAD", "/big"))
                assert answers.next(has_body=False) == SIZE

    log = serve(scenario)
    assert [sent for sent, _ in log] == [SIZE, 0] * 3
    assert not [note for _, note in log if note]


def test_pipelined_requests_are_answered_in_order(serve):
    def scenario(connect):
        with connect() as sock:
            ask(sock, ("GET", "/big"), ("GET", "/small"), ("HEAD", "/big"), ("GET", "/big"), ("GET", "/small"))
            answers = Answers(sock)
            assert answers.next() == DATA
            assert answers.next() == b"small"
            assert answers.next(has_body=False) == SIZE
            assert answers.next() == DATA
            assert answers.next() == b"small"

    serve(scenario)


def test_what_the_transport_still_holds_goes_first(serve):
    """A large answer that was copied, and right behind it one that is sent past the transport's buffer."""

    def scenario(connect):
        with connect(receive_buffer=4096) as sock:
            ask(sock, ("GET", "/copied"), ("GET", "/big"), ("GET", "/copied"), ("GET", "/small"))
            answers = Answers(sock)
            assert [answers.next() == DATA for _ in range(3)] == [True] * 3
            assert answers.next() == b"small"

    serve(scenario, send_buffer=4096)


def test_a_connection_that_ends_with_the_answer_carries_all_of_it(serve):
    def scenario(connect):
        with connect(receive_buffer=4096) as sock:
            sock.sendall(b"GET /big HTTP/1.0\r\nHost: x\r\n\r\n")
            got = bytearray()
            while piece := sock.recv(1 << 16):
                got += piece
            assert bytes(got).partition(b"\r\n\r\n")[2] == DATA

    assert serve(scenario) == [(SIZE, "")]


def test_a_narrow_pipe_gets_every_byte(serve):
    def scenario(connect):
        with connect(receive_buffer=4096) as sock:
            ask(sock, ("GET", "/big"))
            digest, got = hashlib.sha256(), 0
            file = sock.makefile("rb", buffering=0)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += file.read(1)
            while got < SIZE:
                piece = file.read(3000 + got % 50_000)
                assert piece
                digest.update(piece)
                got += len(piece)
            assert digest.digest() == hashlib.sha256(DATA).digest()

    assert serve(scenario) == [(SIZE, "")]


def test_a_client_that_takes_nothing_is_cut_off_and_others_are_served(serve):
    def scenario(connect):
        with connect(receive_buffer=4096) as stuck:
            ask(stuck, ("GET", "/big"))
            assert stuck.recv(1)
            with connect() as other:
                ask(other, ("GET", "/big"))
                assert Answers(other).next() == DATA
            while len(connect.log) < 2:
                connect.box["logged"].wait(20)
                connect.box["logged"].clear()

    log = serve(scenario, stalled_s=0.3)
    whole, cut = sorted(log, key=lambda entry: -entry[0])
    assert whole == (SIZE, "")
    assert cut[0] < SIZE
    assert cut[1] == "ClientGone: the client took nothing for 0.3 s"


def test_a_client_that_leaves_is_noticed(serve):
    def scenario(connect):
        with connect(receive_buffer=4096) as sock:
            ask(sock, ("GET", "/big"))
            assert sock.recv(1000)

    ((sent, note),) = serve(scenario)
    assert 0 < sent < SIZE
    assert note.startswith("ClientGone: the client left")


def test_a_file_that_ends_early_never_looks_whole(serve, tmp_path):
    short = tmp_path / "short"
    short.write_bytes(DATA[: SIZE // 2])

    def scenario(connect):
        with connect() as sock, contextlib.suppress(ConnectionError, ssl.SSLError):
            ask(sock, ("GET", "/big"))
            assert len(Answers(sock).next()) < SIZE

    ((sent, note),) = serve(scenario, path=short)
    assert sent <= SIZE // 2
    assert "ended early" in note


def test_nothing_beyond_what_is_available_leaves_and_an_error_counts_what_left(serve):
    async def available(offset):
        if offset >= 2 * PIECE_BYTES + 7:
            raise IntegrityError("other bytes")
        return offset + PIECE_BYTES // 2 if offset < PIECE_BYTES else 2 * PIECE_BYTES + 7

    def scenario(connect):
        with connect() as sock:
            ask(sock, ("GET", "/big"))
            got = bytearray()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while piece := sock.recv(1 << 16):
                    got += piece
            body = bytes(got).partition(b"\r\n\r\n")[2]
            assert len(body) <= 2 * PIECE_BYTES + 7
            assert DATA.startswith(body)

    assert serve(scenario, available=available) == [(2 * PIECE_BYTES + 7, "IntegrityError: other bytes")]
