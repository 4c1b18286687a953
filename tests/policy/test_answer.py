from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.domain.decision import Effect, FileEffect
from gateway.domain.errors import PolicyError
from gateway.policy import canary
from gateway.policy.answer import parse
from gateway.policy.document import build

REVISION, FILE = (build(q).value for q in canary.queries())
PATH = "model.safetensors"


def reason(**changes: Any) -> dict[str, Any]:
    return {
        "rule": "license/denied", "severity": "high", "message": "No.", "remedy": "Ask.", "path": "", "evidence": "", **changes,
    }  # fmt: skip


def decision(**changes: Any) -> dict[str, Any]:
    base = {
        "effect": "allow", "scope": "revision", "files": {PATH: "needs_evidence"}, "reasons": [], "warnings": [],
        "dryruns": [], "waived": [], "obligations": [], "valid_until": "",
    }  # fmt: skip
    return {**base, **changes}


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in decision().items() if k != key}


DENY = decision(effect="deny", scope="repo", reasons=[reason()], files={})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "decision is null, not an object"),
        ([], "decision is an array"),
        (True, "decision is a boolean"),
        (without("effect"), "lacks ['effect']"),
        (without("dryruns"), "lacks ['dryruns']"),
        (decision(more=1), "unknown keys ['more']"),
        (decision(effect="permit"), "effect is the unknown word 'permit'"),
        (decision(effect=True), "effect is a boolean"),
        (decision(effect=""), "effect is empty"),
        (decision(effect="Allow"), "unknown word 'Allow'"),
        (decision(scope="file-ish"), "scope is the unknown word"),
        (decision(files=[]), "files is an array"),
        (decision(files={PATH: "maybe"}), "unknown word 'maybe'"),
        (decision(files={}), "says nothing of 'model.safetensors'"),
        (decision(files={PATH: "allow", "other": "allow"}), "names 'other'"),
        (decision(reasons={}), "reasons is an object"),
        (decision(reasons=["x"]), "reasons[0] is a string"),
        (decision(reasons=[reason()]), "which effect allows"),
        (decision(reasons=[reason(path=PATH)]), "which effect allows"),
        (decision(warnings=[reason(severity="fatal")]), "severity is the unknown word"),
        (decision(warnings=[reason(message="")]), "message is empty"),
        (decision(warnings=[reason(remedy="")]), "remedy is empty"),
        (decision(warnings=[reason(message=3)]), "message is a number"),
        (decision(warnings=[reason(rule="license")]), "is not category/rule-name"),
        (decision(warnings=[reason(extra="")]), "unknown keys ['extra']"),
        (decision(warnings=[reason(message="x" * 5000)]), "4000 are the most"),
        (decision(warnings=[reason()] * 20_001), "20000 are the most"),
        (decision(waived=[reason()]), "waived[0] lacks"),
        (decision(waived=[{"reason": reason(), "waiver": ""}]), "waived[0].waiver is empty"),
        (decision(obligations=[{"kind": "fly", "value": 1}]), "unknown kind 'fly'"),
        (decision(obligations=[{"kind": "max_age_s", "value": 0}]), "does not fit the kind max_age_s"),
        (decision(obligations=[{"kind": "max_age_s", "value": True}]), "does not fit the kind max_age_s"),
        (decision(obligations=[{"kind": "max_age_s", "value": "9"}]), "does not fit the kind max_age_s"),
        (decision(obligations=[{"kind": "hide_paths", "value": [1]}]), "does not fit the kind hide_paths"),
        (decision(obligations=[{"kind": "max_age_s"}]), "obligations[0] lacks ['value']"),
        (decision(valid_until="soon"), "not an RFC 3339 time"),
        (decision(valid_until="2026-01-01"), "not an RFC 3339 time"),
        (decision(valid_until="2026-01-01T00:00:00"), "not an RFC 3339 time"),
        (decision(valid_until=5), "valid_until is a number"),
    ],
)
def test_another_shape_is_malformed_with_its_pointer(value: Any, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(value, REVISION)
    assert caught.value.code == "pdp/malformed"
    assert words in str(caught.value)


def test_in_scope_file_an_allow_has_no_reason_and_no_answer_has_files() -> None:
    for value in (decision(), decision(files={}, reasons=[reason()])):
        with pytest.raises(PolicyError):
            parse(value, FILE)
    assert parse(decision(files={}), FILE).effect is Effect.ALLOW


def test_a_refused_file_of_an_allowed_revision_carries_its_reason() -> None:
    found = parse(decision(files={PATH: "hide"}, reasons=[reason(path=PATH)]), REVISION)
    assert found.files == {PATH: FileEffect.HIDE}
    assert [r.rule for r in found.reasons_of(PATH)] == ["license/denied"]


def test_a_reason_may_speak_of_a_file_in_another_batch() -> None:
    found = parse(decision(reasons=[reason(path="elsewhere")]), REVISION)
    assert found.effect is Effect.ALLOW
    assert "elsewhere" not in found.files


def test_a_denial_may_be_silent_about_files() -> None:
    assert parse(DENY, REVISION).effect is Effect.DENY


def test_order_never_matters_and_the_most_severe_reason_is_first() -> None:
    reasons = [
        reason(rule="b/x", severity="low"),
        reason(rule="c/x", severity="critical"),
        reason(rule="a/x", severity="low"),
    ]
    obligations = [{"kind": "warn", "value": "w"}, {"kind": "max_age_s", "value": 5}]
    one = {**DENY, "reasons": reasons, "obligations": obligations}
    other = {**copy.deepcopy(one), "reasons": reasons[::-1], "obligations": obligations[::-1]}
    assert parse(one, REVISION) == parse(other, REVISION)
    assert [r.rule for r in parse(one, REVISION).reasons] == ["c/x", "a/x", "b/x"]


def test_a_path_may_be_as_long_as_the_stranger_made_it() -> None:
    long = "x" * 50_000
    question = {**REVISION, "revision": {**REVISION["revision"], "files": [{"path": long}]}}
    assert parse(decision(files={long: "deny"}, reasons=[reason(path=long)]), question).files[long] is FileEffect.DENY


def test_valid_until_is_a_moment() -> None:
    assert parse(decision(valid_until="2026-01-01T02:00:00+02:00"), REVISION).valid_until == datetime(
        2026, 1, 1, tzinfo=UTC
    )
    assert parse(decision(), REVISION).valid_until is None
