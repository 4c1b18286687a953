"""Which repos a search does not show: those whose default branch is refused to the one who asks.

Fed by every revision decision that is kept (`Deciding.keep`), so that no policy is run per row. Kept in the facts under
the digests of policy, data and scanner set, as decisions are: it outlives a restart and never a change.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cachetools import LRUCache

from gateway.clock import Clock
from gateway.domain.artifact import Repo
from gateway.domain.decision import Decision, Effect
from gateway.domain.request import Action
from gateway.ports import Facts

_HELD: Final = 100_000
_AT_ONCE: Final = 100
_DEFAULT_BRANCH: Final = frozenset({"", "main"})
_FOR_EVER: Final = float("inf")

Refusals = Mapping[str, float | None]  # action -> until when, in Unix seconds; None: while policy and data stand


class Withholding:
    """`stamp`: the digests of policy, data and scanner set under which a refusal holds."""

    def __init__(self, facts: Facts, clock: Clock, stamp: Callable[[], str]) -> None:
        self._facts = facts
        self._clock = clock
        self._stamp = stamp
        self._held: LRUCache[str, Refusals] = LRUCache(_HELD)

    def key(self, asker: str, repo: Repo) -> str:
        """What is remembered of this repo for this subject projection; ids differ in case for clients only."""
        parts = (self._stamp(), asker, repo.hub, repo.type.value, repo.id.lower())
        return hashlib.sha256("\x1e".join(parts).encode("utf-8", "surrogatepass")).hexdigest()

    def key_of_revision(self, asker: str, repo: Repo, ref: str) -> str:
        """The key that a decision on `ref` feeds; "" for other refs than the default branch."""
        return self.key(asker, repo) if ref in _DEFAULT_BRANCH else ""

    async def learn(self, key: str, action: Action, decision: Decision) -> None:
        """Remember a refusal of the whole revision, or that it is over. `key` "" is nothing to learn."""
        if not key:
            return
        known = await self._known(key)
        refusals = {name: until_s for name, until_s in known.items() if name != action.value}
        if decision.effect is not Effect.ALLOW:
            refusals[action.value] = decision.valid_until.timestamp() if decision.valid_until is not None else None
        if refusals != known:
            self._held[key] = refusals  # first: who learns at the same time must add to it
            await self._facts.put("withheld", key, refusals)

    async def withheld(self, keys: Sequence[str]) -> list[bool]:
        """For each key: is a refusal remembered whose time is not over?"""
        missing = [key for key in keys if key not in self._held]
        for start in range(0, len(missing), _AT_ONCE):
            await asyncio.gather(*(self._known(key) for key in missing[start : start + _AT_ONCE]))
        now_s = self._clock.now().timestamp()
        return [any((_FOR_EVER if u is None else u) > now_s for u in (await self._known(key)).values()) for key in keys]

    async def _known(self, key: str) -> Refusals:
        known = self._held.get(key)
        if known is None:
            known = _refusals(await self._facts.get("withheld", key))
            # Another task may have learnt it while this one read what was stored before.
            known = self._held.setdefault(key, known)
        return known


def _refusals(value: Any) -> Refusals:
    """What was stored; of a value that is none of ours everything reads as refused."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(u is None or isinstance(u, (int, float)) for u in value.values()):
        return {"": None}
    return value
