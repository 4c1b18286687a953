"""The body of a request: small, bounded in size and in time."""

from __future__ import annotations

import asyncio

from aiohttp import HttpVersion11, hdrs, web

from gateway.domain.errors import UnroutableRequest

BODY_BYTES = 1024 * 1024
BODY_WAIT_S = 10.0
_TOO_LARGE = bytes(BODY_BYTES + 1)  # one byte more than any route reads


async def small_body(request: web.BaseRequest, *, wait_s: float = BODY_WAIT_S) -> bytes:
    """The small body of a POST; of a larger one so much that everybody sees that it is too large.

    Raises UnroutableRequest after `wait_s`, or where it cannot be read or unpacked.
    """
    if request.method in {"GET", "HEAD"} or not request.body_exists:
        return b""
    if request.content_length is not None and request.content_length > BODY_BYTES:
        return _TOO_LARGE  # of a write, mostly, which is refused without reading it
    body = bytearray()
    try:
        if request.headers.get(hdrs.EXPECT) and request.version == HttpVersion11:  # the client waits to be told
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer has not begun by that
        async with asyncio.timeout(wait_s):
            async for chunk in request.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > BODY_BYTES:
                    return _TOO_LARGE
    except TimeoutError:
        raise UnroutableRequest("the request's body did not arrive in time", code="route/slow-body") from None
    except web.RequestPayloadError:
        raise UnroutableRequest("the request's body cannot be read", code="route/malformed") from None
    return bytes(body)
