"""Range, If-Range and If-None-Match of RFC 9110, for one range of one strong representation."""

from __future__ import annotations

import re

from gateway.domain.artifact import Span

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


class RangeNotSatisfiable(Exception):
    """RFC 9110 §15.5.17: 416 with `Content-Range: bytes */SIZE`."""


def parse_range(header: str | None, size_bytes: int) -> Span | None:
    """The one range asked for, or None for the whole file.

    A malformed header and a list of several ranges are ignored (RFC 9110 §14.2 allows it).
    Raises RangeNotSatisfiable.
    """
    if header is None:
        return None
    match = _RANGE.fullmatch(header.strip().replace(" ", ""))
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if first == "":
        length = int(last)
        if length == 0 or size_bytes == 0:
            raise RangeNotSatisfiable
        return Span(max(0, size_bytes - length), size_bytes)
    start = int(first)
    if last != "" and int(last) < start:
        return None
    if start >= size_bytes:
        raise RangeNotSatisfiable
    return Span(start, min(size_bytes, int(last) + 1) if last != "" else size_bytes)


def matches(header: str | None, etag: str) -> bool:
    """Does `If-None-Match` name this entity tag? Weak comparison (RFC 9110 §13.1.2)."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return etag in {tag.strip().removeprefix("W/").strip() for tag in header.split(",")}


def range_applies(if_range: str | None, etag: str) -> bool:
    """May the range be served? `If-Range` needs a strong match (RFC 9110 §13.1.5); a date never matches."""
    return if_range is None or if_range.strip() == etag
