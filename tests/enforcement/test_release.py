"""What of a running fill may leave, by the rule alone."""

import asyncio
import hashlib

import pytest

from gateway.domain.errors import IntegrityError
from gateway.domain.evidence import JudgedSpan
from gateway.enforcement.release import HELD_TAIL_BYTES, MOST_PROMISED, Release

SIZE = 10 * HELD_TAIL_BYTES
DATA = bytes(range(256)) * (SIZE // 256)


def span(start, end, data=DATA):
    return JudgedSpan(start, end, hashlib.sha256(data[start:end]).hexdigest())


def release(promised=()):
    async def equals(judged):
        await asyncio.sleep(0)
        return hashlib.sha256(DATA[judged.start : judged.end]).hexdigest() == judged.sha256

    return Release("x.bin", SIZE, equals, promised)


async def test_what_is_written_may_leave_but_the_tail():
    rule = release()
    for written, may in ((0, 0), (100, 100), (SIZE - 1, SIZE - HELD_TAIL_BYTES), (SIZE, SIZE - HELD_TAIL_BYTES)):
        await rule.advance(written)
        assert rule.may_leave(()) == may
    rule.all()
    assert rule.may_leave(()) == SIZE


async def test_a_bound_span_holds_back_what_follows_until_it_is_proven():
    rule = release()
    judged = span(1000, 2000)
    await rule.bind([judged])
    await rule.advance(1999)
    assert rule.may_leave(()) == 1000
    assert not rule.has_proven([judged])
    await rule.advance(5000)
    assert rule.may_leave([judged]) == 5000
    assert rule.may_leave([span(3000, 4000)]) == 3000, "of another grant, that was never bound"


async def test_a_promised_span_holds_nothing_back():
    rule = release()
    assert await rule.promise(5000, DATA[5000:6000])
    await rule.advance(5500)
    assert rule.may_leave(()) == 5500
    assert rule.promised == (span(5000, 6000),)
    await rule.advance(6000)
    assert rule.promised == ()


@pytest.mark.parametrize("late", [True, False])
async def test_a_promise_that_was_not_kept_ends_the_fill(late):
    rule = release()
    if late:
        await rule.advance(7000)
        with pytest.raises(IntegrityError):
            await rule.promise(5000, b"lie" * 100)
    else:
        assert await rule.promise(5000, b"lie" * 100)
        with pytest.raises(IntegrityError):
            await rule.advance(7000)
    with pytest.raises(IntegrityError):
        await rule.advance(8000)
    assert rule.may_leave(()) <= 7000


async def test_at_the_end_and_past_the_bound_nothing_is_promised_any_more():
    rule = release([span(SIZE - 2, SIZE - 1)] * MOST_PROMISED)
    assert not await rule.promise(0, b"x")
    await rule.advance(SIZE)
    await rule.seal()
    assert rule.promised == ()
    assert not await rule.promise(0, DATA[:10])


async def test_what_an_earlier_fill_owed_is_compared():
    rule = release([span(100, 200, b"other" * 100)])
    with pytest.raises(IntegrityError):
        await rule.advance(200)


async def test_once_the_fill_is_over_nothing_more_is_promised():
    """Whoever read of the hub meanwhile must not have bytes that no fill will compare."""
    rule = release()
    assert await rule.promise(5000, DATA[5000:6000])
    assert rule.owed() == (span(5000, 6000),)
    assert not await rule.promise(7000, DATA[7000:8000])
    assert rule.promised == (span(5000, 6000),)
