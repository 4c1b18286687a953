"""The last resort: an exception that nothing foresaw is a 500 with the request id, and its trace is in the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from gateway.domain.errors import LedgerError, RateLimited

_log = structlog.get_logger("http")


async def guarded(
    request_id: str, answer: Callable[[], Awaitable[web.StreamResponse]], on_fault: Callable[[], Awaitable[None]]
) -> web.StreamResponse:
    """Run `answer`; turn what nobody foresaw into a 500 that gives nothing away, after `on_fault` put it on record."""
    try:
        return await answer()
    except (ConnectionError, web.HTTPException):
        raise
    except Exception:  # the outermost boundary: logged with its trace, answered without it
        _log.exception("http.unforeseen", request_id=request_id)
        await _recorded(request_id, on_fault)
        message = f"the gateway failed on this request; tell its operator the request id {request_id}"
        return web.json_response(
            {"error": message}, status=500, headers={"X-Error-Message": message, "X-Request-Id": request_id}
        )


async def _recorded(request_id: str, on_fault: Callable[[], Awaitable[None]]) -> None:
    try:
        await on_fault()
    except LedgerError as error:  # the answer gives nothing away, so it may leave all the same
        _log.error("http.unrecorded", request_id=request_id, error=str(error))


def within(wait_s: float) -> None:
    """Raises RateLimited where a limit says to wait."""
    if wait_s > 0:
        raise RateLimited("too many requests; the gateway asks you to slow down", retry_after_s=wait_s)
