"""The embedded engine against the real OPA library: the same whole Decision, whatever is asked."""

from __future__ import annotations

import pytest

from tests.parity.engines import Library
from tests.parity.parity import PROFILES, questions_agree, samples_agree

pytestmark = pytest.mark.opa_bridge


async def test_every_sample_of_every_rule_agrees() -> None:
    assert await samples_agree(Library()) >= 2


@pytest.mark.parametrize("profile", PROFILES)
async def test_hostile_and_incomplete_questions_agree(profile: str) -> None:
    count, seen = await questions_agree(Library(), profile, every=1 if profile == "balanced" else 5)
    assert count > 300
    assert {"allow", "deny"} <= seen <= {"allow", "deny", "quarantine"}
