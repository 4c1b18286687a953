"""Metadata that the snapshot does not hold: refs, and listings with `expand`; remembered like the ref they hang on."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache

from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.resolving import Known
from gateway.ports import Upstream

_FORWARDED = frozenset({RequestKind.REFS, RequestKind.COMMITS})
_HELD_BYTES = 32 * 1024 * 1024  # of JSON; as objects it takes several times that


@dataclass(frozen=True, slots=True)
class _Answer:
    """A forwarded value, and how large it and its question are as JSON."""

    value: Any
    size_bytes: int


class Forwarding:
    """Asks the upstream once per question and time-to-live."""

    def __init__(self, upstream: Upstream, flights: SingleFlight, ttl_s: float) -> None:
        self._upstream = upstream
        self._flights = flights
        self._answers: TTLCache[object, _Answer] = TTLCache(_HELD_BYTES, ttl_s, time.monotonic, lambda a: a.size_bytes)

    async def payload(self, request: HubRequest, known: Known) -> Any:
        """The upstream's JSON for this request, or None where the snapshot answers it. Raises UpstreamError."""
        if request.kind not in _FORWARDED and not _expands(request):
            return None
        repo, commit = known.snapshot.repo, known.snapshot.revision.commit
        query = {**request.query, "path": (request.path,), "commit": (commit,)}
        key = (repo.repo, request.kind, repo.access, tuple(sorted(query.items())))
        if (held := self._answers.get(key)) is not None:
            return held.value

        async def ask() -> Any:
            answer = await self._upstream.forward(repo.repo, request.kind.value, query, repo.access)
            size_bytes = len(await asyncio.to_thread(json.dumps, answer)) + sum(
                len(value) for values in query.values() for value in values
            )
            if size_bytes <= _HELD_BYTES // 8:
                self._answers[key] = _Answer(answer, size_bytes)
            return answer

        return await self._flights.do(("forward", key), ask)


def _expands(request: HubRequest) -> bool:
    values = request.query.get("expand", ())
    return any(value.lower() != "false" for value in values)
