"""How long a signed download address is good for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from yarl import URL

MARGIN_S: Final = 60.0
UNKNOWN_LIFE_S: Final = 300.0
MAX_LIFE_S: Final = 3600.0


def expires_at_s(url: URL, now_s: float) -> float:
    """Unix seconds until which the address may be used again: a minute before its signature ends.

    Reads `Expires` (CloudFront) and `X-Amz-Date` + `X-Amz-Expires` (S3 signatures, version 4). An address that tells
    nothing is kept for five minutes, no address for more than an hour.
    """
    ends = [end_s for end_s in (_cloudfront(url), _s3(url)) if end_s is not None]
    end_s = min(ends) - MARGIN_S if ends else now_s + UNKNOWN_LIFE_S
    return min(end_s, now_s + MAX_LIFE_S)


def _cloudfront(url: URL) -> float | None:
    return _seconds(url.query.get("Expires", ""))


def _s3(url: URL) -> float | None:
    life_s = _seconds(url.query.get("X-Amz-Expires", ""))
    if life_s is None:
        return None
    try:
        start = datetime.strptime(url.query.get("X-Amz-Date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return start.timestamp() + life_s


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
