"""The one place where time is read: tests replace `Clock`, nothing else asks the machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, timezone-aware, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


def rfc3339(moment: datetime) -> str:
    """`2026-11-24T10:00:00Z` (RFC 3339, UTC, upper-case, microseconds only where there are any)."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
