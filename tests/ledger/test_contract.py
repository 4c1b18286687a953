"""The port's contract, run on the real ledger (small segments, so that they change often) and on the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.ledger.segments import SegmentReader, list_segments
from gateway.ledger.writer import SegmentLedger
from tests.contracts.ledger import LedgerContract
from tests.fakes.recording_ledger import RecordingLedger
from tests.ledger.volatile import EIO, VolatileFiles


class SegmentBench:
    def __init__(self, directory: Path, clock: Any, durability: str) -> None:
        self.directory = directory
        self.files = VolatileFiles()
        self.ledger = SegmentLedger(directory, "gw", clock, segment_bytes=4096, durability=durability, files=self.files)

    def _bodies(self) -> list[dict[str, Any]]:
        frames = [f for n in list_segments(self.directory) for f in SegmentReader(self.directory / str(n))]
        return [body for f in frames if (body := orjson.loads(f.payload))["kind"] != "event"]

    def request_ids(self) -> list[str]:
        return [body["request_id"] for body in self._bodies()]

    def paths(self) -> list[str]:
        return [body["path"] for body in self._bodies()]

    def break_storage(self) -> None:
        self.files.fail_fdatasync = EIO


class RecordingBench:
    def __init__(self) -> None:
        self.ledger = RecordingLedger()

    def request_ids(self) -> list[str]:
        return [record.request_id for record in self.ledger.records]

    def paths(self) -> list[str]:
        return [record.path for record in self.ledger.records]

    def break_storage(self) -> None:
        self.ledger.fail()


class TestSegmentLedger(LedgerContract):
    @pytest.fixture(params=["two-class", "all"])
    async def bench(self, request: pytest.FixtureRequest, directory: Path, clock: Any) -> AsyncIterator[SegmentBench]:
        bench = SegmentBench(directory, clock, request.param)
        await bench.ledger.start()
        yield bench
        await bench.ledger.close()


class TestRecordingLedger(LedgerContract):
    @pytest.fixture
    def bench(self) -> RecordingBench:
        return RecordingBench()
