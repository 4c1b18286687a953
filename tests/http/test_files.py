"""The answers for an allowed file on a real connection, where the end-to-end tests cannot look: what the ledger is told,
and what happens when the ledger, the disk or the time fails."""

import asyncio
import dataclasses
import os
import time

import pytest
from aiohttp import ClientSession, web
from aiohttp.client_exceptions import ClientError

from gateway.domain.errors import GatewayError, StoreError
from gateway.domain.record import RecordKind
from gateway.domain.subject import ANONYMOUS, Client
from gateway.enforcement.context import RequestContext
from gateway.http.files import (
    CLIENT_WAIT_S,
    FIRST_BYTE_S,
    LEAST_WAIT_S,
    SMALL_BYTES,
    Files,
    SmallBlobs,
    _patience_s,
    _read_small,
)
from gateway.http.metrics import Metrics
from gateway.ports import Rendering
from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault, Gate
from tests.enforcement.workbench import workbench

MIB = 1 << 20
ETAG = '"e"'


@pytest.fixture
async def bench(tmp_path):
    async with workbench(tmp_path) as bench:
        yield bench


@pytest.fixture
async def serve(bench):
    """`await serve(granted)`: the URL of a server whose every answer is that file; `served.errors` what it raised."""
    runners = []

    async def start(granted):
        files = Files(bench.delivery, bench.recording, Metrics())
        start.errors = []
        start.granted = granted
        start.started_s = time.monotonic

        async def handle(request):
            context = RequestContext(
                "r-1", request.method, ANONYMOUS, Client("", ""), "127.0.0.1", started_s=start.started_s()
            )
            try:
                return await files.answer(request, context, start.granted, Rendering(200, (("ETag", ETAG),)))
            except GatewayError as error:
                start.errors.append(error)
                return web.Response(status=429)

        runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def session():
    async with ClientSession() as session:
        yield session


def deliveries(bench):
    return bench.ledger.of_kind(RecordKind.DELIVERY)


async def test_a_streamed_body_carries_the_request_id_and_is_recorded(bench, serve, session):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=1))
    url = await serve(bench.granted(artifact))
    async with session.get(url) as answer:
        assert await answer.read() == bench.content(artifact).read(0, MIB)
        assert answer.headers["X-Request-Id"] == "r-1"
        assert answer.headers["ETag"] == ETAG
    [record] = deliveries(bench)
    assert (record.span, record.bytes_delivered, record.note, record.request_id) == ((0, MIB), MIB, "", "r-1")


async def test_a_range_is_recorded_as_its_span(bench, serve, session):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=2))
    url = await serve(bench.granted(artifact))
    for headers, span in (({"Range": "bytes=5-9"}, (5, 10)), ({"Range": "bytes=-7"}, (MIB - 7, MIB))):
        async with session.get(url, headers=headers) as answer:
            assert answer.status == 206
            assert await answer.read() == bench.content(artifact).read(span[0], span[1] - span[0])
        await bench.recording.flush()
        assert deliveries(bench)[-1].span == span


async def test_a_small_file_comes_from_memory_the_second_time(bench, serve, session):
    artifact = bench.add("a/b", "x.bin", b"x" * SMALL_BYTES)
    url = await serve(bench.granted(artifact))
    await bench.fills.start(artifact, "anonymous").wait_committed()
    for _ in range(2):
        async with session.get(url) as answer:
            assert await answer.read() == b"x" * SMALL_BYTES
        bench.store.blobs[bench.content(artifact).sha256].path.unlink(missing_ok=True)
    assert [record.bytes_delivered for record in deliveries(bench)] == [SMALL_BYTES] * 2


async def test_a_small_blob_under_a_listing_that_lies_about_its_size_is_not_served_from_memory(bench, serve, session):
    artifact = bench.add("a/b", "x.bin", b"x" * 1000)
    await bench.fills.start(artifact, "anonymous").wait_committed()
    url = await serve(bench.granted(artifact))
    async with session.get(url) as answer:
        assert await answer.read() == b"x" * 1000
    lying = dataclasses.replace(artifact, entry=dataclasses.replace(artifact.entry, size_bytes=900))
    serve.granted = dataclasses.replace(bench.granted(artifact), artifact=lying)
    for headers in ({}, {"Range": "bytes=0-9"}):
        async with session.get(url, headers=headers) as answer:
            assert answer.status == 429
            assert await answer.read() == b""
    assert {error.code for error in serve.errors} == {"integrity/mismatch"}


async def test_no_small_body_leaves_that_cannot_be_recorded(bench, serve, session):
    artifact = bench.add("a/b", "x.bin", b"x" * 1000)
    await bench.fills.start(artifact, "anonymous").wait_committed()
    url = await serve(bench.granted(artifact))
    bench.ledger.fail()
    async with session.get(url) as answer:
        assert answer.status == 429
        assert await answer.read() == b""
    assert serve.errors[0].code == "ledger/unwritable"


async def test_a_ledger_that_fails_under_a_body_ends_the_connection_without_a_second_answer(bench, serve):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=3))
    await bench.fills.start(artifact, "anonymous").wait_committed()
    url = await serve(bench.granted(artifact))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")))
    bench.ledger.fail()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
    got = bytearray()
    try:
        while piece := await reader.read(1 << 16):
            got += piece
    except ConnectionError:
        pass
    writer.close()
    assert got.count(b"HTTP/1.1") == 1
    assert not serve.errors


async def test_trouble_before_the_first_byte_has_words(bench, serve, session):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=4))
    stall = bench.sim.faults.add(Fault(path="*/*", host="cdn", gate=Gate()))
    url = await serve(bench.granted(artifact))
    serve.started_s = lambda: time.monotonic() - 60  # admission has used up what a client waits
    async with session.get(url) as answer:
        assert answer.status == 429
    assert serve.errors[0].code == "fill/under-way"
    stall.gate.open()
    await bench.fills.start(artifact, "anonymous").wait_committed()


async def test_a_cut_transfer_cuts_the_client_and_counts_what_left(bench, serve, session):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=5))
    bench.sim.faults.add(Fault(path="*/*", host="cdn", corrupt_at=100))
    url = await serve(bench.granted(artifact))
    async with session.get(url) as answer:
        assert answer.status == 200
        with pytest.raises((ClientError, ConnectionError)):
            await answer.read()
    while not deliveries(bench):
        await asyncio.sleep(0)
    [record] = deliveries(bench)
    assert record.note.startswith("cut: integrity/")
    assert 0 < record.bytes_delivered <= 4 * MIB - 64 * 1024


def test_small_blobs_are_bounded_by_bytes_and_the_oldest_goes_first():
    small = SmallBlobs(most_bytes=10)
    small.put("a", b"1234")
    small.put("b", b"1234")
    assert small.get("a") == b"1234"
    small.put("c", b"1234")
    assert small.get("b") is None
    assert (small.get("a"), small.get("c")) == (b"1234", b"1234")


def test_the_first_byte_takes_no_longer_than_admission_leaves():
    def patience(elapsed_s):
        now = time.monotonic()
        context = RequestContext("r", "GET", ANONYMOUS, Client("", ""), "", started_s=now - elapsed_s)
        return _patience_s(context)

    assert patience(0) == FIRST_BYTE_S
    assert patience(8.0) <= CLIENT_WAIT_S - 8.0
    assert patience(60.0) == LEAST_WAIT_S


def test_a_small_blob_that_shrank_is_not_served(tmp_path):
    (tmp_path / "blob").write_bytes(b"abc")
    fd = os.open(tmp_path / "blob", os.O_RDONLY)
    try:
        assert _read_small(fd, 3) == b"abc"
        with pytest.raises(StoreError):
            _read_small(fd, 4)
    finally:
        os.close(fd)
