"""Repeats of one refused request by one subject become one record with a count per minute (design §8)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.domain.errors import RateLimited
from gateway.domain.record import Record

MINUTE_S = 60.0
_MOST = 10_000


@dataclass(slots=True)
class _Repeated:
    record: Record
    since_s: float
    count: int = 0


class RefusalFold:
    """The first refusal of a minute is written as it comes; the rest of that minute is counted."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: dict[tuple[str, ...], _Repeated] = {}

    def repeats(self, record: Record) -> bool:
        """Is this a repeat within its minute? Then it is counted, and must not be written."""
        key = _key(record)
        known = self._seen.get(key)
        if known is not None and self._monotonic() - known.since_s < MINUTE_S:
            known.count += 1
            return True
        if known is None:
            self._seen[key] = _Repeated(record, self._monotonic())
        return False  # past its minute: written anew; `due` takes the count out and the next one begins again

    def due(self, *, everything: bool) -> Iterator[Record]:
        """The counted records whose minute is over (or all), taken out."""
        now = self._monotonic()
        crowded = len(self._seen) > _MOST
        for key, known in list(self._seen.items()):
            if self._seen.get(key) is not known:
                continue  # taken out by another reader while this one waited for the ledger
            if everything or crowded or now - known.since_s >= MINUTE_S:
                del self._seen[key]
                if known.count:
                    yield dataclasses.replace(known.record, count=known.count, note="repeats within a minute")
            else:
                break  # in order of their first sight: the rest is younger


def _key(record: Record) -> tuple[str, ...]:
    rules = ",".join(str(reason.get("rule")) for reason in record.reasons)
    if rules == RateLimited.code:
        return (record.subject, record.address, rules)  # whatever was asked: else a flood would fill the ledger
    return (
        record.subject,
        record.address,
        record.route,
        record.repo,
        record.ref,
        record.path,
        record.effect,
        rules,
        str(record.extra.get("target", "")),
    )
