"""The isolation of the own scanner: whatever a worker does, the report is Coverage with a cause, never clean."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from gateway.domain.errors import IntegrityError, UpstreamThrottled, UpstreamUnavailable
from gateway.domain.evidence import FindingClass, ScanReport, Surface
from gateway.scanners.budget import PAGE_BYTES
from gateway.scanners.isolation import Limits
from gateway.scanners.own import OwnScanner, ruleset_hash
from tests.corpus.pickles import SYSTEM
from tests.corpus.zips import Archive, Entry, checkpoint, torch_zip

MIB = 1024 * 1024
SMALL = Limits(memory_bytes=128 * MIB, cpu_s=60, wall_s=60)


class Source:
    """Bytes in memory that count how they are read; `error` is raised instead, `gate` waited for first."""

    def __init__(
        self, data: bytes = b"data", error: Exception | None = None, gate: asyncio.Event | None = None
    ) -> None:
        self.data = data
        self.size_bytes = len(data)
        self.error = error
        self.gate = gate
        self.reads: list[tuple[int, int]] = []
        self.asked = asyncio.Event()

    async def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.data[offset : offset + length]


@asynccontextmanager
async def scanner(hook: str = "", limits: Limits | None = None, workers: int = 1) -> AsyncIterator[OwnScanner]:
    options = {"entry": f"tests.scanners.worker_hooks:{hook}"} if hook else {}
    own = OwnScanner(workers=workers, limits=limits, **options)
    await own.start()
    try:
        yield own
    finally:
        await own.close()


async def ends_as(own: OwnScanner, cause: str, path: str = "bad") -> None:
    report = await own.scan(Source(), path)
    assert report.coverage.surface is Surface.FAILED
    assert report.coverage.cause == cause
    assert report.findings == ()


async def goes_on(own: OwnScanner) -> None:
    report = await own.scan(Source(), "good")
    assert report.coverage.surface is Surface.COMPLETE


@pytest.mark.parametrize("hook", ["exits", "segfaults"])
async def test_a_dead_worker_is_a_failure_and_the_next_scan_has_a_new_one(hook: str) -> None:
    async with scanner(hook) as own:
        await ends_as(own, "crashed")
        await ends_as(own, "crashed")
        await goes_on(own)


async def test_an_exception_in_a_format_module_is_a_failure_without_its_text() -> None:
    async with scanner("raises") as own:
        await ends_as(own, "crashed")


async def test_a_worker_that_waits_for_ever_is_killed_by_wall_time() -> None:
    async with scanner("waits", Limits(wall_s=0.3)) as own:
        await ends_as(own, "timeout")
        await goes_on(own)


async def test_an_endless_loop_is_killed_by_cpu_time() -> None:
    async with scanner("burns", Limits(cpu_s=0.3, wall_s=60)) as own:
        await ends_as(own, "timeout")
        await goes_on(own)


async def test_the_kernel_ends_a_loop_that_nobody_watches() -> None:
    async with scanner("burns", Limits(cpu_s=0.1, wall_s=60, watch_every_s=600)) as own:
        await ends_as(own, "timeout")


async def test_a_balloon_is_killed_by_resident_memory() -> None:
    async with scanner("balloons", SMALL) as own:
        await ends_as(own, "oom")
        await goes_on(own)


async def test_a_balloon_that_nobody_watches_hits_the_fence_and_is_no_clean_file() -> None:
    async with scanner("balloons", Limits(memory_bytes=64 * MIB, watch_every_s=600)) as own:
        await ends_as(own, "oom")


async def test_running_out_of_memory_never_reads_as_clean() -> None:
    async with scanner("runs_out") as own:
        await ends_as(own, "oom")


async def test_a_peak_near_the_limit_is_not_trusted() -> None:
    async with scanner("swells_and_shrinks", Limits(memory_bytes=256 * MIB, watch_every_s=600)) as own:
        await ends_as(own, "oom", "220")
        report = await own.scan(Source(), "1")
        assert report.coverage.surface is Surface.COMPLETE


async def test_too_long_an_answer_is_a_failure() -> None:
    async with scanner("talks_too_much") as own:
        await ends_as(own, "output-limit")


async def test_many_findings_are_cut_but_the_gravest_stay_and_are_one_line() -> None:
    async with scanner("floods") as own:
        report = await own.scan(Source(), "x")
        assert report.findings[0].rule == "grave"
        assert len(report.findings) == 500
        assert report.findings[0].message.isprintable()


async def test_an_answer_that_is_no_inspection_is_a_failure() -> None:
    async with scanner("answers_nonsense") as own:
        await ends_as(own, "crashed")


async def test_stray_prints_do_not_reach_the_channel() -> None:
    async with scanner("prints") as own:
        assert (await own.scan(Source(), "x")).coverage.surface is Surface.COMPLETE


@pytest.mark.parametrize("hook", ["asks_too_much", "asks_for_all_at_once"])
async def test_the_gateway_itself_bounds_what_a_worker_reads(hook: str) -> None:
    async with scanner(hook, Limits(read_bytes=10 * PAGE_BYTES)) as own:
        report = await own.scan(Source(bytes(PAGE_BYTES)), "bad")
        assert (report.coverage.surface, report.coverage.cause) == (Surface.FAILED, "read-budget")


async def test_a_source_that_ends_early_is_an_integrity_error() -> None:
    class Short(Source):
        async def read(self, offset: int, length: int) -> bytes:
            return (await super().read(offset, length))[:-1]

    async with scanner("reads_all") as own:
        with pytest.raises(IntegrityError):
            await own.scan(Short(), "x")


async def test_a_worker_that_never_starts_is_a_failure() -> None:
    async with scanner("no_such_function") as own:
        await ends_as(own, "worker-unavailable")


async def test_errors_of_the_source_pass_unchanged_and_the_worker_lives_on() -> None:
    async with scanner("reads_all") as own:
        for error in (UpstreamUnavailable("gone"), UpstreamThrottled("wait", retry_after_s=3)):
            with pytest.raises(type(error)) as caught:
                await own.scan(Source(error=error), "x")
            assert caught.value is error
        await goes_on(own)


async def test_a_source_error_that_a_format_module_swallows_still_passes() -> None:
    async with scanner("swallows_loss") as own:
        with pytest.raises(UpstreamUnavailable):
            await own.scan(Source(error=UpstreamUnavailable("gone")), "x")


async def test_an_unknown_error_of_the_source_passes_and_costs_the_worker() -> None:
    async with scanner("reads_all") as own:
        with pytest.raises(ZeroDivisionError):
            await own.scan(Source(error=ZeroDivisionError()), "x")
        await goes_on(own)


async def test_bytes_that_change_between_two_reads_are_an_integrity_error() -> None:
    class Changing(Source):
        async def read(self, offset: int, length: int) -> bytes:
            self.reads.append((offset, length))
            return b"%04d" % len(self.reads)

    async with scanner("reads_first_page_twice") as own:
        with pytest.raises(IntegrityError):
            await own.scan(Changing(), "x")


async def test_waiting_for_the_source_does_not_count_as_time_of_the_worker() -> None:
    class Slow(Source):
        async def read(self, offset: int, length: int) -> bytes:
            await asyncio.sleep(0.8)
            return await super().read(offset, length)

    async with scanner("reads_all", Limits(wall_s=0.5)) as own:
        assert (await own.scan(Slow(), "x")).coverage.surface is Surface.COMPLETE


async def test_a_source_that_never_answers_ends_by_the_overall_limit() -> None:
    async with scanner("reads_all", Limits(overall_s=0.3)) as own:
        report = await own.scan(Source(gate=asyncio.Event()), "x")
        assert (report.coverage.surface, report.coverage.cause) == (Surface.FAILED, "source-timeout")
        await goes_on(own)


async def test_a_cancelled_scan_leaves_no_busy_worker() -> None:
    async with scanner("reads_all") as own:
        source = Source(gate=asyncio.Event())
        task = asyncio.ensure_future(own.scan(source, "x"))
        await source.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await goes_on(own)


async def test_a_scan_cancelled_while_its_worker_computes_kills_that_worker() -> None:
    async with scanner("reads_then_waits") as own:
        source = Source()
        task = asyncio.ensure_future(own.scan(source, "bad"))
        await source.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await goes_on(own)


async def test_closing_ends_a_running_scan_as_a_failure() -> None:
    async with scanner("reads_then_waits") as own:
        source = Source()
        task = asyncio.ensure_future(own.scan(source, "bad"))
        await source.asked.wait()
        await own.close()
        report = await task
        assert (report.coverage.surface, report.coverage.cause) == (Surface.FAILED, "crashed")


async def test_closing_while_the_source_is_read_ends_that_scan_as_a_failure() -> None:
    async with scanner("reads_all") as own:
        source = Source(gate=asyncio.Event())
        task = asyncio.ensure_future(own.scan(source, "bad"))
        await source.asked.wait()
        await own.close()
        assert source.gate is not None
        source.gate.set()
        assert (await task).coverage.surface is Surface.FAILED


async def test_a_scan_without_start_starts_its_worker() -> None:
    own = OwnScanner(workers=1)
    try:
        assert (await own.scan(Source(SYSTEM), "model.pkl")).findings
    finally:
        await own.close()


async def test_a_scan_after_close_is_a_failure_and_starts_nothing() -> None:
    async with scanner("reads_all") as own:
        await own.close()
        await ends_as(own, "worker-unavailable")


async def test_more_scans_than_workers_wait_their_turn() -> None:
    async with scanner("reads_all", workers=2) as own:
        reports = await asyncio.gather(*(own.scan(Source(bytes(300_000)), f"{i}") for i in range(12)))
        assert {r.coverage.surface for r in reports} == {Surface.COMPLETE}


async def test_a_worker_gets_no_secret_and_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_UPSTREAM_TOKEN", "hf_secret")
    async with scanner("tells_surroundings") as own:
        told = {f.rule: f.message for f in (await own.scan(Source(), "x")).findings}
    assert set(told["environment"].split(",")) <= {"PYTHONPATH", "LC_ALL", "LC_CTYPE", "MALLOC_ARENA_MAX"}
    assert (told["core"], told["writes"], told["session"]) == ("0", "0", "True")
    assert int(told["files"]) <= 64
    assert len(told["descriptors"].split(",")) <= 7


def test_it_works_under_uvloop() -> None:
    async def run() -> ScanReport:
        async with scanner() as own:
            return await own.scan(Source(SYSTEM), "model.pkl")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run())
    assert report.findings[0].cls is FindingClass.CODE_EXEC


# --- real formats through the pool ---------------------------------------------------------------------------------


async def test_spans_cover_exactly_what_was_handed_out() -> None:
    data = b"\x80\x03B" + struct.pack("<I", 40 * MIB) + bytes(40 * MIB) + b"."
    source = Source(data)
    async with scanner() as own:
        report = await own.scan(source, "model.pkl")
    assert report.coverage.surface is Surface.COMPLETE
    assert report.coverage.whole_file is False
    handed = sorted((o, min(o + n, len(data))) for o, n in source.reads)
    assert [(s.start, s.end) for s in report.spans] == handed
    assert all(s.sha256 == hashlib.sha256(data[s.start : s.end]).hexdigest() for s in report.spans)
    assert sum(s.end - s.start for s in report.spans) < 4 * PAGE_BYTES


async def test_a_file_read_whole_has_no_spans() -> None:
    data = bytes(10 * PAGE_BYTES)

    async with scanner("reads_all") as own:
        report = await own.scan(Source(data), "x")
    assert report.coverage.whole_file is True
    assert report.spans == ()


async def test_a_large_checkpoint_is_judged_by_its_ends() -> None:
    entries = checkpoint()
    big = [Entry(e.name, bytes(64 * MIB), flags=e.flags) if e.name.endswith("data/0") else e for e in entries]
    pkl = entries[0].data
    source = Source(Archive([Entry(entries[0].name, pkl, flags=entries[0].flags), *big[1:]], zip64=True).build())
    async with scanner() as own:
        report = await own.scan(source, "pytorch_model.bin")
    assert (report.format, report.coverage.surface, report.findings) == ("torch-zip", Surface.COMPLETE, ())
    assert not report.coverage.whole_file
    assert sum(n for _, n in source.reads) <= 4 * PAGE_BYTES


@pytest.mark.parametrize(
    "data",
    [
        torch_zip(b"\x80\x03B" + struct.pack("<I", 400 * MIB) + bytes(400 * MIB) + b"0" + SYSTEM),
        Archive([Entry("archive/data.pkl", b"\x80\x03B" + struct.pack("<I", 400 * MIB) + bytes(400 * MIB) + b"0" + SYSTEM, method=8)]).build(),
        b"\x80\x02" + b"X\xff\x00\x00\x00" * 1 + b"a" * 255 + b"2" * 3_900_000 + SYSTEM,
        b"\x80\x02" + b"(" * 90_000 + b"]" * 3_000_000 + SYSTEM,
    ],
    ids=["stored", "deflated", "stack", "marks"],
)  # fmt: skip
async def test_a_pickle_that_eats_memory_before_it_acts_is_not_clean(data: bytes) -> None:
    async with scanner(limits=Limits(memory_bytes=512 * MIB)) as own:
        report = await own.scan(Source(data), "model.pt")
    acting = any(f.cls is FindingClass.CODE_EXEC for f in report.findings)
    assert acting or report.coverage.surface is not Surface.COMPLETE


async def test_the_version_names_the_rules() -> None:
    own = OwnScanner()
    assert own.version.endswith(ruleset_hash()[:12])
