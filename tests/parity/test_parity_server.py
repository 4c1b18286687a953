"""The embedded engine against a real OPA server, with transport, bundle push and strict errors by query parameter."""

from __future__ import annotations

import pytest

from tests.opa import opa_server
from tests.parity.engines import Server
from tests.parity.parity import questions_agree, samples_agree
from tests.parity.questions import all_questions

pytestmark = pytest.mark.opa_server


async def test_every_sample_of_every_rule_agrees() -> None:
    async with opa_server() as server:
        assert await samples_agree(Server(server.url)) >= 70


async def test_hostile_and_incomplete_questions_agree() -> None:
    async with opa_server() as server:
        count, seen = await questions_agree(Server(server.url), "balanced", all_questions())
    assert count > 1500
    assert {"allow", "deny"} <= seen <= {"allow", "deny", "quarantine"}
