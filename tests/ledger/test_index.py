"""The index answers what the segments hold, whatever happens to the index."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import LedgerError
from gateway.domain.record import Durability, Record, RecordKind
from gateway.ledger.index import INDEX_NAME, LedgerIndex
from gateway.ledger.queries import Filter, explain, find, parse_time
from gateway.ledger.segments import SegmentReader, list_segments
from gateway.ledger.writer import SegmentLedger
from tests.contracts.ledger import delivery

RULE = {"rule": "format/pickle", "message": "m", "remedy": "r"}


def decision(number: int, **fields: Any) -> Record:
    return Record(RecordKind.DECISION, f"req-{number}", decision_id=f"dec-{number}", **fields)


@pytest.fixture
async def ledger(directory: Path, clock: Any) -> AsyncIterator[SegmentLedger]:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=4096)
    await ledger.start()
    yield ledger
    await ledger.close()


async def fill(ledger: SegmentLedger) -> None:
    for record in (
        decision(1, effect="allow", subject="alice", repo="acme/good", path="a.bin", digest="sha256:aa"),
        decision(2, effect="deny", subject="bob", repo="acme/evil", path="[b].bin", reasons=(RULE,)),
        decision(3, effect="allow", subject="alice", repo="other/x", waived=({"reason": RULE, "waiver": "W"},)),
        decision(4, effect="allow", subject="bob", repo="datasets/acme/d", warnings=({"rule": "license/none"},)),
        delivery("req-5", decision_id="dec-1", subject="carol", repo="acme/good", path="a.bin", digest="sha256:aa"),
        Record(RecordKind.REFUSAL, "req-6", effect="refused", note="no such route"),
    ):
        await ledger.record(record, Durability.DURABLE)


def ids(directory: Path, **wanted: Any) -> list[str]:
    with LedgerIndex(directory) as index:
        return [record.get("request_id", record.get("note", "")) for record in find(index, Filter(**wanted))]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"subject": "alice"}, ["req-1", "req-3"]),
        ({"repo": "acme/good"}, ["req-1", "req-5"]),
        ({"repo": "acme/*"}, ["req-1", "req-2", "req-5"]),
        ({"repo": "*acme*"}, ["req-1", "req-2", "req-4", "req-5"]),
        ({"path": "[b].bin"}, ["req-2"]),
        ({"path": "[b]*"}, ["req-2"]),
        ({"path": "b*"}, []),
        ({"effect": "deny"}, ["req-2"]),
        ({"rule": "format/pickle"}, ["req-2", "req-3"]),
        ({"rule": "license/none"}, ["req-4"]),
        ({"rule": "format/pickle", "effect": "deny"}, ["req-2"]),
        ({"kind": "refusal"}, ["req-6"]),
        ({"kind": "event"}, ["The ledger was opened."]),
        ({"digest": "sha256:aa"}, ["req-1", "req-5"]),
        ({"decision_id": "dec-1"}, ["req-1", "req-5"]),
        ({"request_id": "req-5"}, ["req-5"]),
        ({"limit": 2}, ["req-5", "req-6"]),
        ({"subject": "' OR 1=1 --"}, []),
    ],
)
async def test_each_filter_finds_its_records(
    ledger: SegmentLedger, directory: Path, wanted: dict[str, Any], expected: list[str]
) -> None:
    await fill(ledger)
    assert ids(directory, **wanted) == expected


async def test_since_is_included_and_until_is_not(ledger: SegmentLedger, directory: Path) -> None:
    await fill(ledger)
    with LedgerIndex(directory) as index:
        times = {r.get("request_id"): r["time"] for r in find(index, Filter())}
    assert ids(directory, since=times["req-2"], until=times["req-4"]) == ["req-2", "req-3"]


async def test_it_follows_a_ledger_that_is_being_written(ledger: SegmentLedger, directory: Path) -> None:
    for number in range(100):
        await ledger.record(delivery(f"r{number}"), Durability.WRITTEN)
        if number % 7 == 0:
            assert ids(directory, kind="delivery") == [f"r{n}" for n in range(number + 1)]
    assert ids(directory, kind="delivery") == [f"r{n}" for n in range(100)]


async def test_two_readers_at_once_take_nothing_in_twice(ledger: SegmentLedger, directory: Path) -> None:
    for number in range(200):
        await ledger.record(delivery(f"r{number}"), Durability.WRITTEN)
    answers: list[list[str]] = []
    threads = [threading.Thread(target=lambda: answers.append(ids(directory, kind="delivery"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[f"r{n}" for n in range(200)]] * 4


def ruin(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 400)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def older_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.execute("DELETE FROM records")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("harm", [Path.unlink, ruin, empty, older_version])
async def test_it_is_rebuilt_whatever_happened_to_it(ledger: SegmentLedger, directory: Path, harm: Any) -> None:
    await fill(ledger)
    before = ids(directory)
    for suffix in ("-wal", "-shm"):
        (directory / (INDEX_NAME + suffix)).unlink(missing_ok=True)
    harm(directory / INDEX_NAME)
    assert ids(directory) == before


async def test_an_index_of_another_ledger_is_thrown_away(directory: Path, clock: Any, tmp_path: Path) -> None:
    for round_ in range(2):
        ledger = SegmentLedger(directory, "gw", clock, segment_bytes=4096)
        await ledger.start()
        await ledger.record(delivery(f"round-{round_}"), Durability.DURABLE)
        await ledger.close()
        assert ids(directory, kind="delivery") == [f"round-{round_}"]
        for name in list_segments(directory):
            (directory / str(name)).unlink()


async def test_where_no_index_can_be_kept_it_lives_in_memory(ledger: SegmentLedger, directory: Path) -> None:
    await fill(ledger)
    (directory / INDEX_NAME).mkdir()  # not even root can open that as a database
    assert len(ids(directory)) == 7
    assert (directory / INDEX_NAME).is_dir()


async def test_damage_is_named_and_the_rest_is_still_found(directory: Path, clock: Any) -> None:
    for boot in range(2):
        ledger = SegmentLedger(directory, "gw", clock, segment_bytes=65536)
        await ledger.start()
        for number in range(10):
            await ledger.record(delivery(f"r{boot}-{number}"), Durability.DURABLE)
        await ledger.close()
    path = directory / str(list_segments(directory)[0])
    frame = list(SegmentReader(path))[5]
    content = bytearray(path.read_bytes())
    content[frame.offset + 50] ^= 1
    path.write_bytes(content)
    with LedgerIndex(directory) as index:
        found = [record["request_id"] for record in find(index, Filter(kind="delivery"))]
        assert index.unread == {path.name: frame.offset}
    assert found == [f"r0-{n}" for n in range(4)] + [f"r1-{n}" for n in range(10)]


async def test_explain_gathers_a_decision_and_its_deliveries(ledger: SegmentLedger, directory: Path) -> None:
    await fill(ledger)
    with LedgerIndex(directory) as index:
        of_decision = [r["request_id"] for r in explain(index, "dec-1")]
        of_request = [r["request_id"] for r in explain(index, "req-5")]
        assert explain(index, "") == explain(index, "nothing") == []
    assert of_decision == of_request == ["req-1", "req-5"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", "2026-11-24T08:30:00.000000Z"),
        ("7d", "2026-11-17T10:00:00.000000Z"),
        ("2026-11-24", "2026-11-24T00:00:00.000000Z"),
        ("2026-11-24T12:00:00+02:00", "2026-11-24T10:00:00.000000Z"),
        ("2026-11-24T12:00:00.5Z", "2026-11-24T12:00:00.500000Z"),
    ],
)
def test_times_are_read(text: str, expected: str) -> None:
    assert parse_time(text, datetime(2026, 11, 24, 10, tzinfo=UTC)) == expected


@pytest.mark.parametrize("text", ["yesterday", "7 days", "2026-13-01", "-1d", "99999999w", "999999w"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(LedgerError):
        parse_time(text, datetime(2026, 11, 24, 10, tzinfo=UTC))
