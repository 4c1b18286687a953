"""What the ledger holds of a decision, as one object, for whom it may concern."""

import pytest

from gateway.domain.subject import ANONYMOUS, Subject, SubjectKind
from gateway.http.decision_facts import Viewer, facts_of, rules_of

REVIEW = frozenset({"reviewers"})
ALICE = Subject("alice", SubjectKind.USER, frozenset({"ml"}))
RITA = Subject("rita", SubjectKind.USER, frozenset({"ml", "reviewers"}))
REASON = {"rule": "license/unknown", "severity": "medium", "message": "m", "remedy": "r", "path": "", "evidence": ""}


def record(**fields):
    return {
        "kind": "decision", "time": "2026-11-25T10:00:00.000000Z", "effect": "deny", "subject": "alice", "subject_kind": "user",
        "repo": "org/model", "path": "a.bin", "address": "10.0.0.1", "client": "hf_hub/2.4.0", "reasons": [REASON], **fields,
    }  # fmt: skip


def facts(*records, who=ALICE):
    return facts_of("d-1", records, Viewer.of(who, REVIEW))


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (ALICE, True),
        (RITA, True),
        (Subject("bob", SubjectKind.USER), False),
        (Subject("alice", SubjectKind.SERVICE), False),
        (Subject("alice", SubjectKind.ANONYMOUS), False),
        (Subject("Alice", SubjectKind.USER), False),
        (Subject("", SubjectKind.USER), False),
        (ANONYMOUS, False),
    ],
)
def test_a_decision_is_its_own_subjects_and_the_reviewers(who, may):
    assert (facts(record(), who=who) is not None) is may


def test_a_record_that_a_mask_took_the_subject_from_is_for_reviewers_alone():
    masked = {k: v for k, v in record(masked=["/subject"]).items() if k not in {"subject", "subject_kind"}}
    for who in (ALICE, ANONYMOUS, Subject("", SubjectKind.USER)):
        assert facts(masked, who=who) is None
    assert facts(masked, who=RITA)["masked"] == ["/subject"]


def test_of_two_subjects_each_sees_their_own():
    both = (record(), record(subject="bob", path="b.bin"))
    assert [a["path"] for a in facts(*both)["answers"]] == ["a.bin"]
    assert len(facts(*both, who=RITA)["answers"]) == 2


def test_no_review_group_makes_nobody_a_reviewer():
    assert not Viewer.of(RITA, frozenset()).is_reviewer


def test_address_client_and_dry_runs_are_for_reviewers():
    dry = record(dryruns=[{**REASON, "rule": "age/young"}])
    assert facts(dry)["answers"][0]["from"] == []
    assert facts(dry)["dryruns"] == []
    assert facts(dry, who=RITA)["answers"][0]["from"] == ["10.0.0.1 hf_hub/2.4.0"]
    assert facts(dry, who=RITA)["dryruns"][0]["rule"] == "age/young"


def test_equal_answers_are_told_once_and_counted_refusals_first():
    told = facts(
        record(effect="allow", path="ok.txt", reasons=[]),
        record(time="2026-11-25T10:01:00.000000Z"),
        record(time="2026-11-25T10:03:00.000000Z", count=7, remembered=True),
        record(time="2026-11-25T10:02:00.000000Z", path="b.bin"),
    )
    assert [(a["effect"], a["path"], a["count"]) for a in told["answers"]] == [
        ("deny", "a.bin", 8), ("deny", "b.bin", 1), ("allow", "ok.txt", 1),
    ]  # fmt: skip
    assert told["effect"] == "deny"
    assert told["answers"][0]["last_time"] == "2026-11-25T10:03:00.000000Z"
    assert told["time"] == "2026-11-25T10:00:00.000000Z"


def test_very_many_answers_are_cut():
    assert len(facts(*(record(path=f"{n}.bin") for n in range(100)))["answers"]) == 40


def test_warnings_waivers_and_reports_are_told_wherever_they_were_recorded():
    report = {"scanner": "own", "findings": []}
    told = facts(
        record(warnings=[REASON], waived=[{"reason": REASON, "waiver": "W-1"}]),
        record(warnings=[REASON], extra={"reports": [report], "revision_decision": "d-0"}, remembered=True),
    )
    assert told["warnings"] == [REASON]
    assert told["waived"] == [{"reason": REASON, "waiver": "W-1"}]
    assert told["reports"] == [report]
    assert rules_of(told) == ["license/unknown"]


@pytest.mark.parametrize("hole", [None, [], {}, "x", 3, [None], ["x"], [{"waiver": "W", "reason": None}]])
@pytest.mark.parametrize("name", ["reasons", "warnings", "waived", "dryruns", "extra"])
def test_what_a_mask_took_leaves_no_trouble(name, hole):
    for who in (ALICE, RITA):
        told = facts(record(**{name: hole}), record(extra={"reports": hole}), who=who)
        assert rules_of(told) is not None
