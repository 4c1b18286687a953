"""The gateway's own pages where what they stand on gives way: nothing is shown that is not on record."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.domain.decision import Reason
from gateway.domain.errors import IdentityError, LedgerError, RateLimited, StoreError, UnroutableRequest
from gateway.domain.explaining import Explaining
from gateway.domain.record import Durability, Record, RecordKind
from gateway.domain.subject import Subject, SubjectKind
from gateway.enforcement.reading import Readings
from gateway.http.own_pages import OwnPages
from gateway.http.reason_codes import ReasonCode
from gateway.http.reason_page import RuleText
from gateway.identity.anonymous import AnonymousIdentifier
from gateway.identity.ratelimit import Rate, RateLimiter
from tests.enforcement.whole import by
from tests.fakes.hand_clock import HandClock
from tests.fakes.memory_decisions import MemoryDecisions
from tests.fakes.recording_ledger import RecordingLedger

ALICE = Subject("alice", SubjectKind.USER)
PAGE = "/-/decisions/d-1"
REASON = Reason("license/unknown", "medium", "no license", "ask")


class Unreadable:
    async def find(self, decision_id):
        raise LedgerError("Cannot read /var/lib/gateway/ledger/x.segment", code="ledger/unreadable")


@pytest.fixture
async def ledger():
    ledger = RecordingLedger()
    who = {"subject": "alice", "subject_kind": "user"}
    record = Record(RecordKind.DECISION, "r-1", "d-1", **who, effect="deny", reasons=(asdict(REASON),))
    await ledger.record(record, Durability.DURABLE)
    return ledger


def pages(ledger, *, log=None, burst=100):
    clock = HandClock(datetime(2026, 11, 25, tzinfo=UTC))
    rate = Rate(0.001, burst)
    return OwnPages(
        log or TimedDecisions(ledger),
        Readings(ledger),
        AnonymousIdentifier(),
        RateLimiter(clock, subject=None, address=None),
        RateLimiter(clock, subject=None, address=rate),
        Explaining("https://gate.example", "ops@corp.example"),
        {"pdp/timeout": ReasonCode("pdp/timeout", "pending", "late", "look")},
        {"license/unknown": RuleText("No license", "d", "medium", "r")},
        lambda: ("", ""),
    )


class TimedDecisions(MemoryDecisions):
    """The ledger itself adds the time."""

    async def find(self, decision_id):
        return tuple({**found, "time": "2026-11-25T10:00:00.000000Z"} for found in await super().find(decision_id))


def asked(method="GET", **headers):
    return make_mocked_request(method, "/", headers=headers)


async def test_a_page_is_on_record_before_it_is_shown(ledger):
    page = await pages(ledger).answer(asked(Accept="application/json"), by(ALICE), PAGE)
    assert json.loads(page.body)["answers"][0]["reasons"][0]["rule"] == "license/unknown"
    assert ledger.records[-1].path == PAGE


@pytest.mark.parametrize("target", [PAGE, "/-/reasons/license/unknown"])
async def test_what_cannot_be_recorded_is_not_shown(ledger, target):
    ledger.fail()
    with pytest.raises(LedgerError):
        await pages(ledger).answer(asked(), by(ALICE), target)
    with pytest.raises(LedgerError):
        await pages(ledger).open_to_all(asked(), by(), "/-/reasons/pdp/timeout")


async def test_a_ledger_that_cannot_be_searched_is_our_outage_and_no_absence(ledger):
    with pytest.raises(StoreError) as raised:
        await pages(ledger, log=Unreadable()).answer(asked(), by(ALICE), PAGE)
    assert raised.value.code == "ledger/unreadable"
    assert "/var/lib" not in str(raised.value)


async def test_searches_are_limited_and_what_can_be_no_id_is_not_searched(ledger):
    limited = pages(ledger, burst=2)
    for _ in range(5):
        with pytest.raises(UnroutableRequest):
            await limited.answer(asked(), by(ALICE), "/-/decisions/../x")
    for _ in range(2):
        await limited.answer(asked(), by(ALICE), PAGE)
    with pytest.raises(RateLimited):
        await limited.answer(asked(), by(ALICE), PAGE)


async def test_absence_is_one_error_for_a_name_and_another_for_none(ledger):
    bob = Subject("bob", SubjectKind.USER)
    errors = []
    for target in (PAGE, "/-/decisions/d-2", "/-/reasons/license/none", "/-/x"):
        with pytest.raises(UnroutableRequest) as raised:
            await pages(ledger).answer(asked(), by(bob), target)
        errors.append(str(raised.value))
        with pytest.raises(IdentityError):
            await pages(ledger).answer(asked(), by(), target)
    assert len(set(errors)) == 1


async def test_only_looking_is_possible(ledger):
    for method in ("POST", "PUT", "DELETE"):
        with pytest.raises(UnroutableRequest):
            await pages(ledger).open_to_all(asked(method), by(), "/-/reasons/pdp/timeout")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"), ("application/json, */*", "application/json"), ("*/*", "text/html"), ("", "text/html"),
        ("text/html,application/json;q=0.9", "text/html"), ("text/html,*/*;q=0.8", "text/html"),
    ],
)  # fmt: skip
async def test_a_program_that_asks_for_json_gets_json_and_everybody_else_a_page(ledger, accept, kind):
    for page in (
        await pages(ledger).answer(asked(Accept=accept), by(ALICE), PAGE),
        await pages(ledger).open_to_all(asked(Accept=accept), by(), "/-/reasons/pdp/timeout"),
    ):
        headers = dict(page.headers)
        assert headers["Content-Type"].startswith(kind)
        assert headers["Cache-Control"] == "no-store"
        assert headers["Vary"] == "Accept, Authorization"
