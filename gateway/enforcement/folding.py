"""What a minute of equal answers leaves in the ledger (design §8): repeats of one refusal as a count, and the ranges of
one file as their merged spans. The record before each answer stands in any case."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gateway.domain.errors import RateLimited
from gateway.domain.record import Record

MINUTE_S = 60.0
_MOST = 10_000
_MOST_SPANS = 256


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


@dataclass(slots=True)
class _Ranges:
    record: Record
    since_s: float
    sent_bytes: int = 0
    count: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)


class DeliveryFold:
    """The ranges of one digest that one subject took within a minute are one delivery record."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._open: dict[tuple[str, str, str, bool], _Ranges] = {}

    def add(self, record: Record) -> None:
        """Count in the delivery of a range; it is written by `due`."""
        key = (record.subject, record.digest, record.decision_id, "unverified" in record.extra)
        ranges = self._open.get(key)
        if ranges is None:
            ranges = self._open[key] = _Ranges(record, self._monotonic())
        ranges.count += 1
        ranges.sent_bytes += record.bytes_delivered
        if record.span is not None and record.bytes_delivered:
            start = record.span[0]
            ranges.spans = merged([*ranges.spans, (start, start + record.bytes_delivered)])

    def due(self, *, everything: bool) -> Iterator[Record]:
        """The records whose minute is over, or that hold many spans (or all), taken out."""
        now = self._monotonic()
        for key, ranges in list(self._open.items()):
            if everything or now - ranges.since_s >= MINUTE_S or len(ranges.spans) > _MOST_SPANS:
                del self._open[key]
                spans = [list(span) for span in ranges.spans]
                yield dataclasses.replace(
                    ranges.record,
                    bytes_delivered=ranges.sent_bytes,
                    count=ranges.count,
                    span=(ranges.spans[0][0], ranges.spans[-1][1]) if spans else ranges.record.span,
                    extra={**ranges.record.extra, "spans": spans},
                    note="ranges within a minute",
                )


def merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, with what overlaps or touches joined."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


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
