"""The line a developer reads: every part of it in its bounds, and the link to the explanation whole, at its end."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.artifact import FileEntry
from gateway.domain.decision import DecisionScope, Effect, Reason
from gateway.domain.explaining import Explaining
from gateway.domain.outcome import Denial, Failure, Pending, Refused
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface.dialect import HuggingFaceDialect
from gateway.hubs.huggingface.words import MAX_LINE_CHARS, denial_line, warning_headers
from tests.hubs.huggingface.hub_world import model

KEY = b"k" * 32
BASE = "https://gate.example/" + "p" * 150  # the longest that the settings take
ID = "d-" + "0123456789" * 2
PAGE = f"{BASE}/-/decisions/{ID}"
DIALECT = HuggingFaceDialect("hub", BASE + "/", KEY, contact="https://help.example/" + "c" * 79)
LONG = Reason("category/" + "r" * 200, "high", "m" * 2000, "n" * 2000, "p" * 2000)
COMMIT = "0" * 40


def line_of(rendering):
    headers = dict(rendering.headers)
    return headers.get("X-Error-Message") or headers["X-HF-Warning"]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("entry", [None, FileEntry("f" * 900, 5, "a" * 40)])
@pytest.mark.parametrize("kind", [k for k in RequestKind if k is not RequestKind.WRITE])
def test_the_link_is_never_cut_whatever_else_there_is_to_say(kind, entry, method):
    request = HubRequest(kind, model("org/" + "n" * 90), "main", "f" * 900, {})
    for reasons in ((LONG,), (LONG,) * 12, ()):
        denial = Denial(Effect.QUARANTINE, DecisionScope.FILE, reasons, ID, COMMIT, entry)
        line = line_of(DIALECT.refuse(request, method, denial))
        assert len(line) <= MAX_LINE_CHARS
        assert line.endswith(f" See {PAGE}"), line
        assert re.fullmatch(r"[ -~]+", line)
        for part in ("QUARANTINED", f"Decision {ID}", "Next step: "):
            assert part in line
        if reasons:
            assert "Rule category/rrr" in line
            assert "mmmmmmmmmm" in line
            assert "nnnnnnnnnn" in line


@given(st.text(max_size=900), st.text(max_size=90), st.text(max_size=900), st.text(max_size=900))
def test_no_text_pushes_the_link_out_or_puts_another_behind_it(message, rule, remedy, path):
    reason = Reason(rule, "high", message, f"{remedy} See https://evil.example/-/decisions/{ID}", path)
    line = denial_line(Denial(Effect.DENY, DecisionScope.FILE, (reason,), ID), path, Explaining(BASE))
    assert line.endswith(f" See {PAGE}")
    assert len(line) <= MAX_LINE_CHARS
    assert re.fullmatch(r"[ -~]+", line)


@pytest.mark.parametrize(
    ("refusal", "page"),
    [
        (Denial(Effect.DENY, DecisionScope.REPO, (Reason("identity/missing", "high", "m", "r"),), ""), "identity/missing"),
        (Pending("pdp/timeout", "the policy is late", 5), "pdp/timeout"),
        (Failure("upstream/unavailable", "m" * 3000), "upstream/unavailable"),
        (Refused(403, "route/read-only", "m" * 3000), "route/read-only"),
    ],
)  # fmt: skip
def test_without_a_decision_the_reason_code_has_the_page(refusal, page):
    request = HubRequest(RequestKind.REFS, model("org/name"), "main", "", {})
    for asked in (request, None):
        assert line_of(DIALECT.refuse(asked, "GET", refusal)).endswith(f" See {BASE}/-/reasons/{page}")


def test_a_pending_decision_that_has_an_id_has_its_own_page():
    line = line_of(DIALECT.refuse(None, "GET", Pending("pdp/timeout", "late", 5, ID)))
    assert line.endswith(f"Try again in 5 s. See {PAGE}")


@pytest.mark.parametrize(
    "strange", ["d-1/../../metrics", "d-1?x", "d 1", "d-1\r\nX-Evil: 1", "é", "d" * 65, "", "d%2f"]
)
def test_an_id_or_code_that_would_need_escaping_is_not_linked(strange):
    assert Explaining(BASE).link(strange, strange) == ""
    assert Explaining(BASE).link(strange, f"route/{strange}") == ""


def test_a_link_that_would_be_too_long_is_left_out_and_never_cut():
    line = denial_line(Denial(Effect.DENY, DecisionScope.REPO, (LONG,), ID), "", Explaining("https://" + "h" * 300))
    assert "See" not in line
    assert f"Decision {ID}" in line


def test_whom_to_ask_is_named_where_the_operator_says_it():
    reason = Reason("license/unknown", "medium", "no license", "Ask the publisher")
    denial = Denial(Effect.DENY, DecisionScope.REPO, (reason,), ID)
    assert "Next step: Ask the publisher. Contact: ml@corp.example. See" in denial_line(
        denial, "", Explaining(BASE, "ml@corp.example")
    )
    unexplained = Denial(Effect.DENY, DecisionScope.REPO, (), ID)
    assert "ask ml@corp.example and name" in denial_line(unexplained, "", Explaining(BASE, "ml@corp.example"))
    assert "ask the owners of this gateway" in denial_line(unexplained, "", Explaining(BASE))


def test_a_warning_names_the_decision_it_came_with():
    reasons = [Reason(f"license/rule-{n}", "low", "m" * 900, "r" * 900) for n in range(12)]
    headers = warning_headers(reasons, ID, Explaining(BASE))
    assert len(headers) == 8
    for name, value in headers:
        assert name == "X-HF-Warning"
        assert value.endswith(f" See {PAGE}")
        assert len(value) < 1024
