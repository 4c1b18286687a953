"""Decision memory (design §3.2): what was decided for whom, under which policy, for how long.

Two layers: `hot`, by the request as it was asked (one lookup on the hot path), and the remembered decisions, kept in
the facts under the digests of policy, data and scanner set, so that they outlive a restart and never a change.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from cachetools import LRUCache

from gateway.clock import Clock
from gateway.domain.decision import Decision
from gateway.enforcement.codec import decision_from_json, decision_to_json
from gateway.ports import Facts

V = TypeVar("V")
_RECENT_FILES = 250_000  # the largest revision must fit
_ENTRY_BYTES = 512  # what an entry takes beside its value


@dataclass(slots=True)
class _Hot(Generic[V]):
    value: V
    generation: int
    until_s: float
    weight: int


class HotMemory(Generic[V]):
    """A bounded map from a whole request to its answer; an entry is dead once its time or generation is over.

    `generation` is raised by every change of policy, data, waivers, tokens, scanners or recalls. `size` bounds the sum
    of the weights: an answer about one file weighs 1.
    """

    def __init__(self, generation: Callable[[], int], size: int = 100_000) -> None:
        self._generation = generation
        self._size = size
        self._weight = 0
        self._entries: OrderedDict[object, _Hot[V]] = OrderedDict()

    def get(self, key: object) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.generation != self._generation() or time.monotonic() >= entry.until_s:
            self._drop(key)
            return None
        return entry.value

    def put(self, key: object, value: V, ttl_s: float, generation: int, weight: int = 1) -> None:
        """Remember `value` for `ttl_s`; `generation` is the one under which it was decided."""
        self._drop(key)
        if ttl_s <= 0 or weight > self._size // 2:
            return
        self._entries[key] = _Hot(value, generation, time.monotonic() + ttl_s, weight)
        self._weight += weight
        while self._weight > self._size:
            self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        self._entries.clear()
        self._weight = 0

    def _drop(self, key: object) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self._weight -= entry.weight


@dataclass(slots=True)
class _Kept(Generic[V]):
    value: V
    at_s: float
    size_bytes: int


class AnswerMemory(Generic[V]):
    """Answers of the hub: believed for `ttl_s`, and for `max_stale_s` where it cannot be asked. `most_bytes` bounds
    the sum of their sizes; those that were put longest ago go first, and what takes an eighth of it is not kept."""

    def __init__(self, most_bytes: int, ttl_s: float, max_stale_s: float) -> None:
        self._most_bytes = most_bytes
        self._ttl_s = ttl_s
        self._max_stale_s = max_stale_s
        self._size_bytes = 0
        self._kept: OrderedDict[object, _Kept[V]] = OrderedDict()

    def fresh(self, key: object) -> V | None:
        return self._younger(key, self._ttl_s)

    def stale(self, key: object) -> V | None:
        """What may be answered while the hub is down."""
        return self._younger(key, self._max_stale_s)

    def put(self, key: object, value: V, size_bytes: int) -> None:
        self._drop(key)
        if size_bytes > self._most_bytes // 8:
            return
        self._kept[key] = _Kept(value, time.monotonic(), size_bytes + _ENTRY_BYTES)
        self._size_bytes += size_bytes + _ENTRY_BYTES
        while self._size_bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _younger(self, key: object, age_s: float) -> V | None:
        kept = self._kept.get(key)
        return kept.value if kept is not None and time.monotonic() - kept.at_s < age_s else None

    def _drop(self, key: object) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self._size_bytes -= kept.size_bytes


class DecisionMemory:
    """Remembered decisions. `stamp` is the digests of policy, data and scanner set under which they hold."""

    def __init__(self, facts: Facts, clock: Clock, stamp: Callable[[], str]) -> None:
        self._facts = facts
        self._clock = clock
        self._stamp = stamp
        # A revision's decision is asked for with each of its files, and reading one of 3,000 files takes milliseconds.
        self._recent: LRUCache[str, Decision] = LRUCache(_RECENT_FILES, getsizeof=lambda d: 1 + len(d.files))

    def key(self, *parts: str) -> str:
        """The key of a decision: every part that may change it, and the stamp."""
        return hashlib.sha256("\x1e".join((self._stamp(), *parts)).encode("utf-8", "surrogatepass")).hexdigest()

    async def get(self, key: str) -> Decision | None:
        """The decision, unless its time is over."""
        decision = self._recent.get(key)
        if decision is None:
            decision = decision_from_json(await self._facts.get("decision", key))
            self._hold(key, decision)
        if decision is None or is_over(decision, self._clock.now()):
            return None
        return decision

    async def put(self, key: str, decision: Decision) -> None:
        await self._facts.put("decision", key, decision_to_json(decision))
        self._hold(key, decision)

    def _hold(self, key: str, decision: Decision | None) -> None:
        if decision is not None and len(decision.files) < _RECENT_FILES:
            self._recent[key] = decision


def is_over(decision: Decision, now: datetime) -> bool:
    """Has the decision's time run out?"""
    return decision.valid_until is not None and now >= decision.valid_until
