"""Shared ground of the ledger tests: a clock under control and a way to read a ledger without its index."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.ledger.segments import SegmentReader, list_segments


class SteppingClock:
    """Each reading is one second after the one before."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 24, 10, 0, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger"


@pytest.fixture
def read_all() -> Callable[[Path], list[dict[str, Any]]]:
    def read(directory: Path) -> list[dict[str, Any]]:
        return [
            orjson.loads(frame.payload)
            for name in list_segments(directory)
            for frame in SegmentReader(directory / str(name))
        ]

    return read
