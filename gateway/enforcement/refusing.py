"""Turns errors and refusing decisions into refusals: which failure takes which form (design §5, P5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.domain.artifact import Artifact, FileEntry
from gateway.domain.decision import Decision, DecisionScope, Effect, FileEffect, Reason
from gateway.domain.errors import (
    GatewayError,
    IdentityError,
    IntegrityError,
    PolicyError,
    RateLimited,
    UnroutableRequest,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamThrottled,
    UpstreamUnavailable,
)
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refusal, Refused
from gateway.domain.request import HubRequest

RETRY_AFTER_S = 5
UNDER_WAY = "scan/under-way"  # it passes, however often it is asked for meanwhile
_UNREADABLE = frozenset({"route/malformed", "route/slow-body"})
PRIVATE = "entitlement/private"
NO_REPO = "Repository not found"  # one text for absent and private: they must look the same (P7)


@dataclass(slots=True)
class Progress:
    """How far admission came: what a pending answer may say of the file. Set only once the subject may see it."""

    commit: str = ""
    entry: FileEntry | None = None
    artifact: Artifact | None = None
    access: str = ""
    is_kept_back: bool = False  # the repo is not public, and no decision says yet that the subject may see it


def refusal_for(error: GatewayError, progress: Progress) -> Refusal:
    """The refusal of a failure. Our own outage is pending; the hub's is 502/504; absence is the hub's plain fact."""
    match error:
        case UpstreamNotFound(what="repo"):
            return Absence("repo", NO_REPO)
        case UpstreamNotFound():
            return Absence(error.what, str(error))
        case UpstreamRefused(gated=True):
            reason = Reason(
                "entitlement/gated",
                "high",
                "the hub gates this repo and has not granted it to this gateway",
                "ask the operator to request access on the hub and to add an entitlement for your group",
            )
            return Denial(Effect.DENY, DecisionScope.REVISION, (reason,), "")
        case UpstreamRefused():
            return Absence("repo", NO_REPO)
        case UpstreamThrottled() | RateLimited():
            return pending(error.code, str(error), progress, max(1, math.ceil(error.retry_after_s)))
        case UpstreamUnavailable():
            return Failure(error.code, str(error), error.timeout, math.ceil(error.retry_after_s))
        case UpstreamError() | IntegrityError():
            return Failure(error.code, str(error))
        case IdentityError():
            reason = Reason(
                error.code, "high", str(error), "set HF_TOKEN to a token that this gateway's operators gave you"
            )
            return Denial(Effect.DENY, DecisionScope.REPO, (reason,), "")
        case UnroutableRequest():
            return Refused(400 if error.code in _UNREADABLE else 404, error.code, str(error))
        case _:
            return pending(error.code, str(error), progress)


def pending(code: str, message: str, progress: Progress, retry_after_s: int = RETRY_AFTER_S) -> Pending:
    return Pending(
        code,
        message,
        retry_after_s,
        commit=progress.commit,
        entry=progress.entry,
        artifact=progress.artifact,
        access=progress.access,
    )


def refused_protocol(request: HubRequest) -> Refused:
    """The refusal of git, the same whatever is asked: neither the hub nor the policy is."""
    if "git-receive-pack" in (request.path, *request.query.get("service", ())):
        return Refused(403, "route/read-only", "this gateway is read-only: push to the hub itself")
    if request.path.startswith("info/lfs/"):
        return Refused(404, "route/git-lfs", "this gateway knows of git-lfs only the batch of downloads: no locks")
    return Refused(403, "route/git", "this gateway serves no git: a pack holds every file of every revision, unjudged")


def refused_revision(decision: Decision, commit: str) -> Refusal | None:
    """The refusal of a whole revision, or None where the decision allows it."""
    refuse_own_fault(decision)
    if decision.effect is Effect.ALLOW:
        return None
    if any(reason.rule == PRIVATE for reason in decision.reasons):
        return Absence("repo", NO_REPO)
    reasons = decision.reasons_of("") or decision.reasons
    scope = DecisionScope.REVISION if decision.scope is DecisionScope.FILE else decision.scope
    return Denial(decision.effect, scope, reasons or (_unexplained(),), decision.id, commit)


def refused_file(decision: Decision, entry: FileEntry, commit: str) -> Denial | None:
    """The refusal of one file that the revision decision refuses, or None where it may be judged or served."""
    effect = decision.files.get(entry.path)
    if effect in {FileEffect.ALLOW, FileEffect.NEEDS_EVIDENCE}:
        return None
    reasons = decision.reasons_of(entry.path) or (_unexplained(),)
    return Denial(Effect.DENY, DecisionScope.FILE, reasons, decision.id, commit, entry)


def denied_by_evidence(decision: Decision, entry: FileEntry, commit: str) -> Denial | None:
    """The refusal of a file by a decision of scope "file", or None where it allows."""
    refuse_own_fault(decision)
    if decision.effect is Effect.ALLOW:
        return None
    return Denial(
        decision.effect, DecisionScope.FILE, decision.reasons or (_unexplained(),), decision.id, commit, entry
    )


def refuse_own_fault(decision: Decision) -> None:
    """Reasons `system/...` speak of the gateway's own input or data: no allow, and never the deny form (P5)."""
    for reason in decision.reasons:
        if reason.rule.startswith("system/"):
            raise PolicyError(reason.message, code=reason.rule)


def _unexplained() -> Reason:
    return Reason("system/unexplained", "high", "the policy refuses this without a reason", "ask the policy authors")
