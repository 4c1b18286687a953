"""Holds a client while its file is judged (design §6.4): the headers, then a byte of the real file every few seconds.

Clients give up after 10 s of silence (hub-protocol §11). On allow the rest follows on the same answer; on anything else
the connection ends with bytes missing, so that nobody takes the file for whole, and the next attempt reads the reason.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict

from gateway.domain.artifact import Artifact, Span
from gateway.domain.decision import Decision, DecisionScope, Effect
from gateway.domain.errors import GatewayError, LedgerError, ScanError
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refused
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.admission import Admission
from gateway.enforcement.background import Background
from gateway.enforcement.beginnings import Beginning, Beginnings
from gateway.enforcement.context import GrantedFile, RequestContext
from gateway.enforcement.delivery import Delivery, OpenFile
from gateway.enforcement.recording import Recording
from gateway.enforcement.refusing import UNDER_WAY
from gateway.http.files import CLIENT_WAIT_S, LEAST_WAIT_S, NOT_HERE, Files
from gateway.http.metrics import Metrics
from gateway.http.places import Place, Places
from gateway.http.stream import cut
from gateway.ports import Words

PACE_S = 4.0
HOLD_S = 1800.0
MOST_CLIENTS = 256
# Trouble that the next try may be free of: the hold goes on. All else is better read as a reason.
_MAY_PASS = frozenset({"scan/failed", "upstream/throttled", UNDER_WAY})
_UNDECIDED = Decision(Effect.QUARANTINE, DecisionScope.FILE)  # the headers of a file take a decision's warnings alone
_CONDITIONS = (hdrs.RANGE, hdrs.IF_RANGE, hdrs.IF_NONE_MATCH)
_log = structlog.get_logger("hold")


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """`hold_s`: the longest hold, 0 for none; `clients`: how many at once (Places); `pace_s` between two bytes."""

    hold_s: float = HOLD_S
    clients: int = MOST_CLIENTS
    pace_s: float = PACE_S


class _Ended(Exception):
    """The hold ends without a grant; the text says why, for the record."""


@dataclass(slots=True)
class _Held:
    """One client that is held: what it asked for, its answer so far."""

    request: web.BaseRequest
    context: RequestContext
    asked: HubRequest
    artifact: Artifact
    beginning: Beginning
    response: web.StreamResponse
    place: Place
    sent_bytes: int = 0


class Holding:
    """`stop` ends every hold: the gateway drains, and nobody may wait for a judgement that does not come."""

    def __init__(
        self,
        words: Words,
        admission: Admission,
        beginnings: Beginnings,
        delivery: Delivery,
        files: Files,
        recording: Recording,
        metrics: Metrics,
        limits: HoldLimits | None = None,
    ) -> None:
        self._words = words
        self._admission = admission
        self._beginnings = beginnings
        self._delivery = delivery
        self._files = files
        self._recording = recording
        self._metrics = metrics
        self._limits = limits or HoldLimits()
        self.places = Places(self._limits.clients)
        self._stopping = asyncio.Event()
        self._background = Background()

    def stop(self) -> None:
        self._stopping.set()

    async def answer(
        self, request: web.BaseRequest, context: RequestContext, asked: HubRequest, pending: Pending
    ) -> web.StreamResponse | None:
        """The answer to a held client, None where it may not be held: then the pending form is due.

        Raises LedgerError while no byte has left.
        """
        artifact = pending.artifact
        if artifact is None or not self._may_hold(request, context, asked, pending):
            return None
        if (place := self.places.take(context)) is None:
            return None
        try:
            beginning = await self._beginning(context, artifact, pending.access)
            if beginning is None:
                return None
            most_bytes = min(len(beginning.data), int(self._limits.hold_s / self._limits.pace_s) + 1)
            await self._recording.held(context, asked, artifact, most_bytes)
            response = web.StreamResponse(
                status=200, headers=CIMultiDict(self._words.file(artifact, _UNDECIDED).headers)
            )
            response.headers["X-Request-Id"] = context.request_id
            response.headers[hdrs.SERVER] = "model-gateway"
            response.content_length = artifact.entry.size_bytes
            await response.prepare(request)
            await self._hold(_Held(request, context, asked, artifact, beginning, response, place))
            return response
        finally:
            place.free()

    async def patient(
        self,
        answer: Callable[[], Awaitable[web.StreamResponse]],
        request: web.BaseRequest,
        context: RequestContext,
        asked: HubRequest,
        granted: GrantedFile,
    ) -> web.StreamResponse:
        """`answer` of an allowed file; where its first byte is long in coming the client is held as well.

        Raises GatewayError while no byte has left.
        """
        try:
            return await answer()
        except ScanError as error:
            waits = Pending(UNDER_WAY, str(error), 0, artifact=granted.artifact, access=granted.access)
            if error.code != NOT_HERE or (held := await self.answer(request, context, asked, waits)) is None:
                raise
            return held

    def _may_hold(self, request: web.BaseRequest, context: RequestContext, asked: HubRequest, pending: Pending) -> bool:
        """Only a whole-file GET whose judging is under way."""
        return (
            self._limits.hold_s > 0
            and not self._stopping.is_set()
            and pending.code == UNDER_WAY
            and context.method == "GET"
            and asked.kind is RequestKind.RESOLVE
            and not any(name in request.headers for name in _CONDITIONS)
        )

    async def _beginning(self, context: RequestContext, artifact: Artifact, access: str) -> Beginning | None:
        """What may be trickled, if it can be had while the client still waits."""
        left_s = max(LEAST_WAIT_S, CLIENT_WAIT_S - (time.monotonic() - context.started_s))
        try:
            async with asyncio.timeout(left_s):
                return await self._beginnings.read(artifact, access)
        except TimeoutError:
            return None

    async def _hold(self, held: _Held) -> None:
        """Trickle until the file is judged; then send the rest, or end the connection."""
        async with AsyncExitStack() as stack:
            try:
                granted, opened = await self._trickled(held, stack)
            except (_Ended, GatewayError, ConnectionError, TimeoutError) as error:
                await self._cut(held, _why(error))
                return
            held.place.free()  # from here on it is a delivery like any other, however slow its client
            await self._files.carry_on(held.request, held.context, granted, opened, held.response, held.sent_bytes)

    async def _trickled(self, held: _Held, stack: AsyncExitStack) -> tuple[GrantedFile, OpenFile]:
        """One byte every `pace_s` until the rest may follow.

        Raises _Ended, GatewayError, TimeoutError (the hold's time is over), ConnectionError (the client left).
        """
        work = self._background.spawn(self._released(held, stack), "hold")
        stopped = self._background.spawn(self._stopping.wait(), "hold.stopping")
        try:
            async with asyncio.timeout(self._limits.hold_s):
                while not work.done():
                    if stopped.done():
                        raise _Ended("the gateway stops")
                    await self._drip(held)
                    await asyncio.wait({work, stopped}, timeout=self._limits.pace_s, return_when="FIRST_COMPLETED")
            return work.result()
        finally:
            stopped.cancel()
            work.cancel()  # judging itself goes on: whoever asks next finds it further
            await asyncio.gather(work, stopped, return_exceptions=True)

    async def _drip(self, held: _Held) -> None:
        if held.request.transport is None or held.request.transport.is_closing():
            raise ConnectionResetError
        at = held.sent_bytes
        if at == len(held.beginning.data):
            raise TimeoutError
        held.sent_bytes += 1
        await held.response.write(held.beginning.data[at : at + 1])

    async def _released(self, held: _Held, stack: AsyncExitStack) -> tuple[GrantedFile, OpenFile]:
        """The grant, and its bytes, of which more than the trickle may leave. Raises _Ended, GatewayError."""
        granted = await self._granted(held)
        granted = replace(granted, spans=(*granted.spans, held.beginning.span))
        size = granted.artifact.entry.size_bytes
        opened = await stack.enter_async_context(self._delivery.open(granted, Span(0, size), whole=True))
        if not isinstance(opened, OpenFile):
            raise _Ended("the file did not open whole")
        if opened.fill is not None:
            await opened.available(len(held.beginning.data))
        return granted, opened

    async def _granted(self, held: _Held) -> GrantedFile:
        context = replace(held.context, patience_s=self._limits.hold_s)
        while True:
            result = await self._admission.admit(context, held.asked)
            match result:
                case GrantedFile():
                    if (result.artifact.commit, result.artifact.entry) != (held.artifact.commit, held.artifact.entry):
                        raise _Ended("the ref has moved")
                    return result
                case Pending() if result.code in _MAY_PASS:
                    await asyncio.sleep(result.retry_after_s)
                case Denial():
                    raise _Ended(result.effect.value)
                case Pending() | Failure() | Refused():
                    raise _Ended(result.code)
                case Absence():
                    raise _Ended(f"no such {result.what}")
                case _:
                    raise _Ended("it is no file any more")

    async def _cut(self, held: _Held, why: str) -> None:
        """End the connection with bytes missing, and record it."""
        cut(held.request.transport)
        self._metrics.bytes_delivered.inc(held.sent_bytes)
        _log.info("hold.cut", path=held.artifact.path, sent_bytes=held.sent_bytes, cause=why)
        try:
            await self._recording.hold_cut(held.context, held.asked, held.artifact, held.sent_bytes, why)
        except LedgerError as error:
            _log.error("delivery.unrecorded", request_id=held.context.request_id, cause=str(error))


def _why(error: Exception) -> str:
    match error:
        case _Ended():
            return str(error)
        case GatewayError():
            return error.code
        case TimeoutError():
            return "the hold's time is over"
        case _:
            return "the client left"
