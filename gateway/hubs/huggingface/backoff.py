"""One shared memory of rate limits: when one request is told to wait, all of its kind wait (hub-protocol §13.3)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.domain.errors import UpstreamThrottled

Sleep = Callable[[float], Awaitable[None]]

DEFAULT_WAIT_S: Final = 1.0
MAX_WAIT_S: Final = 600.0

_RATE_LIMIT = re.compile(r"\br\s*=\s*(\d{1,9})\s*;\s*t\s*=\s*(\d{1,6})")


@dataclass(slots=True)
class Patience:
    """What one operation may still wait for rate limits, in seconds."""

    left_s: float


class SharedBackoff:
    """Per bucket ("api", "resolvers", a CDN host): the time before which nothing is asked."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._not_before: dict[str, float] = {}

    async def wait(self, bucket: str, patience: Patience) -> None:
        """Wait until the bucket is open. Raises UpstreamThrottled at once where that exceeds the patience."""
        wait_s = self._not_before.get(bucket, 0.0) - self._monotonic()
        if wait_s <= 0:
            return
        if wait_s > patience.left_s:
            raise throttled(wait_s)
        patience.left_s -= wait_s
        await self._sleep(wait_s)

    def note(self, bucket: str, status: int, headers: Mapping[str, str]) -> float:
        """Learn from an answer; returns the seconds to wait (0 where there is no need)."""
        wait_s = wait_of(status, headers)
        if wait_s > 0:
            self._not_before[bucket] = max(self._not_before.get(bucket, 0.0), self._monotonic() + wait_s)
        return wait_s


def wait_of(status: int, headers: Mapping[str, str]) -> float:
    """Seconds that `Retry-After` (digits) or `RateLimit: …;r=0;t=SEC` ask for; a bare 429 asks for 1 s."""
    found = _RATE_LIMIT.search(headers.get("RateLimit", ""))
    exhausted_s = float(found[2]) if found and int(found[1]) == 0 else 0.0
    if status != 429:
        return min(exhausted_s, MAX_WAIT_S)
    text = headers.get("Retry-After", "").strip()
    asked_s = float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0
    return min(max(asked_s, exhausted_s) or DEFAULT_WAIT_S, MAX_WAIT_S)


def throttled(wait_s: float) -> UpstreamThrottled:
    """The error that carries how long to wait."""
    return UpstreamThrottled(f"The hub asks to wait {wait_s:.0f} s before the next request.", retry_after_s=wait_s)
