"""The gateway's own pages, below `/-/`: one per decision, for those it concerns, and one per reason code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import orjson
import structlog
from aiohttp import hdrs, web

from gateway.domain.errors import IdentityError, LedgerError, StoreError, UnroutableRequest
from gateway.domain.explaining import DECISIONS, REASONS, Explaining, is_decision_id
from gateway.domain.subject import SubjectKind
from gateway.enforcement.context import RequestContext
from gateway.enforcement.reading import Readings
from gateway.http import layout
from gateway.http.decision_facts import Viewer, facts_of, rules_of
from gateway.http.decision_page import decision_page
from gateway.http.errors import within
from gateway.http.reason_codes import ReasonCode
from gateway.http.reason_page import RuleText, code_page, rule_page
from gateway.identity.extract import extract
from gateway.identity.ratelimit import RateLimiter
from gateway.ports import DecisionLog, Identifier, Rendering

# Only these pages ask a browser for a credential (RFC 7617): on a hub's routes it would make clients try passwords.
_CHALLENGE = 'Basic realm="model-gateway (the password is your gateway token)", charset="UTF-8"'
_JSON = (("Content-Type", "application/json; charset=utf-8"), *layout.HEADERS[1:])
_VARY = ("Vary", "Accept, Authorization")
_trouble = structlog.get_logger("page")


class OwnPages:
    """Answers below `/-/`. `codes` and `rules` are what can be said of the gateway's own codes and of the policy's
    rules; `digests` the policy and data digest in force; `review_groups` who may read everybody's decisions.
    `searches` limits how often the ledger is searched, which costs more than any other answer."""

    def __init__(
        self,
        log: DecisionLog,
        readings: Readings,
        identifier: Identifier,
        limits: RateLimiter,
        searches: RateLimiter,
        explaining: Explaining,
        codes: Mapping[str, ReasonCode],
        rules: Mapping[str, RuleText],
        digests: Callable[[], tuple[str, str]],
        review_groups: frozenset[str] = frozenset(),
    ) -> None:
        self._log = log
        self._readings = readings
        self._identifier = identifier
        self._limits = limits
        self._searches = searches
        self._explaining = explaining
        self._codes = dict(codes)
        self._rules = dict(rules)
        self._digests = digests
        self._review_groups = review_groups

    @property
    def base(self) -> str:
        """The public URL, with which every link to these pages begins."""
        return self._explaining.base

    async def open_to_all(self, request: web.BaseRequest, context: RequestContext, target: str) -> Rendering | None:
        """The page of one of the gateway's own codes, the same for everybody: whose credential is refused must be able
        to read why. None for every other page. Raises UnroutableRequest (only GET and HEAD), LedgerError."""
        if request.method not in {"GET", "HEAD"}:
            raise _nothing()
        path = _path(target)
        code = self._codes.get(path.removeprefix(REASONS)) if path.startswith(REASONS) else None
        if code is None:
            return None
        await self._readings.shown(context, path)
        return self._code(code, as_json=_wants_json(request))

    async def identified(self, request: web.BaseRequest, context: RequestContext) -> RequestContext:
        """The context with the subject who asks. Raises IdentityError, RateLimited."""
        credential = extract(request.headers.getall(hdrs.AUTHORIZATION, []), context.address)
        subject = await self._identifier.identify(credential)
        if subject is None:
            raise IdentityError("this gateway does not know the credential that was sent", code="identity/unknown")
        within(self._limits.admit_subject(subject))
        return replace(context, subject=subject)

    async def answer(self, request: web.BaseRequest, context: RequestContext, target: str) -> Rendering:
        """The page for the subject of `context`, on record. `target` is the raw one, below the public URL's path.

        Raises UnroutableRequest for what is not there and for what the subject may not see, IdentityError where a name
        could help, StoreError where the ledger cannot be searched now, LedgerError where it cannot be written.
        """
        path, as_json = _path(target), _wants_json(request)
        page = None
        if path.startswith(DECISIONS):
            page = await self._decision(context, path.removeprefix(DECISIONS), as_json=as_json)
        elif path.startswith(REASONS):
            page = self._rule(path.removeprefix(REASONS), as_json=as_json)
        if page is not None:
            await self._readings.shown(context, path)
            return page
        if context.subject.kind is SubjectKind.ANONYMOUS:
            raise IdentityError(
                "nobody without a name may see this: sign in, with your gateway token as the password",
                code="identity/missing",
            )
        raise _nothing()

    async def _decision(self, context: RequestContext, decision_id: str, *, as_json: bool) -> Rendering | None:
        if not is_decision_id(decision_id):
            return None
        within(self._searches.admit_address(context.address))
        try:
            records = await self._log.find(decision_id)
        except LedgerError as error:
            _trouble.warning("page.unread", decision=decision_id, code=error.code, error=str(error))
            raise StoreError("the ledger cannot be searched now; ask again", code=error.code) from error
        facts = facts_of(decision_id, records, Viewer.of(context.subject, self._review_groups))
        if facts is None:
            return None
        named = {rule: self._rules[rule] for rule in rules_of(facts) if rule in self._rules}
        facts |= {
            "is_current": (facts["policy_digest"], facts["data_digest"]) == self._digests(),
            "rules": {rule: asdict(text) for rule, text in named.items()},
            "contact": self._explaining.contact,
        }
        return _answer(facts) if as_json else _varied(decision_page(facts, self._explaining.base))

    def _rule(self, rule: str, *, as_json: bool) -> Rendering | None:
        text = self._rules.get(rule)
        if text is None:
            return None
        contact = self._explaining.contact
        return _answer({"rule": rule, **asdict(text)}) if as_json else _varied(rule_page(rule, text, contact))

    def _code(self, code: ReasonCode, *, as_json: bool) -> Rendering:
        return _answer(asdict(code)) if as_json else _varied(code_page(code, self._explaining.contact))


def _path(target: str) -> str:
    """Without the query, and without the full stop that clients put behind the link."""
    return target.partition("?")[0].removesuffix(".")


def _nothing() -> UnroutableRequest:
    return UnroutableRequest("this page does not exist, or is not for you")


def _wants_json(request: web.BaseRequest) -> bool:
    accept = request.headers.get(hdrs.ACCEPT, "")
    return "application/json" in accept and "text/html" not in accept


def _answer(value: Mapping[str, Any]) -> Rendering:
    return _varied(Rendering(200, _JSON, orjson.dumps(value)))


def _varied(rendering: Rendering) -> Rendering:
    return replace(rendering, headers=(*rendering.headers, _VARY))


def challenged(response: web.Response) -> web.Response:
    """A refused identity on these pages is a 401, so that a browser asks for the token and tries again."""
    response.set_status(401)
    response.headers["WWW-Authenticate"] = _CHALLENGE
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = _VARY[1]
    return response
