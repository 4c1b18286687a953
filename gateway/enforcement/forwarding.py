"""Metadata that the snapshot does not hold: refs, logs, and listings with `expand`; remembered like the ref they hang
on, and served older while the hub is down or slow. What hangs on a commit and cannot change is asked for once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import structlog

from gateway.clock import Clock
from gateway.domain.errors import StoreError, UpstreamThrottled, UpstreamUnavailable
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.memory import AnswerMemory
from gateway.enforcement.resolving import STALE_AFTER_S, Known
from gateway.ports import Facts, Upstream

_FORWARDED = frozenset({RequestKind.REFS, RequestKind.COMMITS})
_FOR_EVER = frozenset({RequestKind.COMMITS})  # the log of a commit
_KEPT = frozenset({RequestKind.REFS, RequestKind.COMMITS, RequestKind.INFO, RequestKind.TREE})
_HELD_BYTES = 32 * 1024 * 1024  # of JSON; as objects it takes several times that
_KEPT_BYTES = 1024 * 1024
_log = structlog.get_logger("forwarding")


class Forwarding:
    """Asks the upstream once per question and time-to-live. `max_stale_s`: how old an answer may be while the hub is
    down, or slower than `stale_after_s`; over a restart too, but for those on paths that a client chose."""

    def __init__(
        self,
        upstream: Upstream,
        facts: Facts,
        flights: SingleFlight,
        clock: Clock,
        *,
        ttl_s: float,
        max_stale_s: float,
        stale_after_s: float = STALE_AFTER_S,
    ) -> None:
        self._upstream = upstream
        self._facts = facts
        self._flights = flights
        self._clock = clock
        self._max_stale_s = max_stale_s
        self._stale_after_s = stale_after_s
        self._answers: AnswerMemory[Any] = AnswerMemory(_HELD_BYTES, ttl_s, max_stale_s)

    async def payload(self, request: HubRequest, known: Known) -> Any:
        """The upstream's JSON for this request, or None where the snapshot answers it. Raises UpstreamError."""
        if request.kind not in _FORWARDED and not _expands(request):
            return None
        repo, commit = known.snapshot.repo, known.snapshot.revision.commit
        query = {**request.query, "path": (request.path,), "commit": (commit,)}
        key = (repo.repo, request.kind, repo.access, tuple(sorted(query.items())))
        held = self._answers.stale(key) if request.kind in _FOR_EVER else self._answers.fresh(key)
        if held is not None:
            return held

        async def ask() -> Any:
            answer = await self._upstream.forward(repo.repo, request.kind.value, query, repo.access)
            await self._keep(key, request, answer)
            return answer

        older = await self._older(key, request)
        if older is not None and request.kind in _FOR_EVER:
            return older
        try:
            async with asyncio.timeout(None if older is None else self._stale_after_s):
                return await self._flights.do(("forward", key), ask)
        except (UpstreamUnavailable, UpstreamThrottled, TimeoutError):
            if older is None:
                raise
            _log.warning("forwarded.stale", repo=str(repo.repo), route=request.kind.value)
            self._answers.put(key, older, len(json.dumps(older)))
            return older

    async def _keep(self, key: object, request: HubRequest, answer: Any) -> None:
        text = await asyncio.to_thread(json.dumps, answer)
        size_bytes = len(text) + sum(len(value) for values in request.query.values() for value in values)
        self._answers.put(key, answer, size_bytes)
        if request.kind in _KEPT and size_bytes <= _KEPT_BYTES:
            value = {"at_s": self._clock.now().timestamp(), "answer": answer}
            try:
                await self._facts.put("forwarded", _fact_key(key), value)
            except StoreError as error:
                # It can be asked for again: not worth a refusal.
                _log.warning("forwarded.not-kept", repo=str(request.repo), error=str(error))

    async def _older(self, key: object, request: HubRequest) -> Any:
        """An answer from before, for the case that the hub does not give one; None where there is none."""
        if (held := self._answers.stale(key)) is not None or request.kind not in _KEPT:
            return held
        value = await self._facts.get("forwarded", _fact_key(key))
        if not isinstance(value, dict):
            return None
        is_for_ever = request.kind in _FOR_EVER
        age_s = abs(self._clock.now().timestamp() - float(value.get("at_s", 0)))
        return value.get("answer") if is_for_ever or age_s <= self._max_stale_s else None


def _fact_key(key: object) -> str:
    return hashlib.sha256(repr(key).encode("utf-8", "backslashreplace")).hexdigest()


def _expands(request: HubRequest) -> bool:
    values = request.query.get("expand", ())
    return any(value.lower() != "false" for value in values)
