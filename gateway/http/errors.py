"""The last resort: an exception that nothing foresaw is a 500 with the request id, and its trace is in the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

_log = structlog.get_logger("http")


async def guarded(request_id: str, answer: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Run `answer`; turn what nobody foresaw into a 500 that gives nothing away."""
    try:
        return await answer()
    except (ConnectionError, web.HTTPException):
        raise
    except Exception:  # the outermost boundary: logged with its trace, answered without it
        _log.exception("http.unforeseen", request_id=request_id)
        message = f"the gateway failed on this request; tell its operator the request id {request_id}"
        return web.json_response(
            {"error": message}, status=500, headers={"X-Error-Message": message, "X-Request-Id": request_id}
        )
