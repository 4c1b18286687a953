"""The page of a decision: it says all that its facts say, and hostile facts are text."""

import copy
import re

import pytest

from gateway.http.decision_page import decision_page
from tests.http.test_markup import Seen

EVIL = "<script>alert(1)</script>\"'\u202e"
REASON = {
    "rule": "scan/code-exec",
    "severity": "high",
    "message": "why",
    "remedy": "do this",
    "path": "a.bin",
    "evidence": "ev",
}
ANSWER = {
    "effect": "deny", "action": "fetch", "route": "resolve", "repo": "org/model", "ref": "main", "commit": "c" * 40,
    "path": "a.bin", "digest": "sha256:ff", "size_bytes": 1234567, "reasons": [REASON], "first_time": "T1", "last_time": "T2",
    "count": 3, "from": [],
}  # fmt: skip
FACTS = {
    "id": "d-1", "effect": "deny", "time": "T0", "subject": {"id": "alice", "kind": "user", "groups": ["ml"]},
    "answers": [ANSWER], "warnings": [{**REASON, "rule": "age/young", "message": "so young"}],
    "waived": [{"reason": {**REASON, "rule": "license/denied"}, "waiver": "W-7"}], "dryruns": [],
    "reports": [{
        "scanner": "own", "version": "1", "format": "pickle", "coverage": {"surface": "partial", "cause": "timeout", "whole_file": False},
        "findings": [{"rule": "f.rule", "cls": "code-exec", "severity": "critical", "message": "calls", "symbol": "os.system", "location": "@2"}],
        "findings_total": 30,
    }],
    "revision_decision": "d-0", "engine": "regorus", "policy_digest": "sha256:p", "data_digest": "sha256:d",
    "scanner_set": "own@1", "input_digest": "sha256:i", "masked": ["/address"], "is_current": True, "contact": "ops@corp.example",
    "rules": {"scan/code-exec": {"title": "Runs code", "description": "Looks at pickles", "severity": "high", "remedy": "r"}},
}  # fmt: skip
BASE = "https://gate.example/hf"


def shown(**changes):
    return Seen(decision_page({**copy.deepcopy(FACTS), **changes}, BASE).body.decode())


def test_it_says_all_that_is_known():
    text = shown().text
    for words in (
        "Denied", "org/model", "a.bin", "why", "scan/code-exec", "Runs code", "Looks at pickles", "do this", "high", "enforce", "ev",
        "sha256:ff", "1,234,567 bytes", "main", "fetch by resolve", "alice (user), groups ml", "T1, last T2", "3", "so young",
        "age/young", "warn", "W-7", "license/denied", "waived", "pickle", "partial: not everything was seen", "timeout",
        "the ranges that matter", "os.system at @2", "29 more", "d-0", "regorus", "sha256:p", "sha256:d", "own@1", "sha256:i",
        "/address", "ops@corp.example", "gateway audit show d-1",
    ):  # fmt: skip
        assert words in text, words


def test_links_lead_to_rules_the_decision_behind_and_the_operators():
    links = [attributes["href"] for tag, attributes in shown().elements if tag == "a"]
    assert f"{BASE}/-/reasons/scan/code-exec" in links
    assert f"{BASE}/-/decisions/d-0" in links
    assert "mailto:ops@corp.example" in links
    assert "https://help.example/" in [
        a["href"] for t, a in shown(contact="https://help.example/").elements if t == "a"
    ]
    assert all(link.startswith((BASE, "mailto:")) for link in links)


def poisoned(value):
    if isinstance(value, str):
        return EVIL
    if isinstance(value, dict):
        return {key: poisoned(item) for key, item in value.items()}
    return [poisoned(item) for item in value] if isinstance(value, list) else value


def test_every_text_at_once_may_be_hostile():
    facts = poisoned(copy.deepcopy(FACTS))
    facts["answers"] = [facts["answers"][0], facts["answers"][0]]
    seen = Seen(
        decision_page(
            {**facts, "contact": "", "rules": {EVIL: poisoned(FACTS["rules"]["scan/code-exec"])}}, BASE
        ).body.decode()
    )
    assert not {"script", "img", "svg"} & {tag for tag, _ in seen.elements}
    assert all(re.fullmatch(r"[a-z ]*", a.get("class", "")) for _, a in seen.elements if isinstance(a, dict))
    assert [a["href"] for tag, a in seen.elements if tag == "a"] == []
    assert "<script>alert(1)</script>\"'\\u202e" in seen.text


def test_several_answers_have_a_section_each():
    text = shown(
        answers=[
            ANSWER,
            {**ANSWER, "path": "b.bin", "effect": "quarantine"},
            {**ANSWER, "effect": "allow", "reasons": []},
        ]
    ).text
    for words in (
        "org/model",
        "b.bin",
        "Quarantined",
        "Allowed",
        "No rule in mode enforce is against it.",
    ):
        assert words in text


def test_one_rule_with_many_things_to_say_has_one_box():
    reasons = [{**REASON, "message": f"reason {n}"} for n in range(5)]
    page = shown(answers=[{**ANSWER, "reasons": reasons}], warnings=[], waived=[])
    assert page.text.count("do this") == 2, "once in the box, once among the next steps"
    assert all(f"reason {n}" in page.text for n in range(5))


@pytest.mark.parametrize(
    "hole", [{}, {"findings": None}, {"coverage": None, "findings": [None], "findings_total": None}]
)
def test_a_report_with_holes_is_no_trouble(hole):
    assert "What the scanners saw" in shown(reports=[hole]).text


def test_a_reason_with_holes_is_no_trouble_and_no_link():
    page = shown(answers=[{**ANSWER, "reasons": [{}]}], rules={})
    assert "Why" in page.text


def test_an_old_decision_says_that_the_policy_has_changed():
    assert "have changed" in shown(is_current=False).text
    assert "have changed" not in shown().text


def test_an_allowed_decision_asks_for_nothing():
    assert "What to do next" not in shown(effect="allow", answers=[{**ANSWER, "effect": "allow", "reasons": []}]).text
