"""The places for clients that are held: so many in all, and of them only a share for one asker (design §6.4)."""

from __future__ import annotations

from collections import Counter

from gateway.domain.subject import SubjectKind
from gateway.enforcement.context import RequestContext
from gateway.identity.ratelimit import network_of

SHARE = 4  # one asker has at most one in four: nobody holds all of them


class Places:
    """`most` places at once. `taken` counts them."""

    def __init__(self, most: int) -> None:
        self.taken = 0
        self._most = most
        self._each = max(1, most // SHARE)
        self._of_asker: Counter[str] = Counter()

    def take(self, context: RequestContext) -> Place | None:
        """A place for the one who asks; None where there is none left, or none for this asker."""
        asker = asker_of(context)
        if self.taken >= self._most or self._of_asker[asker] >= self._each:
            return None
        self.taken += 1
        self._of_asker[asker] += 1
        return Place(self, asker)

    def give_back(self, asker: str) -> None:
        """Called by `Place.free`, once for each."""
        self.taken -= 1
        self._of_asker[asker] -= 1
        if self._of_asker[asker] <= 0:
            del self._of_asker[asker]


class Place:
    """One place; `free` it when the hold is over, however often."""

    def __init__(self, places: Places, asker: str) -> None:
        self._places: Places | None = places
        self._asker = asker

    def free(self) -> None:
        if self._places is not None:
            self._places.give_back(self._asker)
            self._places = None


def asker_of(context: RequestContext) -> str:
    """Whom a place is counted for. Anonymous askers are told apart by address only."""
    subject = context.subject
    if subject.kind is SubjectKind.ANONYMOUS:
        return f"{subject.kind}\x1f{network_of(context.address)}"
    return f"{subject.kind}\x1f{subject.id}"
