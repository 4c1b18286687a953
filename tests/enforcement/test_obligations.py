from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.decision import Decision, DecisionScope, Effect, Obligation
from gateway.domain.errors import PolicyError
from gateway.enforcement.obligations import earliest, fulfil

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def decision(*obligations, valid_until=None):
    return Decision(Effect.ALLOW, DecisionScope.FILE, obligations=obligations, valid_until=valid_until)


def test_an_unknown_obligation_means_no_allow():
    with pytest.raises(PolicyError) as caught:
        fulfil(decision(Obligation("watermark", True)), NOW)
    assert caught.value.code == "pdp/unknown-obligation"


def test_max_age_shortens_the_decision_and_never_lengthens_it():
    assert fulfil(decision(Obligation("max_age_s", 60)), NOW).valid_until == NOW + timedelta(seconds=60)
    soon = NOW + timedelta(seconds=5)
    assert fulfil(decision(Obligation("max_age_s", 60), valid_until=soon), NOW).valid_until == soon
    assert fulfil(decision(), NOW).valid_until is None


@pytest.mark.parametrize("value", [None, True, -1, 1.5, "60"])
def test_a_max_age_that_is_no_whole_number_of_seconds_is_malformed(value):
    with pytest.raises(PolicyError) as caught:
        fulfil(decision(Obligation("max_age_s", value)), NOW)
    assert caught.value.code == "pdp/malformed"


def test_earliest_ignores_what_is_not_given():
    assert earliest([None, NOW, None]) == NOW
    assert earliest([None]) is None
