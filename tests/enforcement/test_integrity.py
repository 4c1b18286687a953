import asyncio
from dataclasses import replace

import pytest

from gateway.domain.artifact import Artifact
from gateway.domain.errors import IntegrityError, UpstreamError
from gateway.domain.evidence import Coverage, ScanReport, Surface
from gateway.domain.record import Durability
from gateway.enforcement.integrity import POISONED_S
from gateway.enforcement.reports import content_key
from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault
from tests.enforcement.workbench import workbench

A = "anonymous"


@pytest.fixture
async def bench(tmp_path):
    async with workbench(tmp_path) as bench:
        yield bench


async def ended(bench, artifact):
    """Run a fill to its end, whatever it is, and until everyone was told."""
    fill = bench.fills.start(artifact, A)
    await asyncio.gather(fill.wait_committed(), return_exceptions=True)
    while bench.fills.running(artifact) is not None:
        await asyncio.sleep(0)
    return fill


async def test_a_digest_is_blocked_for_a_while_and_then_good_bytes_are_served(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(200_000, seed=1))
    with bench.sim.faults.during(Fault(path="*/*", host="cdn", corrupt_at=5)):
        assert isinstance((await ended(bench, artifact)).error, IntegrityError)
    with pytest.raises(IntegrityError, match="blocked"):
        await bench.integrity.refuse_poisoned(artifact)
    bench.clock.pass_s(POISONED_S - 1)
    with pytest.raises(IntegrityError):
        await bench.integrity.refuse_poisoned(artifact)
    bench.clock.pass_s(2)
    await bench.integrity.refuse_poisoned(artifact)
    assert (await ended(bench, artifact)).blob is not None


async def test_the_event_is_durable_and_names_the_digest(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(200_000, seed=2))
    await bench.integrity.poison(artifact, "bytes changed")
    [(record, durability)] = bench.ledger.entries
    assert durability is Durability.DURABLE
    assert record.note == "integrity/mismatch"
    assert record.extra["digest"] == str(artifact.entry.digest)
    assert record.extra["cause"] == "bytes changed"


async def test_reports_and_remembered_grants_of_the_old_bytes_are_gone(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(200_000, seed=3))
    content = content_key(artifact.entry.sha256, artifact.entry.size_bytes)
    report = ScanReport("own", "1", "gguf", Coverage(Surface.COMPLETE, whole_file=False))
    await bench.reports.put(bench.scanner, content, artifact.path, report)
    await bench.integrity.poison(artifact, "bytes changed")
    assert await bench.reports.get(bench.scanner, content, artifact.path) is None
    assert bench.generation == 1


async def test_another_digest_is_not_blocked(bench):
    bad, good = (bench.add(f"a/r{n}", "x.bin", Sparse(200_000, seed=4 + n)) for n in range(2))
    await bench.integrity.poison(bad, "bytes changed")
    await bench.integrity.refuse_poisoned(good)


async def test_an_outage_poisons_nothing(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(200_000, seed=6))
    with bench.sim.faults.during(Fault(path="*/*", host="cdn", status=503, body=b"")):
        assert isinstance((await ended(bench, artifact)).error, UpstreamError)
    await bench.integrity.refuse_poisoned(artifact)
    assert not bench.events()


async def test_a_ledger_that_cannot_record_the_event_does_not_keep_the_fill_alive(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(200_000, seed=7))
    bench.ledger.fail()
    with bench.sim.faults.during(Fault(path="*/*", host="cdn", corrupt_at=5)):
        assert isinstance((await ended(bench, artifact)).error, IntegrityError)
    with pytest.raises(IntegrityError):
        await bench.integrity.refuse_poisoned(artifact)


def lying(artifact: Artifact, size_bytes: int) -> Artifact:
    """The same digest, listed elsewhere with another size: everybody can push such a pointer to a repo of their own."""
    return replace(artifact, entry=replace(artifact.entry, size_bytes=size_bytes))


async def test_a_listing_that_lies_about_the_size_does_not_block_the_true_file(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(200_000, seed=5))
    for size_bytes in (100_000, 300_000):
        liar = lying(artifact, size_bytes)
        assert isinstance((await ended(bench, liar)).error, IntegrityError)
        with pytest.raises(IntegrityError):
            await bench.integrity.refuse_poisoned(liar)
    await bench.integrity.refuse_poisoned(artifact)
    assert (await ended(bench, artifact)).blob is not None


async def test_a_listing_that_lies_about_the_size_does_not_join_the_transfer_of_the_true_file(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(200_000, seed=6))
    true = bench.fills.start(artifact, A)
    liar = bench.fills.start(lying(artifact, 300_000), A)
    assert liar is not true
    with pytest.raises(IntegrityError):
        await liar.wait_committed()
    assert (await true.wait_committed()).size_bytes == 200_000


async def test_a_look_at_the_first_part_of_a_file_says_nothing_of_the_whole(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(200_000, seed=7))
    clean = ScanReport("own", "1", "gguf", Coverage(Surface.COMPLETE, whole_file=True))
    sha256 = artifact.entry.sha256
    await bench.reports.put(bench.scanner, content_key(sha256, 100), artifact.path, clean)
    assert await bench.reports.get(bench.scanner, content_key(sha256, 200_000), artifact.path) is None
