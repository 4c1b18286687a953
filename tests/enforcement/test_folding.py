import dataclasses

from gateway.domain.record import Record, RecordKind
from gateway.enforcement.folding import MINUTE_S, RefusalFold

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
