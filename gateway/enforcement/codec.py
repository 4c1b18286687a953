"""Facts, reports and decisions as JSON-like values, so that they outlive a restart."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from gateway.domain.decision import Decision
from gateway.domain.evidence import ScanReport, Snapshot

_REPORT: TypeAdapter[ScanReport] = TypeAdapter(ScanReport)
_DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)
_SNAPSHOT: TypeAdapter[Snapshot] = TypeAdapter(Snapshot)


def report_to_json(report: ScanReport) -> Any:
    return _REPORT.dump_python(report, mode="json")


def report_from_json(value: Any) -> ScanReport | None:
    """The report, or None where the stored value is not one (then it is made anew)."""
    return _load(_REPORT, value)


def decision_to_json(decision: Decision) -> Any:
    return _DECISION.dump_python(decision, mode="json")


def decision_from_json(value: Any) -> Decision | None:
    return _load(_DECISION, value)


def snapshot_to_json(snapshot: Snapshot) -> Any:
    return _SNAPSHOT.dump_python(snapshot, mode="json")


def snapshot_from_json(value: Any) -> Snapshot | None:
    return _load(_SNAPSHOT, value)


def _load(adapter: TypeAdapter[Any], value: Any) -> Any | None:
    if value is None:
        return None
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None  # written by another version: unknown, so gathered again
