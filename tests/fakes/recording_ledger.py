"""A ledger that keeps its records in memory. It passes tests/contracts/ledger.py."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

from gateway.domain.errors import LedgerError
from gateway.domain.record import Durability, Record, RecordKind


class RecordingLedger:
    """`entries` holds what was recorded, in order; after `fail()` everything is refused for good."""

    def __init__(self) -> None:
        self.entries: list[tuple[Record, Durability]] = []
        self._failed = False

    @property
    def records(self) -> list[Record]:
        return [record for record, _ in self.entries]

    def of_kind(self, kind: RecordKind) -> list[Record]:
        return [record for record in self.records if record.kind is kind]

    async def record(self, record: Record, durability: Durability) -> None:
        if self._failed:
            raise LedgerError("The ledger was told to fail.")
        try:
            json.dumps(asdict(record))
        except (TypeError, ValueError) as error:
            raise LedgerError(f"The record cannot be written as JSON: {error}.") from error
        self.entries.append((record, durability))
        await asyncio.sleep(0)  # like the real one: other tasks run before the answer

    def healthy(self) -> bool:
        return not self._failed

    def fail(self) -> None:
        self._failed = True
