from __future__ import annotations

import pytest

from gateway.domain.errors import ConfigError
from gateway.domain.subject import ANONYMOUS, Subject, SubjectKind
from gateway.identity.ratelimit import Buckets, Rate, RateLimiter, network_of
from tests.fakes.hand_clock import HandClock

ADA = Subject("ada", SubjectKind.USER)
BOB = Subject("bob", SubjectKind.USER)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def test_a_burst_then_the_rate(clock) -> None:
    limiter = RateLimiter(clock, subject=Rate(2, 3), address=None)
    assert [limiter.admit_subject(ADA) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    clock.pass_s(0.5)
    assert [limiter.admit_subject(ADA) for _ in range(2)] == [0.0, 0.5]
    clock.pass_s(1000)
    assert [limiter.admit_subject(ADA) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_who_is_refused_is_not_counted(clock) -> None:
    limiter = RateLimiter(clock, subject=Rate(1, 1), address=None)
    assert limiter.admit_subject(ADA) == 0.0
    for _ in range(100):
        assert limiter.admit_subject(ADA) == 1.0
    clock.pass_s(1)
    assert limiter.admit_subject(ADA) == 0.0


def test_subjects_do_not_share(clock) -> None:
    limiter = RateLimiter(clock, subject=Rate(1, 1), address=None)
    assert limiter.admit_subject(ADA) == 0.0
    assert limiter.admit_subject(BOB) == 0.0
    assert limiter.admit_subject(Subject("ada", SubjectKind.SERVICE)) == 0.0


def test_anonymous_subjects_are_limited_by_address_only(clock) -> None:
    limiter = RateLimiter(clock, subject=Rate(1, 1), address=Rate(1, 1))
    assert [limiter.admit_subject(ANONYMOUS) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.admit_address("10.0.0.1") == 0.0
    assert limiter.admit_address("10.0.0.1") == 1.0
    assert limiter.admit_address("10.0.0.2") == 0.0


def test_both_can_be_off(clock) -> None:
    limiter = RateLimiter(clock, subject=None, address=None)
    assert {limiter.admit_subject(ADA) + limiter.admit_address("::1") for _ in range(1000)} == {0.0}


def test_a_clock_that_was_set_back_blocks_nobody_for_long(clock) -> None:
    limiter = RateLimiter(clock, subject=Rate(1, 1), address=None)
    assert limiter.admit_subject(ADA) == 0.0
    clock.pass_s(-3600)
    assert limiter.admit_subject(ADA) == 1.0
    clock.pass_s(1)
    assert limiter.admit_subject(ADA) == 0.0


def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    buckets = Buckets(Rate(1, 2), max_buckets=10)
    for n in range(1000):
        assert buckets.admit(str(n), 0.0) == 0.0
        if n % 5 == 0:
            last = buckets.admit("hot", 0.0)
    assert len(buckets) == 10
    assert last == 1.0
    assert buckets.admit("0", 0.0) == 0.0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_what_shares_a_bucket(address, network) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (-1, 1), (1, 0), (float("nan"), 1)])
def test_a_rate_makes_sense(per_s, burst) -> None:
    with pytest.raises(ConfigError):
        Rate(per_s, burst)


def test_a_request_that_stands_for_many_is_counted_as_many(clock) -> None:
    limiter = RateLimiter(clock, subject=Rate(10, 20), address=Rate(10, 40))
    assert limiter.admit_address("10.0.0.1") + limiter.admit_subject(ADA) == 0.0
    limiter.count(ADA, "10.0.0.1", 29)
    assert limiter.admit_subject(ADA) == pytest.approx(1.1), "ten owed, and one to have"
    assert limiter.admit_address("10.0.0.1") == 0.0
    limiter.count(ANONYMOUS, "10.0.0.1", 1000)
    assert limiter.admit_address("10.0.0.1") == pytest.approx(4.1), "never more than one burst is owed"
    assert limiter.admit_address("10.0.0.2") == 0.0


def test_what_is_off_counts_nothing(clock) -> None:
    limiter = RateLimiter(clock, subject=None, address=None)
    limiter.count(ADA, "10.0.0.1", 1000)
    assert limiter.admit_subject(ADA) + limiter.admit_address("10.0.0.1") == 0.0
