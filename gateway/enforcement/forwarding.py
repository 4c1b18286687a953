"""Metadata that the snapshot does not hold: refs, and listings with `expand`; remembered like the ref they hang on."""

from __future__ import annotations

import time
from typing import Any

from cachetools import TTLCache

from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.resolving import Known
from gateway.ports import Upstream


class Forwarding:
    """Asks the upstream once per question and time-to-live."""

    def __init__(self, upstream: Upstream, flights: SingleFlight, ttl_s: float) -> None:
        self._upstream = upstream
        self._flights = flights
        self._answers: TTLCache[object, Any] = TTLCache(2_000, ttl_s, time.monotonic)

    async def payload(self, request: HubRequest, known: Known) -> Any:
        """The upstream's JSON for this request, or None where the snapshot answers it. Raises UpstreamError."""
        if request.kind is not RequestKind.REFS and not _expands(request):
            return None
        repo, commit = known.snapshot.repo, known.snapshot.revision.commit
        query = {**request.query, "path": (request.path,), "commit": (commit,)}
        key = (repo.repo, request.kind, repo.access, tuple(sorted(query.items())))
        if key in self._answers:
            return self._answers[key]

        async def ask() -> Any:
            answer = await self._upstream.forward(repo.repo, request.kind.value, query, repo.access)
            self._answers[key] = answer
            return answer

        return await self._flights.do(("forward", key), ask)


def _expands(request: HubRequest) -> bool:
    values = request.query.get("expand", ())
    return any(value.lower() != "false" for value in values)
