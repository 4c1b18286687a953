"""The front door: every request of every route comes in here, is judged by admission, and leaves rendered.

The hot path (a repeated HEAD or GET) is: parse -> identify -> limit -> admit (one lookup, one record) -> send.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog
from aiohttp import hdrs, web
from cachetools import LRUCache

from gateway.domain.errors import (
    GatewayError,
    IdentityError,
    LedgerError,
    RateLimited,
    StoreError,
    UnroutableRequest,
)
from gateway.domain.explaining import OWN_PAGES
from gateway.domain.outcome import Pending, Refusal, Refused
from gateway.domain.request import HubRequest, RequestKind
from gateway.domain.subject import ANONYMOUS, Client
from gateway.enforcement.admission import Admission
from gateway.enforcement.background import Background
from gateway.enforcement.context import (
    GrantedBatch,
    GrantedFile,
    GrantedListing,
    GrantedManifest,
    GrantedPage,
    RequestContext,
)
from gateway.enforcement.recording import Recording
from gateway.http.body import small_body
from gateway.http.errors import guarded, within
from gateway.http.hold import Holding
from gateway.http.metrics import Metrics
from gateway.http.ops import Ops
from gateway.http.own_pages import OwnPages, challenged
from gateway.http.page import refusal_page, wants_page
from gateway.http.peers import Network, address_of, client_of
from gateway.http.prefix import Prefix
from gateway.http.views import Views
from gateway.identity.chain import CompositeIdentifier
from gateway.identity.extract import extract
from gateway.identity.ratelimit import RateLimiter
from gateway.identity.redaction import redact
from gateway.ports import Dialect, Rendering

_REMEMBERED = 8192  # readings and renderings of the hot path; each of the pure functions costs 5 us
_TARGET_CHARS = 512
_WARNING = "X-HF-Warning"  # `topic; text`, which clients print
_LOCAL = frozenset({RequestKind.WHOAMI, RequestKind.TELEMETRY, RequestKind.HARNESSES})
_NO_CREDENTIAL = frozenset({RequestKind.TELEMETRY, RequestKind.HARNESSES})


class Door:
    """One handler for `web.Server`; it owns no state but what it was given."""

    def __init__(
        self,
        dialect: Dialect,
        identifier: CompositeIdentifier,
        limits: RateLimiter,
        admission: Admission,
        recording: Recording,
        views: Views,
        holding: Holding,
        ops: Ops,
        own_pages: OwnPages,
        metrics: Metrics,
        trusted: Sequence[Network],
        background: Background,
        prefix: Prefix | None = None,
    ) -> None:
        self._dialect = dialect
        self._identifier = identifier
        self._limits = limits
        self._admission = admission
        self._recording = recording
        self._views = views
        self._holding = holding
        self._ops = ops
        self._own_pages = own_pages
        self._metrics = metrics
        self._trusted = tuple(trusted)
        self._background = background
        self._prefix = prefix or Prefix()
        self._readings: LRUCache[tuple[str, str], HubRequest] = LRUCache(_REMEMBERED)
        self._renderings: LRUCache[int, tuple[GrantedFile, Rendering]] = LRUCache(_REMEMBERED)
        self._log = structlog.get_logger("access").bind()  # made once: the lazy logger is made anew with each line

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        started = time.perf_counter()
        request_id = f"r-{secrets.token_hex(8)}"
        route = ["ops"]
        response = await guarded(
            request_id, lambda: self._route(request, request_id, route), lambda: self._fault(request, request_id)
        )
        seconds = time.perf_counter() - started
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
            response.headers[hdrs.SERVER] = "model-gateway"
        self._metrics.answered(route[0], response.status, seconds)
        self._log.info(
            "request",
            request_id=request_id,
            method=request.method,
            target=request.raw_path[:_TARGET_CHARS],
            status=response.status,
            route=route[0],
            ms=round(seconds * 1000, 2),
        )
        return response

    async def _fault(self, request: web.BaseRequest, request_id: str) -> None:
        """Put on record that an answer was a fault of ours."""
        address, target = address_of(request, self._trusted), redact(request.raw_path)
        context = RequestContext(request_id, request.method, ANONYMOUS, Client(), address, target=target)
        fault = Refused(500, GatewayError.code, "a fault of the gateway's own; its trace is in the log")
        await self._recording.refused(context, None, fault)

    def malformed(self, request: web.BaseRequest, status: int) -> web.Response:
        """The answer to bytes that are no HTTP request: 400, 417 or 505, 500 for a fault of ours; no echo.

        The record is written beside the answer, which gives nothing away.
        """
        request_id = f"r-{secrets.token_hex(8)}"
        status = status if status in {417, 500, 505} else 400
        error = UnroutableRequest("the request is no valid HTTP", code="route/malformed")
        context = RequestContext(request_id, "", ANONYMOUS, Client(), address_of(request, self._trusted))
        self._background.detach(self._admission.refuse(context, None, error), "door.malformed")
        self._metrics.answered("malformed", status, 0.0)
        response = _plain(self._dialect.refuse(None, "GET", Refused(status, error.code, str(error))))
        response.headers["X-Request-Id"] = request_id
        response.headers[hdrs.SERVER] = "model-gateway"
        return response

    async def _route(self, request: web.BaseRequest, request_id: str, route: list[str]) -> web.StreamResponse:
        target = self._prefix.taken_off(request.raw_path)
        if (ops := self._ops.answer(request.method, target)) is not None:
            return await ops
        method = request.method
        asked: HubRequest | None = None
        context = RequestContext(
            request_id,
            method,
            ANONYMOUS,
            client_of(request.headers.get(hdrs.USER_AGENT, "")),
            address_of(request, self._trusted),
            target=target,
        )
        route[0] = "unknown"
        try:
            within(self._limits.admit_address(context.address))  # before all else: refusing is work, and is recorded
            if target.startswith(OWN_PAGES):
                route[0] = "page"
                return await self._own_page(request, context, target)
            body = await small_body(request)
            asked = self._read(method, target, request.headers.get(hdrs.CONTENT_TYPE, ""), body)
            route[0] = asked.kind.value
            if asked.repo is None:
                context = replace(context, target=redact(target))
            if asked.kind in _NO_CREDENTIAL:
                return _plain(self._dialect.local(asked, ANONYMOUS))
            credential = extract(request.headers.getall(hdrs.AUTHORIZATION, []), context.address)
            identified = await self._identifier.identify_with_note(credential)
            subject, note = identified.subject, identified.note
            context = replace(context, subject=subject)
            within(self._limits.admit_subject(subject))
            if (objects := asked.query.get("objects")) is not None:  # each of a batch is judged and recorded by itself
                self._limits.count(subject, context.address, len(objects) - 1)
            if asked.kind in _LOCAL or (asked.repo is None and asked.kind is RequestKind.MANIFEST):
                await self._recording.local(context, asked)
                return _noted(_plain(self._dialect.local(asked, subject)), note)
            return _noted(await self._admitted(request, context, asked, note), note)
        except LedgerError as error:
            refusal = Pending(error.code, "the gateway cannot write its ledger, so it serves nothing new", 30)
            return self._refusal(request, asked, method, refusal)
        except GatewayError as error:
            return await self._refused(request, context, asked, error)

    async def _own_page(self, request: web.BaseRequest, context: RequestContext, target: str) -> web.StreamResponse:
        pages = self._own_pages
        try:
            if (page := await pages.open_to_all(request, context, target)) is None:
                context = await pages.identified(request, context)
                page = await pages.answer(request, context, target)
            return _plain(page)
        except IdentityError as error:
            return challenged(await self._refused(request, context, None, error))
        except (UnroutableRequest, RateLimited, StoreError) as error:
            return await self._refused(request, context, None, error)

    def _read(self, method: str, target: str, content_type: str, body: bytes) -> HubRequest:
        """What is asked, read anew or remembered: a GET or HEAD is its method and target, and nothing else."""
        if method not in {"GET", "HEAD"} or len(target) > _TARGET_CHARS:
            return self._dialect.parse(method, target, content_type, body)
        asked = self._readings.get((method, target))
        if asked is None:
            asked = self._readings[method, target] = self._dialect.parse(method, target)
        return asked

    def _rendered(self, granted: GrantedFile) -> Rendering:
        """The headers of a grant; admission hands out the very same grant for every repeat."""
        known = self._renderings.get(id(granted))
        if known is None or known[0] is not granted:
            known = self._renderings[id(granted)] = (granted, self._dialect.file(granted.artifact, granted.decision))
        return known[1]

    async def _admitted(
        self, request: web.BaseRequest, context: RequestContext, asked: HubRequest, note: str
    ) -> web.StreamResponse:
        granted = await self._admission.admit(context, asked)
        match granted:
            case GrantedFile():
                rendering = self._rendered(granted)
                if note:  # before the headers leave with the first byte
                    rendering = replace(rendering, headers=(*rendering.headers, (_WARNING, _identity(note))))
                return await self._holding.patient(
                    lambda: self._views.answer(request, context, asked, granted, rendering),
                    request, context, asked, granted,
                )  # fmt: skip
            case GrantedListing():
                return _plain(self._dialect.listing(asked, granted.snapshot, granted.decision, granted.payload))
            case GrantedBatch():
                return _plain(self._dialect.batch(granted.objects))
            case GrantedManifest():
                return _plain(self._dialect.manifest(granted.manifest, granted.files, context.client))
            case GrantedPage():
                return _plain(self._dialect.found(asked, granted.rows, granted.cursor))
            case Pending() if (held := await self._holding.answer(request, context, asked, granted)) is not None:
                return held
            case _:
                return self._refusal(request, asked, context.method, granted)

    def _refusal(
        self, request: web.BaseRequest, asked: HubRequest | None, method: str, refusal: Refusal
    ) -> web.Response:
        rendering = self._dialect.refuse(asked, method, refusal)
        if rendering.status >= 400 and wants_page(request):
            reason = next((value for name, value in rendering.headers if name == "X-Error-Message"), "")
            rendering = refusal_page(rendering, reason, self._own_pages.base)
        return _plain(rendering)

    async def _refused(
        self, request: web.BaseRequest, context: RequestContext, asked: HubRequest | None, error: GatewayError
    ) -> web.Response:
        context = replace(context, target=redact(context.target))
        try:
            refusal = await self._admission.refuse(context, asked, error)
        except LedgerError as unwritable:
            refusal = Pending(unwritable.code, str(unwritable), 30)
        return self._refusal(request, asked, context.method, refusal)


def _noted(response: web.StreamResponse, note: str) -> web.StreamResponse:
    """Tell what there is to say of how the subject was found, unless the answer has left with it already."""
    warning = _identity(note)
    if note and not response.prepared and warning not in response.headers.getall(_WARNING, []):
        response.headers.add(_WARNING, warning)
    return response


def _identity(note: str) -> str:
    return f"identity; {note}."


def _plain(rendering: Rendering) -> web.Response:
    response = web.Response(status=rendering.status, body=rendering.body or None)
    for name, value in rendering.headers:
        if name.lower() == "content-type":
            response.headers[name] = value
        elif name.lower() != "content-length" or not rendering.body:
            response.headers.add(name, value)
    return response
