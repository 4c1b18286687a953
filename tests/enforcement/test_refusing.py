import pytest

from gateway.domain.artifact import FileEntry
from gateway.domain.decision import Decision, DecisionScope, Effect, FileEffect, Reason
from gateway.domain.errors import (
    ConfigError,
    IdentityError,
    IntegrityError,
    LedgerError,
    PolicyError,
    RateLimited,
    ScanError,
    StoreError,
    UnroutableRequest,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamThrottled,
    UpstreamUnavailable,
)
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refused
from gateway.enforcement.refusing import (
    Progress,
    denied_by_evidence,
    refusal_for,
    refused_file,
    refused_revision,
)

ENTRY = FileEntry("model.bin", 10, "a" * 40, "b" * 64)


def reason(rule, path=""):
    return Reason(rule, "high", "why", "what to do", path)


@pytest.mark.parametrize(
    ("error", "form"),
    [
        (UpstreamNotFound("x", what="entry"), Absence),
        (UpstreamRefused("x", gated=True), Denial),
        (UpstreamRefused("x", gated=False), Absence),
        (UpstreamThrottled("x", retry_after_s=3.2), Pending),
        (UpstreamUnavailable("x", timeout=True), Failure),
        (IntegrityError("x"), Failure),
        (PolicyError("x", code="pdp/timeout"), Pending),
        (ScanError("x"), Pending),
        (StoreError("x"), Pending),
        (LedgerError("x"), Pending),
        (RateLimited("x", retry_after_s=0.2), Pending),
        (ConfigError("x"), Pending),
        (IdentityError("x"), Denial),
        (UnroutableRequest("x"), Refused),
    ],
)
def test_only_a_deny_or_a_refused_identity_takes_the_deny_form(error, form):
    assert isinstance(refusal_for(error, Progress()), form)


def test_waiting_is_rounded_up_and_never_zero():
    assert refusal_for(UpstreamThrottled("x", retry_after_s=3.2), Progress()).retry_after_s == 4
    assert refusal_for(RateLimited("x", retry_after_s=0.01), Progress()).retry_after_s == 1


def test_a_pending_answer_tells_of_the_file_only_what_the_subject_may_see():
    assert refusal_for(ScanError("x"), Progress()).entry is None
    assert refusal_for(ScanError("x"), Progress("c" * 40, ENTRY)).entry == ENTRY


def test_a_private_repo_is_absent_to_others_whatever_else_refuses_it():
    decision = Decision(Effect.DENY, DecisionScope.REPO, (reason("license/denied"), reason("entitlement/private")))
    assert refused_revision(decision, "c" * 40) == Absence("repo", "Repository not found")


def test_a_revision_refused_without_a_reason_still_has_words():
    refusal = refused_revision(Decision(Effect.QUARANTINE, DecisionScope.REVISION), "c" * 40)
    assert isinstance(refusal, Denial)
    assert refusal.effect is Effect.QUARANTINE
    assert refusal.reasons


@pytest.mark.parametrize("effect", [FileEffect.DENY, FileEffect.HIDE, None])
def test_a_file_that_the_decision_does_not_name_is_refused_like_a_denied_one(effect):
    files = {} if effect is None else {"model.bin": effect}
    decision = Decision(Effect.ALLOW, DecisionScope.REVISION, (reason("format/banned", "model.bin"),), files=files)
    refusal = refused_file(decision, ENTRY, "c" * 40)
    assert refusal is not None
    assert refusal.scope is DecisionScope.FILE
    assert refusal.commit == "c" * 40
    assert [r.rule for r in refusal.reasons] == ["format/banned"]


def test_a_fault_of_the_gateways_own_input_is_pending_and_never_a_tombstone():
    for effect in (Effect.DENY, Effect.ALLOW):
        decision = Decision(effect, DecisionScope.REPO, (reason("system/data"),))
        with pytest.raises(PolicyError):
            refused_revision(decision, "c" * 40)
        with pytest.raises(PolicyError):
            denied_by_evidence(decision, ENTRY, "c" * 40)
