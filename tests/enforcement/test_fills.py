import asyncio
import hashlib
import os

import pytest

from gateway.domain.errors import IntegrityError, StoreError, UpstreamError, UpstreamNotFound
from gateway.domain.evidence import JudgedSpan
from gateway.enforcement.fill import FINAL, Fill
from gateway.enforcement.fills import Fills
from gateway.enforcement.release import HELD_TAIL_BYTES
from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault, Gate, redirected
from tests.enforcement.workbench import released_until_error, workbench
from tests.fakes.memory_blobs import MemoryBlobs, MemoryStaging

MIB = 1 << 20
A = "anonymous"


@pytest.fixture
async def bench(tmp_path):
    async with workbench(tmp_path) as bench:
        yield bench


def span(content, start, end):
    return JudgedSpan(start, end, hashlib.sha256(content.read(start, end - start)).hexdigest())


def stalled(bench, offset, **effects):
    return bench.sim.faults.add(Fault(path="*/*", host="cdn", stall_at=offset, stall_gate=Gate(), **effects))


async def test_equal_digests_share_one_transfer_whatever_the_repo(bench):
    content = Sparse(2 * MIB, seed=1)
    one, other = bench.add("a/one", "x.bin", content), bench.add("b/other", "y.bin", content)
    fills = {bench.fills.start(artifact, A) for artifact in (one, other, one, other)}
    assert len(fills) == 1
    blobs = await asyncio.gather(*(fills.copy().pop().wait_committed() for _ in range(10)))
    assert {blob.sha256 for blob in blobs} == {content.sha256}
    assert len(bench.transfers(one)) + len(bench.transfers(other)) == 1
    while bench.fills.running(one) is not None:
        await asyncio.sleep(0)


@pytest.mark.parametrize("size", [MIB, HELD_TAIL_BYTES + 1, HELD_TAIL_BYTES, 1000, 1])
async def test_the_tail_is_held_until_the_commit(bench, size):
    artifact = bench.add("a/b", "x.bin", Sparse(size, seed=2))
    stall = stalled(bench, size - 1)
    fill = bench.fills.start(artifact, A)
    await stall.stall_gate.reached()
    if size > HELD_TAIL_BYTES:
        waiting = asyncio.ensure_future(fill.wait_released(size - HELD_TAIL_BYTES))
    else:
        waiting = asyncio.ensure_future(fill.wait_released(0))
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done, "nothing of the tail may leave"
    stall.stall_gate.open()
    assert await waiting == size
    assert (await fill.wait_committed()).sha256 == bench.content(artifact).sha256


class SlowCommit(MemoryBlobs):
    """A store that verifies and commits only when it is told to."""

    def __init__(self, folder):
        super().__init__(folder)
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def stage(self, size_bytes):
        staging, store = await super().stage(size_bytes), self

        class Slow(MemoryStaging):
            async def commit(self, expected):
                store.reached.set()
                await store.go.wait()
                return await super().commit(expected)

        staging.__class__ = Slow
        return staging


@pytest.mark.parametrize("corrupt_at", [None, 100])
async def test_with_every_byte_here_the_tail_still_waits_for_the_verification(tmp_path, corrupt_at):
    store = SlowCommit(tmp_path / "slow")
    async with workbench(tmp_path, store) as bench:
        artifact = bench.add("a/b", "x.bin", Sparse(2 * MIB, seed=30))
        bench.sim.faults.add(Fault(path="*/*", host="cdn", corrupt_at=corrupt_at))
        fill = bench.fills.start(artifact, A)
        await store.reached.wait()
        assert fill.written == 2 * MIB
        assert await fill.wait_released(0) == 2 * MIB - HELD_TAIL_BYTES
        tail = asyncio.ensure_future(fill.wait_released(2 * MIB - HELD_TAIL_BYTES))
        await asyncio.sleep(0)
        assert not tail.done()
        store.go.set()
        if corrupt_at is None:
            assert await tail == 2 * MIB
        else:
            with pytest.raises(IntegrityError):
                await tail


async def test_a_judged_span_is_held_until_it_is_proven(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=3))
    content = bench.content(artifact)
    judged = span(content, 2 * MIB, 3 * MIB)
    stall = stalled(bench, 2 * MIB + 5)
    fill = bench.fills.start(artifact, A)
    assert await fill.bind([judged])
    await stall.stall_gate.reached()
    assert await fill.wait_released(0) <= 2 * MIB
    assert not fill.release.has_proven([judged])
    stall.stall_gate.open()
    await fill.wait_committed()
    assert fill.release.has_proven([judged])


async def test_of_a_judged_span_that_differs_not_one_byte_leaves(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=4))
    lie = JudgedSpan(MIB + 7, 2 * MIB, "0" * 64)
    fill = bench.fills.start(artifact, A)
    await fill.bind([lie])
    released, error = await released_until_error(fill.wait_released)
    assert released <= MIB + 7
    assert isinstance(error, IntegrityError)
    assert "differ from those that were judged" in str(error)
    assert fill.blob is None
    assert not list(bench.store.folder.iterdir()), "nothing stays in staging"
    while bench.fills.running(artifact) is not None:
        await asyncio.sleep(0)
    assert [event.note for event in bench.events()] == ["integrity/mismatch"]


async def test_a_grant_bound_late_gets_nothing_of_its_unproven_span(bench):
    """Others may be further along; what this grant was judged on is proven first."""
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=5))
    stall = stalled(bench, 3 * MIB)
    fill = bench.fills.start(artifact, A)
    await fill.wait_released(MIB)
    late = span(bench.content(artifact), MIB // 2, 3 * MIB + 9)
    assert await fill.bind([late])
    assert await fill.wait_released(0, [late]) == MIB // 2
    assert await fill.wait_released(0) > MIB
    stall.stall_gate.open()
    assert await fill.wait_released(3 * MIB, [late]) > 3 * MIB


async def test_a_late_bind_that_differs_ends_the_fill_for_everyone(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=6))
    stall = stalled(bench, 3 * MIB)
    fill = bench.fills.start(artifact, A)
    await fill.wait_written(MIB)
    with pytest.raises(IntegrityError):
        await fill.bind([JudgedSpan(0, 1000, "0" * 64)])
    stall.stall_gate.open()
    with pytest.raises(IntegrityError):
        await fill.wait_committed()
    assert bench.content(artifact).sha256 not in bench.store.blobs


async def test_after_the_last_byte_there_is_nothing_to_bind(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=7))
    fill = bench.fills.start(artifact, A)
    await fill.wait_committed()
    assert not await fill.bind([span(bench.content(artifact), 0, 10)])


async def test_a_descriptor_outlives_the_commit(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=8))
    stall = stalled(bench, MIB // 2)
    fill = bench.fills.start(artifact, A)
    await fill.wait_staged()
    fd = fill.descriptor()
    stall.stall_gate.open()
    await fill.wait_committed()
    late = fill.descriptor()
    whole = bench.content(artifact).read(0, MIB)
    try:
        assert os.pread(fd, MIB, 0) == os.pread(late, MIB, 0) == whole
    finally:
        os.close(fd)
        os.close(late)
    assert await fill.read(MIB - 10, 10) == whole[-10:]


async def test_a_cut_is_resumed_by_range(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=9))
    bench.sim.faults.add(Fault(path="*/*", host="cdn", times=1, truncate_at=3 * MIB))
    await bench.fills.start(artifact, A).wait_committed()
    first, second = bench.transfers(artifact)
    assert first.range == ""
    assert MIB <= int(second.range.removeprefix("bytes=").split("-")[0]) <= 3 * MIB


async def test_a_hub_that_ignores_the_range_of_a_resume_is_read_from_the_start(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=10))
    bench.sim.faults.add(
        Fault(path="*/*", host="cdn", ignore_range=True), Fault(path="*/*", host="cdn", times=1, truncate_at=3 * MIB)
    )
    blob = await bench.fills.start(artifact, A).wait_committed()
    assert hashlib.sha256(blob.path.read_bytes()).hexdigest() == bench.content(artifact).sha256


async def test_a_file_that_is_gone_is_not_asked_for_again(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=11))
    bench.sim.world.repos.pop("a/b")
    with pytest.raises(UpstreamNotFound):
        await bench.fills.start(artifact, A).wait_committed()
    assert len([r for r in bench.sim.requests if "resolve" in r.path]) == 1


async def test_a_redirect_that_is_refused_is_not_asked_for_again(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(2 * MIB, seed=8))
    bench.sim.faults.add(redirected("*/resolve/*", "http://elsewhere.example/x"))
    with pytest.raises(UpstreamError) as caught:
        await bench.fills.start(artifact, A).wait_committed()
    assert caught.value.code in FINAL
    assert len([r for r in bench.sim.requests if "/resolve/" in r.target]) == 1


async def test_a_hub_that_brings_nothing_is_given_up(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(MIB, seed=12))
    bench.sim.faults.add(Fault(path="*/*", host="cdn", method="GET", status=503, body=b""))
    with pytest.raises(UpstreamError):
        await bench.fills.start(artifact, A).wait_committed()
    assert not list(bench.store.folder.iterdir())


@pytest.mark.parametrize("lfs", [True, False])
async def test_wrong_bytes_of_the_right_length_are_never_committed(bench, lfs):
    artifact = bench.add("a/b", "x.txt", b"some text" * 1000, lfs=lfs)
    bench.sim.faults.add(Fault(path="*/*", host="cdn" if lfs else "hub", method="GET", corrupt_at=500))
    with pytest.raises(IntegrityError):
        await bench.fills.start(artifact, A).wait_committed()
    assert not bench.store.blobs


async def test_a_small_git_file_teaches_its_sha256(bench):
    artifact = bench.add("a/b", "x.txt", b"some text", lfs=False)
    blob = await bench.fills.start(artifact, A).wait_committed()
    while bench.fills.running(artifact) is not None:
        await asyncio.sleep(0)
    assert await bench.facts.get("git_sha256", artifact.entry.git_oid) == blob.sha256


async def test_an_empty_file_needs_no_transfer(bench):
    artifact = bench.add("a/b", "x.txt", b"", lfs=False)
    blob = await bench.fills.start(artifact, A).wait_committed()
    assert blob.size_bytes == 0
    assert not bench.transfers(artifact)


class BrokenStore(MemoryBlobs):
    """A store that fails while it is written, with what it is given."""

    def __init__(self, folder, error):
        super().__init__(folder)
        self.error = error

    async def stage(self, size_bytes):
        staging = await super().stage(size_bytes)
        error = self.error

        class Broken(MemoryStaging):
            async def write(self, chunk):
                raise error

        staging.__class__ = Broken
        return staging


@pytest.mark.parametrize(
    ("error", "code"),
    [(StoreError("the disk is full", code="store/full"), "store/full"), (RuntimeError("a bug"), "store/fill")],
)
async def test_trouble_of_the_store_reaches_every_waiter(tmp_path, error, code):
    async with workbench(tmp_path, BrokenStore(tmp_path / "broken", error)) as bench:
        artifact = bench.add("a/b", "x.bin", Sparse(2 * MIB, seed=13))
        fill = bench.fills.start(artifact, A)
        waits = [fill.wait_committed(), fill.wait_released(0), fill.wait_written(1), fill.read(0, 10)]
        ended = await asyncio.gather(*waits, return_exceptions=True)
        assert [e.code for e in ended] == [code] * 4
        assert not list(bench.store.folder.iterdir())


async def test_a_stop_of_the_gateway_tells_the_waiters(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(2 * MIB, seed=14))
    stalled(bench, MIB)
    fill = bench.fills.start(artifact, A)
    waiting = asyncio.ensure_future(fill.wait_committed())
    await fill.wait_written(1)
    await bench.background.close()
    with pytest.raises(StoreError) as raised:
        await waiting
    assert raised.value.code == "gateway/stopping"
    assert not list(bench.store.folder.iterdir())


async def test_bytes_before_staging_are_not_there(bench):
    fill = Fill(bench.add("a/b", "x.bin", Sparse(MIB, seed=15)), A, bench.store, bench.upstream)
    with pytest.raises(StoreError):
        fill.descriptor()


async def test_only_so_many_transfers_run_at_once_and_a_stop_reaches_those_that_wait(bench):
    fills = Fills(bench.store, bench.upstream, bench.background, bench.integrity.ended, most=1)
    first, second, third = (bench.add(f"a/r{n}", "x.bin", Sparse(9 * MIB, seed=16 + n)) for n in range(3))
    stall = bench.sim.faults.add(Fault(path="a/r0/*", host="cdn", stall_at=MIB // 2, stall_gate=Gate()))
    running, waiting = fills.start(first, A), fills.start(second, A)
    await stall.stall_gate.reached()
    assert not bench.transfers(second)
    stall.stall_gate.open()
    await running.wait_committed()
    await waiting.wait_committed()
    held = bench.sim.faults.add(Fault(path="a/r2/*", host="cdn", stall_at=MIB // 2, stall_gate=Gate()))
    fills.start(third, A)
    last = fills.start(bench.add("a/r3", "x.bin", Sparse(9 * MIB, seed=20)), A)
    await held.stall_gate.reached()
    await bench.background.close()
    with pytest.raises(StoreError) as raised:
        await last.wait_committed()
    assert raised.value.code == "gateway/stopping"


async def test_a_small_file_does_not_wait_behind_large_ones(bench):
    fills = Fills(bench.store, bench.upstream, bench.background, bench.integrity.ended, most=1)
    stall = bench.sim.faults.add(Fault(path="a/large/*", host="cdn", stall_at=MIB, stall_gate=Gate()))
    large = fills.start(bench.add("a/large", "x.bin", Sparse(9 * MIB, seed=21)), A)
    await stall.stall_gate.reached()
    small = fills.start(bench.add("a/small", "config.json", b"{}", lfs=False), A)
    assert (await small.wait_committed()).size_bytes == 2
    assert not large.is_over
    stall.stall_gate.open()
    await large.wait_committed()


async def test_a_hub_that_hardly_sends_loses_its_turn_where_others_wait(bench):
    fills = Fills(bench.store, bench.upstream, bench.background, bench.integrity.ended, most=1, watch_s=0.05)
    stall = bench.sim.faults.add(Fault(path="a/slow/*", host="cdn", stall_at=MIB, stall_gate=Gate()))
    slow = fills.start(bench.add("a/slow", "x.bin", Sparse(9 * MIB, seed=31)), A)
    await stall.stall_gate.reached()
    await asyncio.sleep(0.2)
    assert not slow.is_over, "nobody waits"
    other = fills.start(bench.add("a/other", "x.bin", Sparse(9 * MIB, seed=32)), A)
    with pytest.raises(UpstreamError) as raised:
        await slow.wait_committed()
    assert raised.value.code == "upstream/too-slow"
    assert (await other.wait_committed()).size_bytes == 9 * MIB
    stall.stall_gate.open()
    again = fills.start(slow.artifact, A)
    assert (await again.wait_committed()).size_bytes == 9 * MIB


async def test_what_the_hub_gave_a_client_before_is_compared_by_the_next_fill_too(bench):
    artifact = bench.add("a/b", "x.bin", Sparse(4 * MIB, seed=33))
    stall = bench.sim.faults.add(Fault(path="*/*", host="cdn", stall_at=MIB, stall_gate=Gate(), truncate_at=MIB))
    fill = bench.fills.start(artifact, A)
    await stall.stall_gate.reached()
    assert await fill.release.promise(3 * MIB, b"other bytes")
    bench.sim.faults.add(Fault(path="*/*", method="GET", status=404, body=b""))
    stall.stall_gate.open()
    with pytest.raises(UpstreamError):
        await fill.wait_committed()
    while bench.fills.running(artifact) is not None:
        await asyncio.sleep(0)
    bench.sim.faults.clear()
    with pytest.raises(IntegrityError):
        await bench.fills.start(artifact, A).wait_committed()
    assert not bench.store.blobs
