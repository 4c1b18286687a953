"""Bounds on what the hub may make us read: bytes, and the depth of JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import orjson

from gateway.domain.errors import UpstreamUnavailable

_IN_THREAD_BYTES: Final = 1 << 20  # parsing more than this would hold the loop up


async def read_bounded(chunks: AsyncGenerator[bytes, None], max_bytes: int) -> bytes:
    """The whole body. Raises UpstreamUnavailable (`upstream/too-large`) as soon as it is longer than `max_bytes`."""
    body = bytearray()
    async with aclosing(chunks) as received:
        async for chunk in received:
            body += chunk
            if len(body) > max_bytes:
                raise UpstreamUnavailable(
                    f"The hub's answer is larger than {max_bytes} bytes.", code="upstream/too-large"
                )
    return bytes(body)


async def parse_json(body: bytes, max_depth: int) -> Any:
    """The value. Raises UpstreamUnavailable (`upstream/malformed`) for what is no JSON or nested too deeply."""
    if len(body) > _IN_THREAD_BYTES:
        return await asyncio.to_thread(_parse, body, max_depth)
    return _parse(body, max_depth)


def _parse(body: bytes, max_depth: int) -> Any:
    try:
        value = orjson.loads(body)  # refuses more than 1024 levels by itself
    except orjson.JSONDecodeError:
        raise malformed("The hub's answer is not valid JSON.") from None
    level = [value]
    for _ in range(max_depth + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return value
    raise malformed(f"The hub's JSON is nested deeper than {max_depth} levels.")


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [child for child in item.values() if isinstance(child, (dict, list))]
    return [child for child in item if isinstance(child, (dict, list))] if isinstance(item, list) else []


def malformed(message: str) -> UpstreamUnavailable:
    """An answer that cannot be trusted to mean anything."""
    return UpstreamUnavailable(message, code="upstream/malformed")
