"""One shared memory of rate limits: when one request is told to wait, all of its kind wait (hub-protocol §13.3).

When the time is over, one request goes first; the others wait for what it is told. A storm of 429 is thus answered with
one question per period, however many clients wait.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateway.domain.errors import UpstreamThrottled

Sleep = Callable[[float], Awaitable[None]]

DEFAULT_WAIT_S: Final = 1.0
MAX_WAIT_S: Final = 600.0
MAX_UNTOLD_S: Final = 60.0  # where the hub does not say how long, the wait doubles up to this

_RATE_LIMIT = re.compile(r"\br\s*=\s*(\d{1,9})\s*;\s*t\s*=\s*(\d{1,6})")


@dataclass(slots=True)
class Patience:
    """What one operation may still wait for rate limits, in seconds."""

    left_s: float


@dataclass(slots=True)
class _Shut:
    """A bucket that was told to wait. `probe` is set once the request that went first knows more; None: none went."""

    not_before_s: float = 0.0
    times: int = 0
    probe: asyncio.Event | None = None


class SharedBackoff:
    """Per bucket ("api", "resolvers", a CDN host): the time before which nothing is asked."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._shut: dict[str, _Shut] = {}

    @asynccontextmanager
    async def turn(self, bucket: str, patience: Patience) -> AsyncIterator[None]:
        """Wait until the bucket may be asked; `note` inside what it said.

        Raises UpstreamThrottled, at once where the wait exceeds the patience.
        """
        probe = await self._admitted(bucket, patience)
        try:
            yield
        finally:
            if probe is not None:
                self._probed(bucket, probe)

    def note(self, bucket: str, status: int, headers: Mapping[str, str]) -> float:
        """Learn from an answer; returns the seconds to wait (0 where there is no need)."""
        wait_s = wait_of(status, headers)
        shut = self._shut.get(bucket)
        if wait_s <= 0:
            # An answer to a question from before the limit says nothing of it.
            if shut is not None and status < 500 and self._monotonic() >= shut.not_before_s:
                del self._shut[bucket]
                _release(shut)
            return 0.0
        shut = self._shut.setdefault(bucket, _Shut())
        if self._monotonic() >= shut.not_before_s:
            shut.times += 1
        if not is_told(headers):
            wait_s = min(DEFAULT_WAIT_S * 2.0 ** min(shut.times - 1, 10), MAX_UNTOLD_S)
        shut.not_before_s = max(shut.not_before_s, self._monotonic() + wait_s)
        _release(shut)
        return wait_s

    async def _admitted(self, bucket: str, patience: Patience) -> asyncio.Event | None:
        """Returns the event that this caller must set, where it goes first."""
        while (shut := self._shut.get(bucket)) is not None:
            wait_s = shut.not_before_s - self._monotonic()
            if wait_s > 0:
                if wait_s > patience.left_s:
                    raise throttled(wait_s)
                patience.left_s -= wait_s
                await self._sleep(wait_s)
            elif shut.probe is None:
                shut.probe = asyncio.Event()
                return shut.probe
            else:
                await self._awaited(shut.probe, patience)
        return None

    async def _awaited(self, probe: asyncio.Event, patience: Patience) -> None:
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(max(patience.left_s, 0.0)):
                await probe.wait()
        except TimeoutError:
            raise throttled(DEFAULT_WAIT_S) from None
        patience.left_s -= time.monotonic() - started_s

    def _probed(self, bucket: str, probe: asyncio.Event) -> None:
        """The one that went first is done; where it learnt nothing (it failed, or was cancelled) another may go."""
        probe.set()
        shut = self._shut.get(bucket)
        if shut is not None and shut.probe is probe:
            shut.probe = None


def _release(shut: _Shut) -> None:
    if shut.probe is not None:
        shut.probe.set()
        shut.probe = None


def wait_of(status: int, headers: Mapping[str, str]) -> float:
    """Seconds that `Retry-After` (digits) or `RateLimit: …;r=0;t=SEC` ask for; a bare 429 asks for 1 s."""
    found = _RATE_LIMIT.search(headers.get("RateLimit", ""))
    exhausted_s = float(found[2]) if found and int(found[1]) == 0 else 0.0
    if status != 429:
        return min(exhausted_s, MAX_WAIT_S)
    return min(max(_asked_s(headers), exhausted_s) or DEFAULT_WAIT_S, MAX_WAIT_S)


def is_told(headers: Mapping[str, str]) -> bool:
    """Does the answer say how long to wait?"""
    found = _RATE_LIMIT.search(headers.get("RateLimit", ""))
    return _asked_s(headers) > 0 or bool(found and int(found[1]) == 0 and int(found[2]))


def _asked_s(headers: Mapping[str, str]) -> float:
    """`Retry-After` in digits; an absurd number is the longest wait there is, not none."""
    text = headers.get("Retry-After", "").strip()
    if not (text.isascii() and text.isdigit()):
        return 0.0
    return float(text) if len(text) < 7 else MAX_WAIT_S


def throttled(wait_s: float) -> UpstreamThrottled:
    """The error that carries how long to wait."""
    return UpstreamThrottled(f"The hub asks to wait {wait_s:.0f} s before the next request.", retry_after_s=wait_s)
