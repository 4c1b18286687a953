"""Ranges of a running fill: which formats, and where each piece comes from."""

import asyncio
import dataclasses
import os
from hashlib import sha256

import pytest

from gateway.domain.artifact import Span
from gateway.domain.errors import IntegrityError, UpstreamError
from gateway.domain.evidence import Coverage, Finding, FindingClass, JudgedSpan, ScanReport, Severity, Surface
from gateway.enforcement.delivery import OpenFile
from gateway.enforcement.partial import (
    AT_ONCE_BYTES,
    INERT_IN_PART,
    PIECE_BYTES,
    SIGN_BYTES,
    OpenPart,
    Staged,
    inert_in_part,
)
from gateway.scanners.registry import INSPECTORS
from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault, Gate
from tests.enforcement.workbench import workbench

MIB = 1 << 20
SIZE = 40 * MIB
TAIL = 64 * 1024


def report(word, surface=Surface.COMPLETE, *severities):
    findings = tuple(Finding("r", FindingClass.AMBIGUITY, severity, "m") for severity in severities)
    return ScanReport("own", "1", word, Coverage(surface, whole_file=False), findings)


def test_the_list_holds_nothing_that_can_execute_or_is_text():
    assert set(INSPECTORS) >= INERT_IN_PART
    acts = {
        "pickle",
        "torch-zip",
        "torch-legacy",
        "numpy",
        "zip",
        "npz",
        "keras",
        "tar",
        "executable",
        "python",
        "json",
    }
    assert not INERT_IN_PART & (
        acts | {"hdf5", "onnx", "tensorflow", "unknown", "text", "markdown", "yaml", "sentencepiece"}
    )


@pytest.mark.parametrize("word", sorted(INSPECTORS))
def test_only_what_is_on_the_list_seen_completely_and_not_suspected(word):
    assert inert_in_part([report(word)]) is (word in INERT_IN_PART)
    for surface in (Surface.PARTIAL, Surface.FAILED, Surface.NOT_RUN):
        assert not inert_in_part([report(word, surface)])
    assert not inert_in_part([report(word, Surface.COMPLETE, Severity.HIGH)])
    assert not inert_in_part([report(word), report("pickle")]), "every scanner"
    assert not inert_in_part([])


@pytest.fixture
async def bench(tmp_path):
    async with workbench(tmp_path) as bench:
        artifact = bench.add("a/b", "x.safetensors", Sparse(SIZE, seed=41))
        bench.stall = bench.sim.faults.add(Fault(path="*/*", host="cdn", stall_at=8 * MIB, stall_gate=Gate()))
        bench.fill = bench.fills.start(artifact, "anonymous")
        await bench.fill.wait_written(4 * MIB)
        bench.artifact = artifact
        yield bench
        bench.stall.stall_gate.open()


def part(bench, start, end):
    reads = asyncio.Semaphore(4)
    return OpenPart(
        bench.granted(bench.artifact), Span(start, end), bench.fill, bench.upstream, bench.delivery._judged_bytes, reads
    )


def ranges(bench):
    return [r.range for r in bench.transfers(bench.artifact) if r.range]


async def test_what_the_fill_has_comes_from_it(bench):
    assert await part(bench, MIB, 3 * MIB).next(MIB) == Staged(3 * MIB)
    assert not ranges(bench)


async def test_a_short_range_far_ahead_is_read_in_pieces_and_owed_a_comparison(bench):
    await asyncio.sleep(1.0)  # the fill's rate is known
    opened = part(bench, 30 * MIB, 33 * MIB)
    await opened.ready()
    first = await opened.next(30 * MIB)
    assert first == bench.content(bench.artifact).read(30 * MIB, PIECE_BYTES)
    second = await opened.next(30 * MIB + PIECE_BYTES)
    assert len(second) == MIB
    assert len(ranges(bench)) == 2
    assert [(s.start, s.end) for s in bench.fill.release.promised] == [(30 * MIB, 32 * MIB), (32 * MIB, 33 * MIB)]
    assert not opened.is_verified
    bench.stall.stall_gate.open()
    await bench.fill.wait_committed()
    assert opened.is_verified


async def test_a_long_range_gets_a_sign_of_life(bench):
    opened = part(bench, 20 * MIB, 20 * MIB + AT_ONCE_BYTES + 1)
    assert await opened.next(20 * MIB) == bench.content(bench.artifact).read(20 * MIB, SIGN_BYTES)


async def test_so_do_many_short_ones_at_once(bench):
    await asyncio.sleep(1.0)
    bench.fill.parts = 9
    assert len(await part(bench, 30 * MIB, 33 * MIB).next(30 * MIB)) == SIGN_BYTES
    bench.fill.parts = 8
    assert len(await part(bench, 31 * MIB, 34 * MIB).next(31 * MIB)) == PIECE_BYTES


async def test_the_tail_is_left_out_and_waited_for(bench):
    await asyncio.sleep(1.0)
    opened = part(bench, SIZE - TAIL - 10, SIZE)
    assert await opened.next(SIZE - TAIL - 10) == bench.content(bench.artifact).read(SIZE - TAIL - 10, 10)
    waiting = asyncio.ensure_future(opened.next(SIZE - TAIL))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    bench.stall.stall_gate.open()
    assert await waiting == Staged(SIZE)


async def test_bytes_that_differ_from_what_a_client_had_end_the_fill(bench):
    await asyncio.sleep(1.0)
    lie = bench.sim.faults.add(Fault(path="*/*", host="cdn", corrupt_at=30 * MIB))
    opened = part(bench, 30 * MIB, 30 * MIB + 100)
    bench.fill.takers.add("someone", 30 * MIB, 30 * MIB + 100)
    await opened.next(30 * MIB)
    bench.sim.faults.remove(lie)
    bench.stall.stall_gate.open()
    with pytest.raises(IntegrityError):
        await bench.fill.wait_committed()
    while bench.fills.running(bench.artifact) is not None:
        await asyncio.sleep(0)
    [event] = bench.events()
    assert event.extra["takers"] == [{"subject": "someone", "spans": [[30 * MIB, 30 * MIB + 100]]}]
    with pytest.raises(IntegrityError):
        await opened.next(30 * MIB + 50)


async def test_a_large_judged_span_never_comes_from_the_hub_unproven(bench):
    """A header of more than 8 MiB was judged as one span: what of it leaves are the bytes that were judged."""
    bench.fill._begun_s -= 3600  # so slow that nothing of it comes soon
    start, end = 20 * MIB, 20 * MIB + AT_ONCE_BYTES + MIB
    judged = JudgedSpan(start, end, sha256(bench.content(bench.artifact).read(start, end - start)).hexdigest())
    lie = bench.sim.faults.add(Fault(path="*/*", host="cdn", corrupt_at=start + MIB))
    opened = part(bench, start + MIB, start + MIB + 100)
    opened.granted = dataclasses.replace(opened.granted, spans=(judged,))
    assert await bench.fill.bind([judged])
    waiting = asyncio.ensure_future(opened.next(start + MIB))
    await asyncio.wait({waiting}, timeout=1.0)
    assert not waiting.done()
    assert not ranges(bench)
    bench.sim.faults.remove(lie)
    bench.stall.stall_gate.open()
    assert await waiting == Staged(start + MIB + 100)


async def test_trouble_of_the_hub_is_raised(bench):
    await asyncio.sleep(1.0)
    bench.sim.faults.add(Fault(path="*/*", method="GET", status=404, body=b""))
    with pytest.raises(UpstreamError):
        await part(bench, 30 * MIB, 30 * MIB + 100).ready()


async def test_a_committed_file_is_no_part(bench):
    granted = dataclasses.replace(bench.granted(bench.artifact), inert_in_part=True)
    async with bench.delivery.open_range(granted, Span(5, 10)) as opened:
        assert isinstance(opened, OpenPart)
    bench.stall.stall_gate.open()
    await bench.fill.wait_committed()
    async with bench.delivery.open_range(granted, Span(5, 10)) as opened:
        assert isinstance(opened, OpenFile)
        assert os.pread(opened.fd, 5, 5) == bench.content(bench.artifact).read(5, 5)
