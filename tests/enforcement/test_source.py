"""What a scanner reads is what will be served: every way of reading is bound to the verified bytes (P3)."""

import asyncio
import hashlib

import pytest

from gateway.domain.errors import IntegrityError, StoreError
from gateway.domain.evidence import Coverage, JudgedSpan, ScanReport, Surface
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.gathering import Gathering
from gateway.enforcement.source import READ_AHEAD_BYTES, WHOLE_UP_TO_BYTES, EvidenceSource, WholeFileNeeded
from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault
from tests.enforcement.workbench import workbench
from tests.fakes.reading_scanner import ReadingScanner

MIB = 1 << 20
A = "anonymous"
WHOLE = ScanReport("own", "1", "pickle", Coverage(Surface.COMPLETE, whole_file=True))


@pytest.fixture
async def bench(tmp_path):
    async with workbench(tmp_path) as bench:
        yield bench


def source(bench, artifact, blob=None):
    return EvidenceSource(artifact, A, blob, bench.upstream)


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
    bound = reader.bound(WHOLE)
    assert set(bound.spans) == {
        JudgedSpan(o, o + 1000, hashlib.sha256(content.read(o, 1000)).hexdigest()) for o in (0, 4 * MIB)
    }
    own = (JudgedSpan(0, 5, "x"),)
    assert reader.bound(ScanReport("own", "1", "gguf", WHOLE.coverage, spans=own)).spans == own


async def test_a_file_read_whole_by_ranges_keeps_its_spans(bench):
    """A report without spans would bind to nothing: a hub could show ranges one file and the transfer another."""
    artifact = bench.add("a/b", "x.bin", Sparse(2 * MIB, seed=3))
    reader = source(bench, artifact)
    for offset in (0, MIB):
        await reader.read(offset, MIB)
    assert [(s.start, s.end) for s in reader.bound(WHOLE).spans] == [(0, MIB), (MIB, 2 * MIB)]


async def test_past_the_read_ahead_the_whole_file_is_needed(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(READ_AHEAD_BYTES + 2 * MIB, seed=4))
    reader = source(bench, artifact)
    for offset in range(0, READ_AHEAD_BYTES, 4 * MIB):
        await reader.read(offset, 4 * MIB)
    with pytest.raises(WholeFileNeeded):
        await reader.read(READ_AHEAD_BYTES, 1)
    assert reader.range_bytes == READ_AHEAD_BYTES


async def test_a_hub_without_ranges_needs_the_whole_file(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=7))
    bench.sim.faults.add(Fault(path="*/*", host="cdn", ignore_range=True))
    with pytest.raises(WholeFileNeeded):
        await source(bench, artifact).read(MIB, 1000)


async def test_a_committed_blob_needs_no_spans(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=8))
    blob = await bench.fills.start(artifact, A).wait_committed()
    bench.sim.clear()
    reader = source(bench, artifact, blob)
    assert await reader.read(MIB, 1000) == bench.content(artifact).read(MIB, 1000)
    assert not bench.sim.requests
    spans = (JudgedSpan(0, 10, "of a partial read"),)
    assert reader.bound(ScanReport("own", "1", "gguf", WHOLE.coverage, spans=spans)).spans == ()
    blob.path.unlink()
    with pytest.raises(StoreError):
        await reader.read(0, 10)


@pytest.fixture
def gather(bench):
    def gather(artifact, scanner):
        bench.reports.scanners = (scanner,)
        parts = bench.reports, bench.upstream, bench.store, bench.facts, bench.fills, bench.integrity
        return Gathering(*parts, SingleFlight(bench.background)).gather(artifact, A)

    return gather


@pytest.mark.parametrize("lfs", [True, False])
async def test_a_small_file_is_fetched_once_verified_and_only_then_scanned(bench, gather, lfs):
    artifact = bench.add("a/b", "x.bin", b"pickle" * 1000, lfs=lfs)
    scanner = ReadingScanner()
    evidence = await gather(artifact, scanner)
    assert scanner.seen == b"pickle" * 1000
    assert evidence.sha256 == bench.content(artifact).sha256
    assert evidence.sha256 in bench.store.blobs
    assert evidence.reports[0].spans == ()
    assert len(bench.transfers(artifact)) == 1


async def test_bytes_that_do_not_verify_are_never_scanned(bench, gather):
    artifact = bench.add("a/b", "x.bin", b"pickle" * 1000)
    bench.sim.faults.add(Fault(path="*/*", host="cdn", corrupt_at=3000))
    scanner = ReadingScanner()
    with pytest.raises(IntegrityError):
        await gather(artifact, scanner)
    assert scanner.seen == b""


async def test_a_scan_that_needs_all_of_a_large_file_reads_the_verified_blob(bench, gather):
    """The ranges before it lied: what counts is the file that will be served."""
    artifact = bench.add("a/b", "x.bin", Sparse(READ_AHEAD_BYTES + MIB, seed=9))
    scanner = ReadingScanner()
    with bench.sim.faults.during(Fault(path="*/*", host="cdn", times=READ_AHEAD_BYTES // MIB, corrupt_at=100)):
        evidence = await gather(artifact, scanner)
    assert hashlib.sha256(scanner.seen).hexdigest() == bench.content(artifact).sha256
    assert evidence.reports[0].spans == ()


async def test_a_scan_of_a_few_ranges_fetches_nothing_else(bench, gather):
    artifact = bench.add("a/b", "x.bin", Sparse(WHOLE_UP_TO_BYTES + MIB, seed=10))
    evidence = await gather(artifact, ReadingScanner(most_bytes=2 * MIB))
    assert [(s.start, s.end) for s in evidence.reports[0].spans] == [(0, MIB), (MIB, 2 * MIB)]
    assert not bench.store.blobs
    assert bench.store.pins[evidence.sha256] == 0


async def test_many_that_ask_cost_one_scan_and_one_transfer(bench, gather):
    artifact = bench.add("a/b", "x.bin", b"x" * 500_000)
    scanner = ReadingScanner()
    flights = SingleFlight(bench.background)
    bench.reports.scanners = (scanner,)
    parts = bench.reports, bench.upstream, bench.store, bench.facts, bench.fills, bench.integrity
    gathering = Gathering(*parts, flights)
    results = await asyncio.gather(*(gathering.gather(artifact, A) for _ in range(8)))
    assert all(result is results[0] for result in results)
    assert len(bench.transfers(artifact)) == 1
