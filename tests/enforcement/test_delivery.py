import asyncio
import dataclasses
import hashlib
import os

import pytest

from gateway.domain.artifact import Span
from gateway.domain.errors import IntegrityError
from gateway.domain.evidence import JudgedSpan
from gateway.enforcement.delivery import AGAIN_BYTES, OpenBytes, OpenFile, _covering
from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault, Gate
from tests.enforcement.workbench import released_until_error, workbench

MIB = 1 << 20
PAGE = 64 * 1024
A = "anonymous"


@pytest.fixture
async def bench(tmp_path):
    async with workbench(tmp_path) as bench:
        yield bench


def span(content, start, end):
    return JudgedSpan(start, end, hashlib.sha256(content.read(start, end - start)).hexdigest())


def whole(artifact):
    return Span(0, artifact.entry.size_bytes)


async def read(bench, granted, wanted):
    """The bytes of a span, whichever way they are handed out."""
    is_whole = wanted == whole(granted.artifact)
    async with bench.delivery.open(granted, wanted, whole=is_whole) as opened:
        if isinstance(opened, OpenBytes):
            return opened.data
        if opened.fill is not None:
            await opened.fill.wait_committed()
        return os.pread(opened.fd, wanted.length, wanted.start)


@pytest.mark.parametrize("size_bytes", [MIB - 1, MIB + 1])
async def test_a_blob_is_not_cut_or_stretched_to_the_size_that_a_listing_claims(bench, size_bytes):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=1))
    await bench.fills.start(artifact, A).wait_committed()
    granted = bench.granted(artifact)
    liar = dataclasses.replace(artifact, entry=dataclasses.replace(artifact.entry, size_bytes=size_bytes))
    with pytest.raises(IntegrityError, match="listing"):
        await read(bench, dataclasses.replace(granted, artifact=liar), Span(0, size_bytes))
    assert await read(bench, granted, whole(artifact)) == bench.content(artifact).read(0, MIB)


async def test_a_committed_blob_is_open_and_pinned(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=1))
    await bench.fills.start(artifact, A).wait_committed()
    granted = bench.granted(artifact)
    async with bench.delivery.open(granted, whole(artifact), whole=True) as opened:
        assert isinstance(opened, OpenFile)
        assert opened.fill is None
        assert bench.store.pins[granted.sha256] == 1
        assert os.pread(opened.fd, MIB, 0) == bench.content(artifact).read(0, MIB)
        with pytest.raises(AssertionError):
            await opened.available(0)
    assert bench.store.pins[granted.sha256] == 0
    with pytest.raises(OSError):
        os.fstat(opened.fd)


async def test_a_cold_file_is_pinned_from_the_start_so_that_its_commit_cannot_be_evicted(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=2))
    granted = bench.granted(artifact)
    async with bench.delivery.open(granted, whole(artifact), whole=True) as opened:
        assert opened.fill is not None
        await opened.fill.wait_committed()
        assert bench.store.pins[granted.sha256] == 1
        assert await opened.available(0) == MIB


async def test_the_spans_of_the_grant_are_bound_to_the_fill(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(2 * MIB, seed=3))
    lie = JudgedSpan(PAGE, 2 * PAGE, "0" * 64)
    async with bench.delivery.open(bench.granted(artifact, [lie]), whole(artifact), whole=True) as opened:
        released, error = await released_until_error(opened.available)
        assert released <= PAGE
        assert isinstance(error, IntegrityError)
    assert not bench.store.blobs


async def test_a_blob_that_came_otherwise_is_held_against_what_was_judged(bench):
    """Judged by ranges that lied; the true file was fetched through another name and committed: it is not served."""
    artifact = bench.add("a/b", "x.bin", Sparse(2 * MIB, seed=4))
    await bench.fills.start(artifact, A).wait_committed()
    granted = bench.granted(artifact, [JudgedSpan(0, PAGE, "0" * 64)])
    for wanted in (whole(artifact), Span(0, 10), Span(MIB, MIB + 10)):
        with pytest.raises(IntegrityError):
            await read(bench, granted, wanted)
    assert [event.note for event in bench.events()] == ["integrity/mismatch"] * 3
    assert bench.generation == 3
    honest = bench.granted(artifact, [span(bench.content(artifact), 0, PAGE)])
    assert await read(bench, honest, Span(5, 10)) == bench.content(artifact).read(5, 5)


async def test_a_judged_range_of_a_file_that_is_not_here_is_read_and_proven_again(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=5))
    content = bench.content(artifact)
    granted = bench.granted(artifact, [span(content, 0, PAGE), span(content, PAGE, 3 * PAGE)])
    assert await read(bench, granted, Span(PAGE - 5, PAGE + 5)) == content.read(PAGE - 5, 10)
    assert bench.fills.running(artifact) is None, "a range of judged bytes starts no transfer"
    bench.sim.faults.add(Fault(path="*/*", host="cdn", corrupt_at=10))
    with pytest.raises(IntegrityError):
        await read(bench, granted, Span(100, 200))
    assert [event.note for event in bench.events()] == ["integrity/mismatch"]


async def test_a_judged_range_of_a_running_fill_costs_no_request(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=6))
    content = bench.content(artifact)
    stall = bench.sim.faults.add(Fault(path="*/*", host="cdn", stall_at=2 * MIB, stall_gate=Gate()))
    granted = bench.granted(artifact, [span(content, 0, PAGE)])
    fill = bench.fills.start(artifact, A)
    await fill.bind(granted.spans)
    await fill.wait_released(0)
    asked = len(bench.sim.requests)
    assert await read(bench, granted, Span(3, 9)) == content.read(3, 6)
    assert len(bench.sim.requests) == asked
    stall.stall_gate.open()
    await fill.wait_committed()


async def test_other_ranges_wait_for_the_commit(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=7))
    stall = bench.sim.faults.add(Fault(path="*/*", host="cdn", stall_at=3 * MIB, stall_gate=Gate()))
    waiting = asyncio.ensure_future(read(bench, bench.granted(artifact), Span(10, 20)))
    await stall.stall_gate.reached()
    assert not waiting.done()
    assert bench.delivery.progress(artifact)
    stall.stall_gate.open()
    assert await waiting == bench.content(artifact).read(10, 10)
    assert bench.delivery.progress(artifact) == ""


async def test_a_judged_span_too_large_to_read_twice_waits_for_the_file(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(AGAIN_BYTES + MIB, seed=8))
    content = bench.content(artifact)
    granted = bench.granted(artifact, [span(content, 0, AGAIN_BYTES + MIB)])
    assert await read(bench, granted, Span(0, AGAIN_BYTES + 1)) == content.read(0, AGAIN_BYTES + 1)
    assert len(bench.transfers(artifact)) == 1, "one transfer, no range reads"


J = [JudgedSpan(0, 10, "a"), JudgedSpan(10, 20, "b"), JudgedSpan(30, 40, "c")]


@pytest.mark.parametrize(
    ("wanted", "covering"),
    [
        (Span(0, 10), J[:1]),
        (Span(0, 11), J[:2]),
        (Span(9, 20), J[:2]),
        (Span(10, 20), J[1:2]),
        (Span(15, 31), []),
        (Span(20, 30), []),
        (Span(29, 35), []),
        (Span(35, 40), J[2:]),
        (Span(35, 41), []),
        (Span(40, 50), []),
    ],
)
def test_which_judged_spans_hold_a_range(wanted, covering):
    assert _covering(J, wanted) == covering
    assert _covering(list(reversed(J)), wanted) == covering
    assert _covering([], wanted) == []
