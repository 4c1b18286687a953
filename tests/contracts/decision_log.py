"""What every `ports.DecisionLog` must do. Subclass DecisionLogContract and give it a `bench` fixture."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from gateway.domain.record import Record, RecordKind
from gateway.ports import DecisionLog


class DecisionLogBench(Protocol):
    """A log, and a way to put on record what it must find."""

    log: DecisionLog

    async def record(self, record: Record) -> None: ...


def decided(decision_id: str, request_id: str = "r-1", **fields: Any) -> Record:
    return Record(RecordKind.DECISION, request_id, decision_id=decision_id, **{"effect": "deny", **fields})


class DecisionLogContract:
    async def test_a_decision_is_found_as_soon_as_it_is_on_record(self, bench: DecisionLogBench) -> None:
        for number in range(50):
            await bench.record(decided(f"d-{number}", path=f"{number}.bin"))
            (found,) = await bench.log.find(f"d-{number}")
            assert found["path"] == f"{number}.bin"

    async def test_all_of_one_decision_come_oldest_first_and_nothing_of_another(self, bench: DecisionLogBench) -> None:
        for number in range(30):
            await bench.record(decided(("d-a", "d-ab", "d-b")[number % 3], f"r-{number}"))
        assert [found["request_id"] for found in await bench.log.find("d-a")] == [f"r-{n}" for n in range(0, 30, 3)]

    async def test_only_decisions_are_told(self, bench: DecisionLogBench) -> None:
        await bench.record(Record(RecordKind.REFUSAL, "r-1", decision_id="d-1", effect="refused"))
        assert list(await bench.log.find("d-1")) == []
        await bench.record(decided("d-1", "r-2"))
        await bench.record(Record(RecordKind.DELIVERY, "r-3", decision_id="d-1", effect="allow"))
        assert [found["request_id"] for found in await bench.log.find("d-1")] == ["r-2"]

    async def test_of_very_many_the_earliest_and_the_latest_are_told(self, bench: DecisionLogBench) -> None:
        for number in range(300):
            await bench.record(decided("d-1", f"r-{number}"))
        found = [record["request_id"] for record in await bench.log.find("d-1")]
        assert found[0] == "r-0"
        assert found[-1] == "r-299"
        assert len(found) < 100

    @pytest.mark.parametrize(
        "strange",
        ["", "d-2", "d", "*", "%", "_", "d-_", "' OR 1=1 --", "d-1/..", "../d-1", "d-1\0", "d" * 100_000, "é"],
    )
    async def test_what_is_no_decisions_id_finds_nothing(self, bench: DecisionLogBench, strange: str) -> None:
        await bench.record(decided("d-1"))
        await bench.record(decided("", "r-2"))
        assert list(await bench.log.find(strange)) == []

    async def test_text_of_a_client_is_never_taken_for_an_id(self, bench: DecisionLogBench) -> None:
        forged = '{"seq":1,"synced":1,"kind":"decision","decision_id":"d-forged"}'
        await bench.record(decided("d-1", path=forged, note=forged, extra={"target": forged}))
        await bench.record(decided("d-2", extra={"decision_id": "d-nested", "kind": "decision"}))
        assert list(await bench.log.find("d-forged")) == []
        assert list(await bench.log.find("d-nested")) == []
        (found,) = await bench.log.find("d-1")
        assert found["path"] == forged
