"""A clock that a test moves by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class HandClock:
    """gateway.clock.Clock. Starts on 2026-11-24, 10:00 UTC."""

    def __init__(self, start: datetime = datetime(2026, 11, 24, 10, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    @property
    def now_s(self) -> float:
        return self._now.timestamp()

    def pass_s(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
