"""A decision is found whatever the index knows, and a stranger's bytes in a record lead nobody astray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import LedgerError
from gateway.domain.record import Durability, Record
from gateway.ledger.decision_log import MOST_WAITING, SegmentDecisionLog
from gateway.ledger.index import INDEX_NAME, LedgerIndex, taken_in
from gateway.ledger.segments import list_segments
from gateway.ledger.writer import SegmentLedger
from tests.contracts.decision_log import DecisionLogContract, decided
from tests.contracts.ledger import delivery
from tests.fakes.memory_decisions import MemoryDecisions
from tests.fakes.recording_ledger import RecordingLedger
from tests.ledger.test_index import empty, older_version, ruin


class SegmentsBench:
    def __init__(self, directory: Path, clock: Any, *, indexed: bool, segment_bytes: int) -> None:
        self.directory = directory
        self.ledger = SegmentLedger(directory, "gw", clock, segment_bytes=segment_bytes)
        self.log = SegmentDecisionLog(directory)
        self._indexed = indexed
        self._count = 0

    async def record(self, record: Record) -> None:
        await self.ledger.record(record, Durability.WRITTEN)
        self._count += 1
        if self._indexed and self._count % 3 == 0:
            with LedgerIndex(self.directory):
                pass


class TestSegmentDecisionLog(DecisionLogContract):
    @pytest.fixture(params=[(False, 4096), (True, 4096), (False, 2**20), (True, 2**20)])
    async def bench(self, request: Any, directory: Path, clock: Any) -> AsyncIterator[SegmentsBench]:
        indexed, segment_bytes = request.param
        bench = SegmentsBench(directory, clock, indexed=indexed, segment_bytes=segment_bytes)
        await bench.ledger.start()
        yield bench
        await bench.log.close()
        await bench.ledger.close()


class TestMemoryDecisions(DecisionLogContract):
    @pytest.fixture
    def bench(self) -> Any:
        class Bench:
            ledger = RecordingLedger()
            log = MemoryDecisions(ledger)

            async def record(self, record: Record) -> None:
                await self.ledger.record(record, Durability.DURABLE)

        return Bench()


@pytest.fixture
async def ledger(directory: Path, clock: Any) -> AsyncIterator[SegmentLedger]:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=2**18)
    await ledger.start()
    yield ledger
    await ledger.close()


async def fill(ledger: SegmentLedger, count: int, size: int = 300) -> None:
    for number in range(count):
        await ledger.record(decided(f"d-{number}", f"r-{number}", note="n" * size), Durability.WRITTEN)


async def ids(log: SegmentDecisionLog, *numbers: int) -> list[str]:
    return [str(record["request_id"]) for number in numbers for record in await log.find(f"d-{number}")]


async def test_it_outlives_a_restart_and_needs_no_index(directory: Path, clock: Any) -> None:
    for _ in range(3):
        ledger, log = SegmentLedger(directory, "gw", clock, segment_bytes=2**16), SegmentDecisionLog(directory)
        await ledger.start()
        await ledger.record(decided("d-1"), Durability.WRITTEN)
        await ledger.close()
        await log.close()
    log = SegmentDecisionLog(directory)
    assert len(await log.find("d-1")) == 3
    assert not (directory / INDEX_NAME).exists()
    await log.close()


@pytest.mark.parametrize("harm", [Path.unlink, ruin, empty, older_version])
async def test_a_lost_or_ruined_index_hides_nothing(ledger: SegmentLedger, directory: Path, harm: Any) -> None:
    await fill(ledger, 20)
    with LedgerIndex(directory):
        pass
    for suffix in ("-wal", "-shm"):
        (directory / (INDEX_NAME + suffix)).unlink(missing_ok=True)
    harm(directory / INDEX_NAME)
    log = SegmentDecisionLog(directory)
    assert await ids(log, 0, 7, 19) == ["r-0", "r-7", "r-19"]
    await log.close()


async def test_an_index_of_another_ledger_hides_nothing(directory: Path, clock: Any) -> None:
    first = SegmentLedger(directory, "gw", clock, segment_bytes=2**18)
    await first.start()
    await fill(first, 50)
    await first.close()
    with LedgerIndex(directory):
        pass
    for name in list_segments(directory):
        (directory / str(name)).unlink()
    second, log = SegmentLedger(directory, "gw", clock, segment_bytes=2**18), SegmentDecisionLog(directory)
    await second.start()
    await second.record(decided("d-3", "r-new"), Durability.WRITTEN)
    assert await ids(log, 3, 4) == ["r-new"]
    await log.close()
    await second.close()


async def test_segments_that_were_moved_away_are_no_trouble(directory: Path, clock: Any) -> None:
    ledger, log = SegmentLedger(directory, "gw", clock, segment_bytes=2**14), SegmentDecisionLog(directory)
    await ledger.start()
    await fill(ledger, 100)
    with LedgerIndex(directory):
        pass
    (directory / str(list_segments(directory)[0])).unlink()
    assert await ids(log, 0, 99) == ["r-99"]
    await log.close()
    await ledger.close()


async def test_a_record_longer_than_a_block_and_one_across_two_are_found(directory: Path, clock: Any) -> None:
    ledger, log = SegmentLedger(directory, "gw", clock, segment_bytes=2**24), SegmentDecisionLog(directory)
    await ledger.start()
    for number, size in enumerate((2**21, 10, 2**20 - 400, 100, 100, 3 * 2**20, 5)):
        await ledger.record(decided(f"d-{number}", f"r-{number}", note='{"seq":' * (size // 7)), Durability.WRITTEN)
        await ledger.record(delivery(f"x-{number}", note="y" * 177), Durability.WRITTEN)
    assert await ids(log, *range(7)) == [f"r-{number}" for number in range(7)]
    await log.close()
    await ledger.close()


async def test_each_place_across_the_edge_of_a_block_is_found(directory: Path, clock: Any) -> None:
    ledger, log = SegmentLedger(directory, "gw", clock, segment_bytes=2**23), SegmentDecisionLog(directory)
    await ledger.start()
    await ledger.record(delivery("x", note="y" * (2**20 - 2000)), Durability.WRITTEN)
    await fill(ledger, 100, size=3)  # some hundred bytes each, over the end of the first MiB
    assert await ids(log, *range(100)) == [f"r-{number}" for number in range(100)]
    await log.close()
    await ledger.close()


async def test_many_at_once_are_answered(ledger: SegmentLedger, directory: Path) -> None:
    await fill(ledger, 60)
    log = SegmentDecisionLog(directory)
    answers = await asyncio.gather(*(log.find(f"d-{number}") for number in range(60)))
    assert [found[0]["request_id"] for found in answers] == [f"r-{number}" for number in range(60)]
    await log.close()


async def test_a_crowd_is_told_to_come_back_and_the_next_one_is_served(ledger: SegmentLedger, directory: Path) -> None:
    await fill(ledger, 3)
    log = SegmentDecisionLog(directory)
    answers = await asyncio.gather(*(log.find("d-1") for _ in range(MOST_WAITING + 5)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, LedgerError)]
    assert [error.code for error in refused] == ["ledger/behind"] * 5
    assert await ids(log, 1) == ["r-1"]
    await log.close()


async def test_the_index_catches_up_once_much_lies_behind_it(ledger: SegmentLedger, directory: Path) -> None:
    await fill(ledger, 9000, size=1)
    log = SegmentDecisionLog(directory, behind_bytes=1000)
    assert await ids(log, 5) == ["r-5"]
    await log.close()  # what was begun is ended, not begun anew
    assert len(taken_in(directory, "d-5", 8, 8).offsets) > 0
    log = SegmentDecisionLog(directory, behind_bytes=1000)
    for _ in range(5):
        assert await ids(log, 5, 8999) == ["r-5", "r-8999"]
    await log.close()


async def test_a_ledger_too_long_to_be_read_in_time_says_so(ledger: SegmentLedger, directory: Path) -> None:
    await fill(ledger, 2)
    log = SegmentDecisionLog(directory, patience_s=-1.0)
    with pytest.raises(LedgerError) as raised:
        await log.find("d-1")
    assert raised.value.code == "ledger/behind"
    await log.close()


async def test_a_ledger_that_is_not_there_is_an_error_and_no_absence(tmp_path: Path) -> None:
    log = SegmentDecisionLog(tmp_path / "none")
    with pytest.raises(LedgerError):
        await log.find("d-1")
    await log.close()
