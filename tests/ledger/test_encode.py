"""The hand-written encoding loses no field, and hides what it is told to hide."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import LedgerError
from gateway.domain.record import Record, RecordKind
from gateway.ledger.encode import Encoder, timestamp

TIME = "2026-11-24T10:00:00.000000Z"
VALUES: dict[str, Any] = {"str": "text", "int": 7, "bool": True, "tuple[str, ...]": ("one",)}


def full() -> Record:
    """A record in which every field differs from its default."""
    fields: dict[str, Any] = {"kind": RecordKind.DELIVERY, "span": (1, 2), "extra": {"more": [1]}}
    for field in dataclasses.fields(Record):
        if field.name not in fields:
            fields[field.name] = VALUES.get(str(field.type), ({"rule": "a/b"},))
    return Record(**fields)


def encode(record: Record, *masks: str) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(Encoder("gw", 3, masks).encode(record, 5, 4, TIME))
    return body


def test_every_field_of_a_record_is_written_as_it_is() -> None:
    record = full()
    body = encode(record)
    assert [body.pop(name) for name in ("seq", "synced", "time", "instance", "worker")] == [5, 4, TIME, "gw", 3]
    assert body == orjson.loads(orjson.dumps(dataclasses.asdict(record)))


def test_empty_fields_are_left_out() -> None:
    assert set(encode(Record(RecordKind.EVENT, ""))) == {
        "seq", "synced", "time", "instance", "worker", "kind", "effect",
    }  # fmt: skip


def test_a_subject_without_a_kind_and_a_delivery_of_nothing_are_kept() -> None:
    body = encode(Record(RecordKind.DELIVERY, "r", subject="s", span=(0, 0)))
    assert (body["subject_kind"], body["bytes_delivered"], body["span"]) == ("", 0, [0, 0])


@given(st.text(st.characters()), st.lists(st.text()), st.dictionaries(st.text(), st.integers(-(2**63), 2**63 - 1)))
def test_any_text_is_one_json_object(path: str, groups: list[str], extra: dict[str, int]) -> None:
    body = encode(Record(RecordKind.REFUSAL, "r", path=path, groups=tuple(groups), extra=extra))
    if path.isprintable() and path:
        assert body["path"] == path
    assert body["seq"] == 5


@pytest.mark.parametrize("value", [2**70, object(), b"bytes", {1: 2}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(LedgerError, match="cannot be written as JSON"):
        encode(Record(RecordKind.EVENT, "r", extra={"value": value}))


@pytest.mark.parametrize(
    ("pointer", "extra", "left"),
    [
        ("/extra/a~1b", {"a/b": 1, "c": 2}, {"c": 2}),
        ("/extra/a~0b", {"a~b": 1, "c": 2}, {"c": 2}),
        ("/extra/list/1", {"list": [1, 2, 3]}, {"list": [1, None, 3]}),
        ("/extra/list/7", {"list": [1]}, {"list": [1]}),
        ("/extra/list/x", {"list": [1]}, {"list": [1]}),
        ("/extra/text/0", {"text": "abc"}, {"text": "abc"}),
        ("/extra/deep/er/x", {"deep": {"er": {"x": 1, "y": 2}}}, {"deep": {"er": {"y": 2}}}),
    ],
)
def test_masks_follow_json_pointers(pointer: str, extra: dict[str, Any], left: dict[str, Any]) -> None:
    body = encode(Record(RecordKind.EVENT, "r", extra=extra), pointer)
    assert body["extra"] == left
    assert body.get("masked", []) == ([pointer] if left != extra else [])


def test_times_are_utc_with_microseconds() -> None:
    moment = datetime(2026, 11, 24, 12, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(moment) == TIME
    assert timestamp(datetime(2026, 11, 24, 10, 0, 0, 5, tzinfo=UTC)) == "2026-11-24T10:00:00.000005Z"
