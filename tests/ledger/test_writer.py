"""What SegmentLedger does beyond the port's contract: when it writes, when it syncs, and how it fails."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import ConfigError, LedgerError
from gateway.domain.record import Durability, Record, RecordKind
from gateway.ledger.segments import SegmentReader, list_segments
from gateway.ledger.verify import verify
from gateway.ledger.writer import SegmentLedger
from tests.contracts.ledger import delivery
from tests.ledger.volatile import EIO, ENOSPC, VolatileFiles

Read = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture
def files() -> VolatileFiles:
    return VolatileFiles()


@pytest.fixture
def ledger(directory: Path, clock: Any, files: VolatileFiles) -> SegmentLedger:
    return SegmentLedger(directory, "gw", clock, segment_bytes=65536, files=files)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds; the test's timeout is the bound."""
    while not condition():
        await asyncio.sleep(0)


async def test_written_does_not_wait_for_the_disk_and_durable_does(
    ledger: SegmentLedger, files: VolatileFiles, directory: Path, read_all: Read
) -> None:
    await ledger.start()
    files.hold.clear()
    await ledger.record(delivery("written"), Durability.WRITTEN)
    assert read_all(directory)[-1]["request_id"] == "written"
    async with asyncio.TaskGroup() as group:
        durable = group.create_task(ledger.record(delivery("durable"), Durability.DURABLE))
        await turns()
        assert read_all(directory)[-1]["request_id"] == "durable"
        assert not durable.done()
        files.hold.set()
    await ledger.close()


async def test_durability_all_makes_every_record_wait(directory: Path, clock: Any, files: VolatileFiles) -> None:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=65536, durability="all", files=files)
    await ledger.start()
    files.hold.clear()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ledger.record(delivery("r"), Durability.WRITTEN))
        await turns()
        assert not task.done()
        files.hold.set()
    await ledger.close()


async def test_the_records_of_one_turn_are_one_write_and_one_group_of_syncs(
    ledger: SegmentLedger, files: VolatileFiles
) -> None:
    await ledger.start()
    writes, syncs = files.pwrites, files.fdatasyncs
    await asyncio.gather(*(ledger.record(delivery(f"r{n}"), Durability.DURABLE) for n in range(64)))
    assert files.pwrites - writes == 1
    assert files.fdatasyncs - syncs == 1
    await ledger.close()


async def test_waiters_that_come_during_a_sync_share_the_next_one(ledger: SegmentLedger, files: VolatileFiles) -> None:
    await ledger.start()
    syncs = files.fdatasyncs
    files.hold.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(ledger.record(delivery("first"), Durability.DURABLE))
        await turns()
        for number in range(20):
            group.create_task(ledger.record(delivery(f"r{number}"), Durability.DURABLE))
            await turns()
        files.hold.set()
    assert files.fdatasyncs - syncs == 2
    await ledger.close()


async def test_written_records_are_flushed_without_anybody_waiting(
    directory: Path, clock: Any, files: VolatileFiles
) -> None:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=65536, flush_interval_s=0.01, files=files)
    await ledger.start()
    syncs = files.fdatasyncs
    await ledger.record(delivery("written"), Durability.WRITTEN)
    await until(lambda: files.fdatasyncs > syncs)
    await ledger.close()


async def test_written_turns_durable_when_the_flush_is_older_than_a_second(
    ledger: SegmentLedger, files: VolatileFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.start()
    files.hold.clear()
    await ledger.record(delivery("early"), Durability.WRITTEN)
    loop = asyncio.get_running_loop()
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + 1.5)
    async with asyncio.TaskGroup() as group:
        late = group.create_task(ledger.record(delivery("late"), Durability.WRITTEN))
        await turns()
        assert not late.done()
        files.hold.set()
    await ledger.record(delivery("after"), Durability.WRITTEN)
    await ledger.close()


async def test_a_failed_sync_is_never_tried_again(ledger: SegmentLedger, files: VolatileFiles) -> None:
    await ledger.start()
    files.fail_fdatasync = EIO
    results = await asyncio.gather(
        *(ledger.record(delivery(f"r{n}"), Durability.DURABLE) for n in range(5)), return_exceptions=True
    )
    assert all(isinstance(result, LedgerError) for result in results)
    files.fail_fdatasync = 0
    syncs = files.fdatasyncs
    with pytest.raises(LedgerError, match="restarted"):
        await ledger.record(delivery("later"), Durability.WRITTEN)
    assert not ledger.healthy()
    await ledger.close()
    assert files.fdatasyncs == syncs


async def test_a_sync_that_fails_behind_written_records_stops_everything(
    directory: Path, clock: Any, files: VolatileFiles
) -> None:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=65536, flush_interval_s=0.01, files=files)
    await ledger.start()
    files.fail_fdatasync = EIO
    await ledger.record(delivery("written"), Durability.WRITTEN)
    await until(lambda: not ledger.healthy())
    with pytest.raises(LedgerError):
        await ledger.record(delivery("later"), Durability.WRITTEN)
    await ledger.close()


@pytest.mark.parametrize("durability", list(Durability))
async def test_a_failed_write_is_final(
    ledger: SegmentLedger, files: VolatileFiles, durability: Durability, directory: Path, clock: Any, read_all: Read
) -> None:
    await ledger.start()
    await ledger.record(delivery("before"), durability)
    files.fail_pwrite = ENOSPC
    with pytest.raises(LedgerError):
        await ledger.record(delivery("lost"), durability)
    files.fail_pwrite = 0
    with pytest.raises(LedgerError):
        await ledger.record(delivery("later"), durability)
    assert not ledger.healthy()
    await ledger.close()
    again = SegmentLedger(directory, "gw", clock, segment_bytes=65536)
    await again.start()
    await again.record(delivery("after"), durability)
    await again.close()
    ids = [body["request_id"] for body in read_all(directory) if "request_id" in body]
    assert ids == ["before", "after"]
    assert not verify(directory)[0].problems


async def test_a_full_disk_is_seen_before_a_record_is_cut(
    directory: Path, clock: Any, files: VolatileFiles, read_all: Read
) -> None:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=4096, files=files)
    await ledger.start()
    files.fail_create = ENOSPC
    recorded: list[str] = []

    async def fill() -> None:
        for number in range(1000):
            await ledger.record(delivery(f"r{number}"), Durability.DURABLE)
            recorded.append(f"r{number}")

    with pytest.raises(LedgerError, match="No space left"):
        await fill()
    assert recorded
    assert not ledger.healthy()
    assert "No space left" in ledger.reserve_problem
    await ledger.close()
    assert [body["request_id"] for body in read_all(directory) if "request_id" in body] == recorded
    report = verify(directory)[0]
    assert not report.problems
    assert [gap.from_offset == gap.to_offset for gap in report.gaps] == [True]  # no half record


async def test_room_that_comes_back_in_time_is_used(directory: Path, clock: Any, files: VolatileFiles) -> None:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=4096, files=files)
    await ledger.start()
    await ledger.record(delivery("first"), Durability.DURABLE)
    while len(list_segments(directory)) < 2:
        await ledger.record(delivery("fill"), Durability.DURABLE)
    files.fail_create = ENOSPC
    for _ in range(3):
        await ledger.record(delivery("more"), Durability.DURABLE)
    files.fail_create = 0
    for _ in range(100):
        await ledger.record(delivery("more"), Durability.DURABLE)
    assert ledger.healthy()
    assert ledger.reserve_problem == ""
    await ledger.close()


async def test_the_chain_runs_through_segments_and_restarts(directory: Path, clock: Any, read_all: Read) -> None:
    for _ in range(3):
        ledger = SegmentLedger(directory, "gw", clock, segment_bytes=4096)
        await ledger.start()
        await asyncio.gather(*(ledger.record(delivery(f"r{n}"), Durability.WRITTEN) for n in range(100)))
        await ledger.close()
    bodies = read_all(directory)
    assert [body["seq"] for body in bodies] == list(range(1, 307))
    assert [body["extra"]["event"] for body in bodies if body["kind"] == "event"] == ["start", "end"] * 3
    [report] = verify(directory)
    assert (report.records, report.problems, report.gaps) == (306, [], [])
    assert report.segments > 6


async def test_workers_and_instances_have_chains_of_their_own(directory: Path, clock: Any) -> None:
    ledgers = [
        SegmentLedger(directory, instance, clock, worker=worker, segment_bytes=4096)
        for instance, worker in (("gw", 0), ("gw", 1), ("gw-w0", 0))
    ]
    for ledger in ledgers:
        await ledger.start()
    for ledger in ledgers:
        await ledger.record(delivery("r"), Durability.DURABLE)
        await ledger.close()
    assert [(r.chain, r.records, r.problems) for r in verify(directory)] == [
        ("gw/w0", 3, []),
        ("gw/w1", 3, []),
        ("gw-w0/w0", 3, []),
    ]


async def test_a_second_writer_of_one_chain_is_refused(directory: Path, clock: Any) -> None:
    first = SegmentLedger(directory, "gw", clock, segment_bytes=4096)
    await first.start()
    second = SegmentLedger(directory, "gw", clock, segment_bytes=4096)
    with pytest.raises(LedgerError, match="Another process"):
        await second.start()
    await first.record(delivery("still"), Durability.DURABLE)
    await first.close()
    await second.start()
    await second.close()
    assert not verify(directory)[0].problems


async def test_nothing_is_readable_by_others(ledger: SegmentLedger, directory: Path) -> None:
    await ledger.start()
    await ledger.close()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


async def test_a_record_too_large_is_refused_alone(ledger: SegmentLedger) -> None:
    await ledger.start()
    with pytest.raises(LedgerError, match="bound"):
        await ledger.record(delivery("big", note="x" * 65536), Durability.DURABLE)
    await ledger.record(delivery("small"), Durability.DURABLE)
    assert ledger.healthy()
    await ledger.close()


async def test_before_start_and_after_close_nothing_is_taken(ledger: SegmentLedger) -> None:
    assert not ledger.healthy()
    with pytest.raises(LedgerError):
        await ledger.record(delivery("early"), Durability.WRITTEN)
    await ledger.start()
    assert ledger.healthy()
    await ledger.close()
    await ledger.close()
    assert not ledger.healthy()
    with pytest.raises(LedgerError):
        await ledger.record(delivery("late"), Durability.WRITTEN)


async def test_records_under_way_at_close_come_before_the_clean_end(
    ledger: SegmentLedger, directory: Path, read_all: Read
) -> None:
    await ledger.start()
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(ledger.record(delivery(f"r{number}"), Durability.WRITTEN))
        await asyncio.sleep(0)
        group.create_task(ledger.close())
    bodies = read_all(directory)
    assert bodies[-1]["extra"]["event"] == "end"
    assert sum("request_id" in body for body in bodies) == 10


async def test_an_unclean_end_is_a_gap_record_with_its_bounds(
    directory: Path, clock: Any, read_all: Read, tmp_path: Path
) -> None:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=4096)
    await ledger.start()
    await ledger.record(delivery("r1"), Durability.WRITTEN)
    await ledger.close()
    # Cut into the last frame, as a kill inside a write would.
    [name] = list_segments(directory)
    path = directory / str(name)
    *_, before, _last = SegmentReader(path)
    size_bytes = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size_bytes - 10])
    again = SegmentLedger(directory, "gw", clock, segment_bytes=4096)
    await again.start()
    await again.close()
    [gap] = [b["extra"]["gap"] for b in read_all(directory) if b.get("extra", {}).get("event") == "gap"]
    assert gap["segment"] == str(name)
    assert (gap["from_offset"], gap["after_seq"]) == (before.end, 2)
    assert before.end < gap["to_offset"] <= size_bytes - 10
    assert gap["lost"] == "none"
    [report] = verify(directory)
    assert not report.problems
    assert [(g.from_offset, g.lost) for g in report.gaps] == [(before.end, "none")]


async def test_a_start_on_something_that_is_no_directory_says_so(tmp_path: Path, clock: Any) -> None:
    (tmp_path / "file").write_text("x")
    ledger = SegmentLedger(tmp_path / "file" / "ledger", "gw", clock)
    with pytest.raises(LedgerError, match="Cannot open the ledger"):
        await ledger.start()
    assert not ledger.healthy()


@pytest.mark.parametrize("masks", [["/address", "/extra/token", "/groups/0", "/absent/x", "/reasons/0/message"]])
async def test_masked_values_are_nowhere_in_the_ledger(
    directory: Path, clock: Any, masks: list[str], read_all: Read
) -> None:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=4096, masks=masks)
    await ledger.start()
    secret = "s3cr3t"
    extra = {"token": secret, "kept": 1}
    reason = {"rule": "a/b", "message": secret}
    record = Record(
        RecordKind.DECISION, "r", address=secret, groups=(secret, "ml"), extra=extra, reasons=(reason,), effect="deny"
    )
    await ledger.record(record, Durability.DURABLE)
    await ledger.close()
    body = next(b for b in read_all(directory) if b.get("request_id") == "r")
    assert body["masked"] == ["/address", "/extra/token", "/groups/0", "/reasons/0/message"]
    assert body["extra"] == {"kept": 1}
    assert body["groups"] == [None, "ml"]
    assert body["reasons"] == [{"rule": "a/b"}]
    assert extra["token"] == secret
    assert reason["message"] == secret
    assert not any(secret.encode() in (directory / str(n)).read_bytes() for n in list_segments(directory))


@pytest.mark.parametrize(
    "arguments",
    [
        {"masks": ["address"]},
        {"masks": ["/seq"]},
        {"masks": ["/kind"]},
        {"durability": "none"},
        {"segment_bytes": 100},
        {"instance": "../x"},
        {"instance": ""},
    ],
)
def test_arguments_that_would_break_the_ledger_are_refused(
    directory: Path, clock: Any, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        SegmentLedger(directory, arguments.pop("instance", "gw"), clock, **arguments)


async def test_a_start_that_cannot_be_recorded_leaves_the_chain_free(
    directory: Path, clock: Any, files: VolatileFiles
) -> None:
    files.fail_fdatasync = EIO
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=4096, files=files)
    with pytest.raises(LedgerError):
        await ledger.start()
    assert not ledger.healthy()
    again = SegmentLedger(directory, "gw", clock, segment_bytes=4096)
    await again.start()
    await again.close()
    assert verify(directory)[0].problems == []
