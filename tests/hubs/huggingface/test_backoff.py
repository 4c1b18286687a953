"""Rate limits: what the headers ask for, and that waiting has a budget."""

import asyncio

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
        (429, {"Retry-After": "9" * 400}, MAX_WAIT_S),
        (429, {"Retry-After": "1000000000"}, MAX_WAIT_S),
        (429, {"RateLimit": '"api";r=0;t=1000000000'}, MAX_WAIT_S),
        (429, {"Retry-After": "3", "RateLimit": '"api"; r = 0 ; t = 7'}, 7),
        (429, {"RateLimit": '"api";r=3;t=7'}, 1),
        (429, {"Retry-After": "999999"}, MAX_WAIT_S),
        (503, {"Retry-After": "9"}, 0),
    ],
)
def test_the_wait_that_an_answer_asks_for(status, headers, wait_s):
    assert wait_of(status, headers) == wait_s


class Door:
    """A backoff on a clock by hand, and who passed."""

    def __init__(self) -> None:
        self.waits = Waits()
        self.backoff = SharedBackoff(self.waits.monotonic, self.waits.sleep)
        self.passed = 0

    async def ask(self, status=200, headers=None, patience=None, bucket="api"):
        async with self.backoff.turn(bucket, patience or Patience(5)):
            self.passed += 1
            self.backoff.note(bucket, status, headers or {})


@pytest.fixture
def door():
    return Door()


async def test_buckets_are_apart_and_a_shorter_wait_does_not_shorten_a_longer_one(door):
    door.backoff.note("api", 429, {"Retry-After": "4"})
    door.backoff.note("api", 429, {"Retry-After": "1"})
    await door.ask(bucket="resolvers", patience=Patience(0))
    await door.ask()
    assert door.waits.slept_s == [4]
    await door.ask(patience=Patience(0))


async def test_patience_is_spent_over_the_whole_operation(door):
    patience = Patience(5)
    door.backoff.note("api", 429, {"Retry-After": "3"})
    await door.ask(429, {"Retry-After": "3"}, patience)
    with pytest.raises(UpstreamThrottled) as caught:
        await door.ask(patience=patience)
    assert caught.value.retry_after_s == 3
    assert door.passed == 1


async def test_when_the_time_is_over_one_goes_first_and_the_others_wait_for_what_it_learns(door):
    door.backoff.note("api", 429, {"Retry-After": "2"})
    door.waits.now_s += 2
    told = asyncio.Event()

    async def first():
        async with door.backoff.turn("api", Patience(5)):
            door.passed += 1
            await told.wait()
            door.backoff.note("api", 200, {})

    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        await settled()
        for _ in range(200):
            group.create_task(door.ask())
        await settled()
        assert door.passed == 1
        told.set()
    assert door.passed == 201
    assert door.waits.slept_s == []


async def test_a_hub_that_answers_429_for_ever_is_asked_once_per_period(door):
    """200 clients that come again and again: every period one of them is sent, all others are told to wait at once."""
    door.backoff.note("api", 429, {"Retry-After": "30"})
    for _ in range(10):
        door.waits.now_s += 30
        results = await asyncio.gather(
            *(door.ask(429, {"Retry-After": "30"}) for _ in range(200)), return_exceptions=True
        )
        assert sum(isinstance(result, UpstreamThrottled) for result in results) == 199
    assert door.passed == 10


async def test_without_a_word_how_long_the_wait_doubles_up_to_a_minute(door):
    waited = []
    for _ in range(9):
        door.backoff.note("api", 429, {})
        with pytest.raises(UpstreamThrottled) as caught:
            await door.ask(patience=Patience(0))
        waited.append(caught.value.retry_after_s)
        door.waits.now_s += waited[-1]
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    await door.ask(200)
    door.backoff.note("api", 429, {})
    with pytest.raises(UpstreamThrottled) as caught:
        await door.ask(patience=Patience(0))
    assert caught.value.retry_after_s == 1


async def test_many_429_of_one_storm_count_once(door):
    for _ in range(100):
        door.backoff.note("api", 429, {})
    with pytest.raises(UpstreamThrottled) as caught:
        await door.ask(patience=Patience(0))
    assert caught.value.retry_after_s == 1


@pytest.mark.parametrize("end", [UpstreamThrottled("x", retry_after_s=1), asyncio.CancelledError(), ValueError("x")])
async def test_a_first_one_that_learns_nothing_lets_the_next_one_go(door, end):
    door.backoff.note("api", 429, {"Retry-After": "2"})
    door.waits.now_s += 2
    with pytest.raises(type(end)):
        async with door.backoff.turn("api", Patience(5)):
            raise end
    await door.ask(patience=Patience(0))
    assert door.passed == 1


async def test_an_answer_to_a_question_from_before_the_limit_does_not_lift_it(door):
    door.backoff.note("api", 429, {"Retry-After": "9"})
    door.backoff.note("api", 200, {})
    with pytest.raises(UpstreamThrottled):
        await door.ask()


async def test_a_5xx_says_nothing_of_the_limit(door):
    door.backoff.note("api", 429, {"Retry-After": "2"})
    door.waits.now_s += 2
    await door.ask(503)
    probe = asyncio.Event()

    async def hold():
        async with door.backoff.turn("api", Patience(5)):
            await probe.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        await settled()
        with pytest.raises(UpstreamThrottled):
            await door.ask(patience=Patience(0))
        probe.set()


async def settled():
    """Every task has run as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)
