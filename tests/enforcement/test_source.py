"""What a scanner reads is what will be served: every way of reading is bound to the verified bytes (P3)."""

import asyncio
import hashlib

import pytest

from gateway.domain.errors import IntegrityError, StoreError
from gateway.domain.evidence import Coverage, JudgedSpan, ScanReport, Surface
from gateway.enforcement.source import READ_AHEAD_BYTES, WHOLE_BELOW_BYTES, EvidenceSource
from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault
from tests.enforcement.workbench import workbench

MIB = 1 << 20
A = "anonymous"
WHOLE = ScanReport("own", "1", "pickle", Coverage(Surface.COMPLETE, whole_file=True))


@pytest.fixture
async def bench(tmp_path):
    async with workbench(tmp_path) as bench:
        yield bench


def source(bench, artifact, blob=None):
    return EvidenceSource(artifact, A, blob, bench.fills, bench.upstream)


async def test_reads_are_cut_at_the_end(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(2 * MIB, seed=1))
    reader = source(bench, artifact)
    assert await reader.read(2 * MIB - 5, 100) == bench.content(artifact).read(2 * MIB - 5, 5)
    assert await reader.read(2 * MIB, 100) == b""
    assert await reader.read(3 * MIB, 100) == b""


async def test_a_large_file_is_read_by_ranges_and_bound_to_them(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(8 * MIB, seed=2))
    content, reader = bench.content(artifact), source(bench, artifact)
    for offset in (0, 4 * MIB, 0):
        assert await reader.read(offset, 1000) == content.read(offset, 1000)
    assert bench.fills.running(artifact) is None
    bound = await reader.bound(WHOLE)
    assert set(bound.spans) == {
        JudgedSpan(o, o + 1000, hashlib.sha256(content.read(o, 1000)).hexdigest()) for o in (0, 4 * MIB)
    }
    own = (JudgedSpan(0, 5, "x"),)
    assert (await reader.bound(ScanReport("own", "1", "gguf", WHOLE.coverage, spans=own))).spans == own


async def test_a_file_read_whole_by_ranges_keeps_its_spans(bench):
    """A report without spans would bind to nothing: a hub could show ranges one file and the transfer another."""
    size = WHOLE_BELOW_BYTES + MIB
    artifact = bench.add("a/b", "x.bin", Sparse(size, seed=3))
    reader = source(bench, artifact)
    for offset in range(0, size, MIB):
        await reader.read(offset, MIB)
    assert [(s.start, s.end) for s in (await reader.bound(WHOLE)).spans] == [(0, MIB), (MIB, 2 * MIB)]


@pytest.mark.parametrize("lfs", [True, False])
async def test_a_small_file_is_fetched_whole_and_verified_before_its_report_counts(bench, lfs):
    artifact = bench.add("a/b", "x.bin", b"pickle" * 1000, lfs=lfs)
    reader = source(bench, artifact)
    assert await reader.read(0, 6) == b"pickle"
    assert (await reader.bound(WHOLE)).spans == ()
    assert bench.content(artifact).sha256 in bench.store.blobs
    assert reader.range_bytes == 0


async def test_a_report_on_a_transfer_that_does_not_verify_never_counts(bench):
    artifact = bench.add("a/b", "x.bin", b"pickle" * 1000)
    bench.sim.faults.add(Fault(path="*/*", host="cdn", corrupt_at=3000))
    reader = source(bench, artifact)

    async def judge():
        await reader.read(0, 6)
        return await reader.bound(WHOLE)

    with pytest.raises(IntegrityError):
        await judge()
    assert not bench.store.blobs


async def test_past_the_read_ahead_the_scan_turns_into_a_transfer_and_its_ranges_are_compared(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(READ_AHEAD_BYTES + 2 * MIB, seed=4))
    content = bench.content(artifact)
    reader = source(bench, artifact)
    for offset in range(0, artifact.entry.size_bytes, 2 * MIB):
        assert await reader.read(offset, 2 * MIB) == content.read(offset, 2 * MIB)
    assert reader.range_bytes == READ_AHEAD_BYTES
    assert (await reader.bound(WHOLE)).spans == ()
    assert content.sha256 in bench.store.blobs


async def test_ranges_that_differ_from_the_transfer_after_them_are_found(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(READ_AHEAD_BYTES + 2 * MIB, seed=5))
    reader = source(bench, artifact)
    with bench.sim.faults.during(Fault(path="*/*", host="cdn", corrupt_at=100)):
        await reader.read(0, MIB)
    await reader.read(MIB, READ_AHEAD_BYTES)
    with pytest.raises(IntegrityError):
        await reader.bound(WHOLE)


async def test_a_running_fill_is_joined(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(8 * MIB, seed=6))
    fill = bench.fills.start(artifact, A)
    await source(bench, artifact).read(MIB, MIB)
    assert await fill.wait_committed()
    assert len(bench.transfers(artifact)) == 1


async def test_a_hub_without_ranges_is_read_whole(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=7))
    bench.sim.faults.add(Fault(path="*/*", host="cdn", ignore_range=True))
    reader = source(bench, artifact)
    assert await reader.read(MIB, 1000) == bench.content(artifact).read(MIB, 1000)
    assert (await reader.bound(WHOLE)).spans == ()
    assert bench.content(artifact).sha256 in bench.store.blobs


async def test_a_committed_blob_needs_no_spans(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=8))
    blob = await bench.fills.start(artifact, A).wait_committed()
    bench.sim.clear()
    reader = source(bench, artifact, blob)
    assert await reader.read(MIB, 1000) == bench.content(artifact).read(MIB, 1000)
    assert not bench.sim.requests
    spans = (JudgedSpan(0, 10, "of a partial read"),)
    assert (await reader.bound(ScanReport("own", "1", "gguf", WHOLE.coverage, spans=spans))).spans == ()
    blob.path.unlink()
    with pytest.raises(StoreError):
        await reader.read(0, 10)


async def test_many_readers_cost_one_transfer(bench):
    artifact = bench.add("a/b", "x.bin", b"x" * 500_000)
    await asyncio.gather(*(source(bench, artifact).read(0, 1000) for _ in range(8)))
    assert len(bench.transfers(artifact)) == 1
