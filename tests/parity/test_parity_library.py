"""The embedded engine against the real OPA library: the same whole Decision, whatever is asked."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.parity.engines import Library
from tests.parity.parity import PROFILES, questions_agree, samples_agree
from tests.parity.questions import all_questions, random_questions

pytestmark = pytest.mark.opa_bridge


async def test_every_sample_of_every_rule_agrees() -> None:
    assert await samples_agree(Library()) >= 70


@pytest.mark.parametrize("profile", PROFILES)
async def test_hostile_and_incomplete_questions_agree(profile: str) -> None:
    step = 1 if profile == "balanced" else 5
    count, seen = await questions_agree(Library(), profile, islice(all_questions(), 0, None, step))
    assert count > 300
    assert {"allow", "deny"} <= seen <= {"allow", "deny", "quarantine"}


@pytest.mark.parametrize("profile", PROFILES)
async def test_random_questions_agree(profile: str) -> None:
    count, seen = await questions_agree(Library(), profile, random_questions(20261124, 300))
    assert count == 300
    assert "deny" in seen <= {"allow", "deny", "quarantine"}
