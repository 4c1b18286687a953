"""A decision log over a ledger in memory. It passes tests/contracts/decision_log.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.domain.record import RecordKind
from tests.fakes.recording_ledger import RecordingLedger


class MemoryDecisions:
    """ports.DecisionLog of what `ledger` holds."""

    def __init__(self, ledger: RecordingLedger) -> None:
        self._ledger = ledger

    async def find(self, decision_id: str) -> tuple[Mapping[str, Any], ...]:
        decisions = self._ledger.of_kind(RecordKind.DECISION) if decision_id else []
        found = [asdict(record) for record in decisions if record.decision_id == decision_id]
        return tuple(found if len(found) < 72 else [*found[:8], *found[-64:]])
