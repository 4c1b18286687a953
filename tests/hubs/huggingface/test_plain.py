"""Refusals for git, git-lfs and registries: one printable line, never 401, never a wait without its length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.decision import DecisionScope, Effect, Reason
from gateway.domain.explaining import UNEXPLAINED, Explaining
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refused
from gateway.hubs.huggingface.plain import plainly, text_answer

REASON = Reason("scan/code-exec", "critical", "calls os.system", "use safetensors")
DENIAL = Denial(Effect.DENY, DecisionScope.FILE, (REASON,), "d-1")


@pytest.mark.parametrize(
    ("refusal", "status", "words"),
    [
        (DENIAL, 403, "scan/code-exec"),
        (Pending("pdp/timeout", "the engine is slow", 0), 429, "pdp/timeout"),
        (Absence("repo", "Repository not found"), 404, "Repository not found"),
        (Failure("upstream/unavailable", "down"), 502, "upstream/unavailable"),
        (Failure("upstream/unavailable", "late", timeout=True), 504, "late"),
        (Refused(403, "route/read-only", "read-only"), 403, "route/read-only"),
    ],
)
def test_every_refusal_has_a_status_and_a_line(refusal, status, words):
    plain = plainly(refusal, UNEXPLAINED)
    assert plain.status == status
    assert words in plain.line
    assert ("Retry-After" in dict(plain.headers)) == (status == 429)


def test_a_denial_leads_to_its_page():
    assert "https://gate.example/-/decisions/d-1" in plainly(DENIAL, Explaining("https://gate.example")).line


def test_what_to_do_instead_stands_in_the_line():
    assert "Next step: do this" in plainly(Refused(403, "route/git", "no"), UNEXPLAINED, "do this").line


@given(st.text(max_size=300))
def test_the_line_is_one_and_printable(text):
    for refusal in (
        Denial(Effect.DENY, DecisionScope.FILE, (Reason(text, text, text, text, text),), text),
        Pending(text, text, 5, text),
        Absence("entry", text),
        Failure(text, text),
        Refused(404, text, text),
    ):
        rendering = text_answer(plainly(refusal, UNEXPLAINED))
        assert rendering.body.count(b"\n") == 1
        assert rendering.body.isascii()
        assert all(value.isprintable() for _, value in rendering.headers)
