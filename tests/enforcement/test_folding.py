import dataclasses

from gateway.domain.record import Record, RecordKind
from gateway.enforcement.folding import MINUTE_S, DeliveryFold, RefusalFold

RECORD = Record(kind=RecordKind.DECISION, request_id="r", subject="a", repo="org/m", effect="deny")


class Time:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_first_refusal_of_a_minute_is_written_and_the_rest_counted():
    time = Time()
    fold = RefusalFold(time)
    assert not fold.repeats(RECORD)
    assert fold.repeats(RECORD)
    assert fold.repeats(dataclasses.replace(RECORD, request_id="another"))
    assert list(fold.due(everything=False)) == []
    time.now = MINUTE_S
    [counted] = fold.due(everything=False)
    assert counted.count == 2
    assert counted.repo == "org/m"
    assert not fold.repeats(RECORD)


def test_another_subject_repo_path_or_rule_is_another_record():
    fold = RefusalFold(Time())
    assert not fold.repeats(RECORD)
    for change in ({"subject": "b"}, {"repo": "org/n"}, {"path": "x"}, {"reasons": ({"rule": "license/denied"},)}):
        assert not fold.repeats(dataclasses.replace(RECORD, **change))


def test_everything_is_written_at_the_end():
    fold = RefusalFold(Time())
    fold.repeats(RECORD)
    fold.repeats(RECORD)
    assert [r.count for r in fold.due(everything=True)] == [1]
    assert list(fold.due(everything=True)) == []


def test_a_refusal_without_repeats_leaves_nothing_to_count():
    time = Time()
    fold = RefusalFold(time)
    fold.repeats(RECORD)
    time.now = MINUTE_S
    assert list(fold.due(everything=False)) == []


def test_two_readers_at_once_take_each_count_once():
    time = Time()
    fold = RefusalFold(time)
    for name in ("a", "b", "c"):
        for _ in range(2):
            fold.repeats(dataclasses.replace(RECORD, path=name))
    time.now = MINUTE_S
    one = fold.due(everything=False)
    taken = [next(one).path]  # ... and waits for the ledger, while another request empties the rest
    taken += [record.path for record in fold.due(everything=False)]
    taken += [record.path for record in one]
    assert taken == ["a", "b", "c"]


def test_a_flood_past_the_rate_limit_is_one_record_whatever_it_asks_for():
    fold = RefusalFold(Time())
    limited = dataclasses.replace(RECORD, effect="pending", reasons=({"rule": "limit/rate"},), address="10.0.0.1")
    assert not fold.repeats(limited)
    assert fold.repeats(dataclasses.replace(limited, path="another", repo="other/m", extra={"target": "/x"}))
    assert not fold.repeats(dataclasses.replace(limited, address="10.0.0.2"))


def delivery(start, end, **changes):
    base = Record(
        kind=RecordKind.DELIVERY, request_id="r", subject="a", digest="sha256:x", decision_id="d", size_bytes=100,
        bytes_delivered=end - start, span=(start, end),
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def test_the_ranges_of_one_file_by_one_subject_are_one_record_with_merged_spans():
    time = Time()
    fold = DeliveryFold(time)
    for start, end in ((50, 60), (0, 10), (10, 20), (5, 12)):
        fold.add(delivery(start, end))
    assert list(fold.due(everything=False)) == []
    time.now = MINUTE_S
    [record] = fold.due(everything=False)
    assert record.extra["spans"] == [[0, 20], [50, 60]]
    assert record.span == (0, 60)
    assert record.bytes_delivered == 37
    assert record.count == 4
    assert list(fold.due(everything=True)) == []


def test_a_cut_range_counts_what_left_and_no_more():
    fold = DeliveryFold(Time())
    fold.add(delivery(40, 90, bytes_delivered=5))
    fold.add(delivery(0, 10, bytes_delivered=0))
    [record] = fold.due(everything=True)
    assert record.extra["spans"] == [[40, 45]]
    assert record.bytes_delivered == 5


def test_ranges_of_others_and_under_other_decisions_stay_apart():
    fold = DeliveryFold(Time())
    for change in ({}, {"subject": "b"}, {"digest": "sha256:y"}, {"decision_id": "e"}, {"extra": {"unverified": True}}):
        fold.add(delivery(0, 10, **change))
    records = list(fold.due(everything=True))
    assert len(records) == 5
    assert [record.extra.get("unverified", False) for record in records] == [False] * 4 + [True]


def test_many_spans_do_not_wait_for_the_minute():
    fold = DeliveryFold(Time())
    for number in range(300):
        fold.add(delivery(number * 2, number * 2 + 1))
    [record] = fold.due(everything=False)
    assert len(record.extra["spans"]) == 300
