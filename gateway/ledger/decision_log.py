"""ports.DecisionLog over the segments: the index as far as it goes, and the rest by its bytes.

So a decision made a moment ago is found at once, after a restart too, and nobody waits for an index. The index catches
up in the background, in small steps, once much lies behind it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import structlog

from gateway.domain.errors import LedgerError
from gateway.domain.explaining import is_decision_id
from gateway.ledger.index import LedgerIndex, Taken, taken_in
from gateway.ledger.raw_search import offsets_of
from gateway.ledger.segments import SegmentName, list_segments, read_payload

FIRST, LAST = 8, 64  # how many records of one decision are told: where it began, and how it was used of late
PATIENCE_S = 20.0
BEHIND_BYTES = 64 * 2**20
MOST_WAITING = 64
_STEP_RECORDS = 1000  # some 50 ms, which whoever asks meanwhile waits for
_log = structlog.get_logger("ledger")


class SegmentDecisionLog:
    """Reads on one thread of its own, and writes nothing but the index, which can be rebuilt."""

    def __init__(self, directory: Path, *, patience_s: float = PATIENCE_S, behind_bytes: int = BEHIND_BYTES) -> None:
        self._directory = directory
        self._patience_s = patience_s
        self._behind_bytes = behind_bytes
        self._thread = ThreadPoolExecutor(1, "ledger-read")
        self._waiting = 0
        self._is_catching_up = self._is_closed = False

    async def find(self, decision_id: str) -> tuple[Mapping[str, Any], ...]:
        """ports.DecisionLog.find. Raises LedgerError `ledger/behind` where too many ask, or the search is too long."""
        if not is_decision_id(decision_id):
            return ()
        if self._waiting >= MOST_WAITING:
            raise LedgerError("many decisions are looked for at once; ask again", code="ledger/behind")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._find, decision_id)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        self._is_closed = True
        await asyncio.to_thread(self._thread.shutdown)

    def _find(self, decision_id: str) -> tuple[Mapping[str, Any], ...]:
        names = list_segments(self._directory)
        taken = taken_in(self._directory, decision_id, FIRST, LAST)
        until_s = time.monotonic() + self._patience_s
        first: list[dict[str, Any]] = []
        last: deque[tuple[SegmentName, int]] = deque(maxlen=LAST)
        behind_bytes = 0
        for name in names:
            if time.monotonic() > until_s:
                raise LedgerError("the ledger is long and its index is being made; ask again", code="ledger/behind")
            for offset in self._offsets(name, taken, decision_id):
                record = self._load(name, offset, decision_id) if len(first) < FIRST else None
                if record is not None:
                    first.append(record)
                else:
                    last.append((name, offset))
            behind_bytes += self._behind(name, taken)
        if behind_bytes > self._behind_bytes:
            self._catch_up()
        later = (self._load(name, offset, decision_id) for name, offset in last)
        return (*first, *(record for record in later if record is not None))

    def _offsets(self, name: SegmentName, taken: Taken, decision_id: str) -> Iterator[int]:
        yield from taken.offsets.get(str(name), ())
        if (start := taken.ends.get(str(name), 0)) is not None:
            yield from offsets_of(self._directory / str(name), f'"decision_id":"{decision_id}"'.encode(), start)

    def _behind(self, name: SegmentName, taken: Taken) -> int:
        start = taken.ends.get(str(name), 0)
        return 0 if start is None else max(0, (self._directory / str(name)).stat().st_size - start)

    def _load(self, name: SegmentName, offset: int, decision_id: str) -> dict[str, Any] | None:
        """The record at that place, where it is one of a decision with that very id."""
        try:
            body = orjson.loads(read_payload(self._directory / str(name), offset))
        except ValueError:
            return None  # the remains of a torn write
        is_it = isinstance(body, dict) and body.get("decision_id") == decision_id and body.get("kind") == "decision"
        return body if is_it else None

    def _catch_up(self) -> None:
        if not self._is_catching_up:
            self._is_catching_up = True
            self._thread.submit(self._step)

    def _step(self) -> None:
        """One step of the index; the next one queues behind whoever asks meanwhile."""
        try:
            with LedgerIndex(self._directory, most_records=_STEP_RECORDS) as index:
                is_done = index.is_current or self._is_closed
        except LedgerError as error:
            _log.warning("ledger.index", error=str(error))
            is_done = True
        self._is_catching_up = not is_done
        if not is_done:
            self._thread.submit(self._step)
