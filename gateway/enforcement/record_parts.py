"""Decisions, refusals and reports as the plain values of a record."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from gateway.domain.artifact import Artifact
from gateway.domain.decision import Decision, Reason
from gateway.domain.evidence import ScanReport
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refusal, Refused
from gateway.domain.record import RecordKind

_FINDINGS_SHOWN = 20


def of_decision(decision: Decision) -> dict[str, Any]:
    return {
        "decision_id": decision.id,
        "reasons": _plain(decision.reasons),
        "warnings": _plain(decision.warnings),
        "dryruns": _plain(decision.dryruns),
        "waived": tuple({"reason": dataclasses.asdict(w.reason), "waiver": w.waiver} for w in decision.waived),
        "engine": decision.engine,
        "policy_digest": decision.policy_digest,
        "data_digest": decision.data_digest,
        "input_digest": decision.input_digest,
    }


def of_refusal(refusal: Refusal) -> dict[str, Any]:
    match refusal:
        case Denial():
            entry = refusal.entry
            return {
                "kind": RecordKind.DECISION,
                "effect": refusal.effect.value,
                "decision_id": refusal.decision_id,
                "reasons": _plain(refusal.reasons),
                "commit": refusal.commit,
                "digest": str(entry.digest) if entry is not None else "",
                "size_bytes": entry.size_bytes if entry is not None else 0,
            }
        case Pending():
            reason = Reason(refusal.code, "info", refusal.message, f"ask again in {refusal.retry_after_s} s")
            return {"effect": "pending", "reasons": _plain((reason,)), "commit": refusal.commit}
        case Absence():
            reason = Reason(f"upstream/{refusal.what}-not-found", "info", refusal.message, "")
            return {"effect": "refused", "reasons": _plain((reason,)), "commit": refusal.commit}
        case Failure() | Refused():
            reason = Reason(refusal.code, "info", refusal.message, "")
            return {"effect": "refused", "reasons": _plain((reason,))}


def of_hold(artifact: Artifact, most_bytes: int) -> dict[str, Any]:
    """A client is held: what may leave while the file is judged, and of which file."""
    reason = Reason(
        "fill/held",
        "info",
        f"the file is being fetched and judged: at most its first {most_bytes} bytes are sent, one every few seconds",
        "wait; if the connection is cut, ask again to read why",
    )
    return {
        "effect": "pending",
        "reasons": _plain((reason,)),
        "repo": str(artifact.repo),
        "commit": artifact.commit,
        "path": artifact.path,
        "digest": str(artifact.entry.digest),
        "size_bytes": artifact.entry.size_bytes,
    }


def _plain(reasons: Sequence[Reason]) -> tuple[dict[str, Any], ...]:
    return tuple(dataclasses.asdict(reason) for reason in reasons)


def evidence(reports: Sequence[ScanReport], revision_decision: str) -> dict[str, Any]:
    extra: dict[str, Any] = {"revision_decision": revision_decision} if revision_decision else {}
    if reports:
        extra["reports"] = [
            {
                "scanner": report.scanner,
                "version": report.version,
                "format": report.format,
                "coverage": dataclasses.asdict(report.coverage),
                "findings": [dataclasses.asdict(f) for f in report.findings[:_FINDINGS_SHOWN]],
                "findings_total": len(report.findings),
                "judged_ranges": [[s.start, s.end] for s in report.spans],
            }
            for report in reports
        ]
    return extra
