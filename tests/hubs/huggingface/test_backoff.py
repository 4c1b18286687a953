"""Rate limits: what the headers ask for, and that waiting has a budget."""

import pytest

from gateway.domain.errors import UpstreamThrottled
from gateway.hubs.huggingface.backoff import MAX_WAIT_S, Patience, SharedBackoff, wait_of
from tests.hubs.huggingface.hub_world import Waits


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (200, {}, 0),
        (200, {"RateLimit": '"resolvers";r=2998;t=172'}, 0),
        (200, {"RateLimit": '"resolvers";r=0;t=172'}, 172),
        (200, {"Retry-After": "5"}, 0),
        (429, {}, 1),
        (429, {"Retry-After": "5"}, 5),
        (429, {"Retry-After": "0"}, 1),
        (429, {"Retry-After": "-5"}, 1),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1),
        (429, {"Retry-After": "٣"}, 1),
        (429, {"Retry-After": "9" * 400}, 1),
        (429, {"Retry-After": "3", "RateLimit": '"api"; r = 0 ; t = 7'}, 7),
        (429, {"RateLimit": '"api";r=3;t=7'}, 1),
        (429, {"Retry-After": "999999"}, MAX_WAIT_S),
        (503, {"Retry-After": "9"}, 0),
    ],
)
def test_the_wait_that_an_answer_asks_for(status, headers, wait_s):
    assert wait_of(status, headers) == wait_s


async def test_buckets_are_apart_and_a_shorter_wait_does_not_shorten_a_longer_one():
    waits = Waits()
    backoff = SharedBackoff(waits.monotonic, waits.sleep)
    backoff.note("api", 429, {"Retry-After": "4"})
    backoff.note("api", 429, {"Retry-After": "1"})
    await backoff.wait("resolvers", Patience(0))
    await backoff.wait("api", Patience(5))
    assert waits.slept_s == [4]
    await backoff.wait("api", Patience(0))


async def test_patience_is_spent_over_the_whole_operation():
    waits = Waits()
    backoff, patience = SharedBackoff(waits.monotonic, waits.sleep), Patience(5)
    backoff.note("api", 429, {"Retry-After": "3"})
    await backoff.wait("api", patience)
    backoff.note("api", 429, {"Retry-After": "3"})
    with pytest.raises(UpstreamThrottled) as caught:
        await backoff.wait("api", patience)
    assert caught.value.retry_after_s == 3
