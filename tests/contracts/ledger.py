"""What every `ports.Ledger` must do. Subclass LedgerContract and give it a `bench` fixture."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import pytest

from gateway.domain.errors import LedgerError
from gateway.domain.record import Durability, Record, RecordKind
from gateway.ports import Ledger


class LedgerBench(Protocol):
    """A ledger ready for use, a way to read what it holds, and a way to break what lies below it."""

    ledger: Ledger

    def request_ids(self) -> list[str]:
        """Request ids of all records but the ledger's own events, in the order they are kept."""
        ...

    def paths(self) -> list[str]: ...

    def break_storage(self) -> None: ...


def delivery(request_id: str, **fields: Any) -> Record:
    return Record(kind=RecordKind.DELIVERY, request_id=request_id, effect="allow", **fields)


BOTH = pytest.mark.parametrize("durability", list(Durability))


class LedgerContract:
    @BOTH
    async def test_a_record_is_there_when_the_call_returns(self, bench: LedgerBench, durability: Durability) -> None:
        await bench.ledger.record(delivery("r1"), durability)
        assert bench.request_ids() == ["r1"]

    async def test_records_of_one_task_keep_their_order_across_classes(self, bench: LedgerBench) -> None:
        for number in range(20):
            await bench.ledger.record(delivery(f"r{number}"), list(Durability)[number % 2])
        assert bench.request_ids() == [f"r{number}" for number in range(20)]

    async def test_each_of_many_concurrent_records_is_there_once(self, bench: LedgerBench) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(bench.ledger.record(delivery(f"r{number}"), list(Durability)[number % 2]))
        assert sorted(bench.request_ids()) == sorted(f"r{number}" for number in range(200))

    async def test_a_cancelled_caller_takes_no_other_record_with_it(self, bench: LedgerBench) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(bench.ledger.record(delivery(f"r{number}"), Durability.DURABLE))
                for number in range(10)
            ]
            await asyncio.sleep(0)
            tasks[3].cancel()
        assert {f"r{number}" for number in range(10) if number != 3} <= set(bench.request_ids())
        assert bench.ledger.healthy()

    async def test_what_json_cannot_hold_is_refused_and_nothing_else_is(self, bench: LedgerBench) -> None:
        with pytest.raises(LedgerError):
            await bench.ledger.record(delivery("bad", extra={"object": object()}), Durability.DURABLE)
        await bench.ledger.record(delivery("good"), Durability.DURABLE)
        assert bench.request_ids() == ["good"]
        assert bench.ledger.healthy()

    @pytest.mark.parametrize("path", ['"quoted".bin', "nul\0", "line\nbreak", "\u202egnp.exe", '{"seq":1,"synced":99,'])
    async def test_hostile_text_comes_back_as_it_was(self, bench: LedgerBench, path: str) -> None:
        await bench.ledger.record(delivery("r1", path=path), Durability.DURABLE)
        assert bench.paths() == [path]

    async def test_text_that_is_no_unicode_does_not_stop_a_record(self, bench: LedgerBench) -> None:
        await bench.ledger.record(delivery("r1", path="bad\udcffname"), Durability.DURABLE)
        assert bench.request_ids() == ["r1"]

    @BOTH
    async def test_after_a_failure_everything_is_refused_for_good(
        self, bench: LedgerBench, durability: Durability
    ) -> None:
        await bench.ledger.record(delivery("before"), Durability.DURABLE)
        assert bench.ledger.healthy()
        bench.break_storage()
        with pytest.raises(LedgerError):
            await bench.ledger.record(delivery("first"), Durability.DURABLE)
        for _ in range(3):
            with pytest.raises(LedgerError):
                await bench.ledger.record(delivery("later"), durability)
        assert not bench.ledger.healthy()
        assert "before" in bench.request_ids()
        assert "later" not in bench.request_ids()
