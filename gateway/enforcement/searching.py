"""Search and listing: the hub's own index, without what this subject may not have.

The hub is asked as a stranger, once per question and time-to-live. A row goes where it is not public, or where its
default branch is refused to this subject as far as is remembered (withholding.py). No policy is run per row: a repo
that nobody asked for yet is shown, and judged when it is asked for.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from gateway.domain.artifact import RepoType
from gateway.domain.errors import GatewayError, UpstreamThrottled, UpstreamUnavailable
from gateway.domain.outcome import Refusal
from gateway.domain.request import HubRequest
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.context import GrantedPage, RequestContext
from gateway.enforcement.memory import AnswerMemory
from gateway.enforcement.recording import Recording
from gateway.enforcement.refusing import Progress, refusal_for
from gateway.enforcement.withholding import Withholding
from gateway.ports import Catalog, FoundPage, FoundRow

HELD_BYTES: Final = 32 << 20  # of the hub's JSON; as objects it takes several times that
WAIT_S: Final = 30.0  # `/api/…` has no client time-out
_TYPES: Final = {kind.api: kind for kind in RepoType}
_log = structlog.get_logger("searching")


class Searching:
    """`ttl_s`: how long a page is believed; `max_stale_s`: how old it may be while the hub is down; `with_origin`:
    decisions depend on client and address too (RequestContext.asker)."""

    def __init__(
        self,
        catalog: Catalog,
        withholding: Withholding,
        recording: Recording,
        flights: SingleFlight,
        *,
        ttl_s: float,
        max_stale_s: float,
        with_origin: bool = False,
    ) -> None:
        self._catalog = catalog
        self._withholding = withholding
        self._recording = recording
        self._flights = flights
        self._with_origin = with_origin
        self._pages: AnswerMemory[FoundPage] = AnswerMemory(HELD_BYTES, ttl_s, max_stale_s)

    async def admit(self, context: RequestContext, request: HubRequest) -> GrantedPage | Refusal:
        """Ask, filter, record, and only then answer. Raises LedgerError alone."""
        try:
            async with asyncio.timeout(WAIT_S):
                page = await self._page(request)
            shown = await self._shown(context, page)
        except TimeoutError:
            late = UpstreamUnavailable("The hub's index did not answer in time.", timeout=True)
            return await self._refused(context, request, late)
        except GatewayError as error:
            return await self._refused(context, request, error)
        await self._recording.searched(context, request, shown=len(shown), withheld=len(page.rows) - len(shown))
        return GrantedPage(shown, page.cursor)

    async def _refused(self, context: RequestContext, request: HubRequest, error: GatewayError) -> Refusal:
        refusal = refusal_for(error, Progress())
        await self._recording.refused(context, request, refusal)
        return refusal

    async def _page(self, request: HubRequest) -> FoundPage:
        key = (request.path, tuple(sorted(request.query.items())))
        if (page := self._pages.fresh(key)) is not None:
            return page

        async def ask() -> FoundPage:
            page = await self._catalog.search(_TYPES[request.path], request.query)
            asked = sum(len(value) for values in request.query.values() for value in values)
            self._pages.put(key, page, page.size_bytes + asked)
            return page

        try:
            return await self._flights.do(("search", key), ask)
        except (UpstreamUnavailable, UpstreamThrottled):
            if (stale := self._pages.stale(key)) is None:
                raise
            _log.warning("search.stale", type=request.path)
            return stale

    async def _shown(self, context: RequestContext, page: FoundPage) -> tuple[FoundRow, ...]:
        asker = context.asker(with_origin=self._with_origin)
        rows = [row for row in page.rows if row.is_public]
        withheld = await self._withholding.withheld([self._withholding.key(asker, row.repo) for row in rows])
        return tuple(row for row, is_withheld in zip(rows, withheld, strict=True) if not is_withheld)
