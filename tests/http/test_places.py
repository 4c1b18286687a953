"""Places of held clients: nobody has all of them, and a place is free again."""

import pytest

from gateway.domain.subject import ANONYMOUS, Client, Subject, SubjectKind
from gateway.enforcement.context import RequestContext
from gateway.http.places import Places


def asked(address="192.0.2.1", subject=ANONYMOUS):
    return RequestContext("r-1", "GET", subject, Client(), address)


def test_one_asker_has_a_quarter_at_most_and_the_others_find_theirs():
    places = Places(8)
    held = [places.take(asked()) for _ in range(8)]
    assert [place is not None for place in held] == [True] * 2 + [False] * 6
    assert places.take(asked("192.0.2.2")) is not None
    assert places.take(asked(subject=Subject("alice", SubjectKind.USER))) is not None
    assert places.taken == 4


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (asked("2001:db8::1"), asked("2001:db8::2")),
        (
            asked("192.0.2.1", Subject("alice", SubjectKind.USER)),
            asked("192.0.2.2", Subject("alice", SubjectKind.USER)),
        ),
    ],
)
def test_an_asker_is_one_from_wherever(first, second):
    places = Places(4)
    assert places.take(first) is not None
    assert places.take(second) is None


def test_all_are_so_many_however_many_ask():
    places = Places(3)
    assert [places.take(asked(f"192.0.2.{n}")) is not None for n in range(5)] == [True] * 3 + [False] * 2


def test_a_place_is_free_again_once():
    places = Places(1)
    place = places.take(asked())
    for _ in range(3):
        place.free()
    assert places.taken == 0
    assert places.take(asked()) is not None
    place.free()
    assert places.taken == 1
