"""The HTTP server under the door: what its parser refuses is answered in our words, recorded, and never echoed.

The parser's own error page repeats the offending bytes, and its log shows a trace with them: both may hold a token.
A connection that sends no whole request, or takes nothing of an answer, is ended: it would cost memory for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import HttpVersion10, HttpVersion11, hdrs, web

FIRST_REQUEST_S = 20.0
IDLE_S = 75.0
STALLED_S = 120.0
_GO_ON = "100-continue"
_SPOKEN = frozenset({HttpVersion10, HttpVersion11})
_log = structlog.get_logger("http")
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Malformed = Callable[[web.BaseRequest, int], web.Response]


class Listener(web.Server):
    """`handler` answers requests; `malformed` what is no request (400), one of another version of HTTP (505: the parser
    takes 0.9 and 2.0 for ours), one with an expectation that nobody here meets (417), or a handler that broke (500).

    A new connection has `first_request_s` for the head of its first request, one that is kept alive `idle_s` for each
    further one; an answer of which the client takes nothing for `stalled_s` is cut.
    """

    def __init__(
        self,
        handler: Handler,
        malformed: Malformed,
        *,
        first_request_s: float = FIRST_REQUEST_S,
        idle_s: float = IDLE_S,
        stalled_s: float = STALLED_S,
    ) -> None:
        super().__init__(self._answered, access_log=None)
        self._handler = handler
        self.malformed = malformed
        self.first_request_s = first_request_s
        self.idle_s = idle_s
        self.stalled_s = stalled_s

    def _answered(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        if request.version not in _SPOKEN:
            return self._turned_away(request, 505)
        if request.headers.get(hdrs.EXPECT, _GO_ON).lower() not in ("", _GO_ON):  # RFC 9110 §10.1.1
            return self._turned_away(request, 417)
        return self._handler(request)

    async def _turned_away(self, request: web.BaseRequest, status: int) -> web.StreamResponse:
        request._cache["version"] = HttpVersion11  # noqa: SLF001 - else the answer would name the version that was asked
        response = self.malformed(request, status)
        response.force_close()
        return response

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, access_log=None, keepalive_timeout=self.idle_s)


class _Connection(web.RequestHandler):
    """One connection; it is closed after the first malformed request, so that nothing hides behind one."""

    def __init__(self, listener: Listener, **options: object) -> None:
        super().__init__(listener, **options)  # type: ignore[arg-type]
        self._listener = listener
        self._first: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._unsent_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # The library's own time-out begins with the second request.
        self._first = self._loop.call_later(self._listener.first_request_s, self._end_without_request)

    def connection_lost(self, exc: BaseException | None) -> None:
        for timer in (self._first, self._stall):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _end_without_request(self) -> None:
        if self._request_count == 0:
            self.force_close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent_bytes = self._unsent()
        self._stall = self._loop.call_later(self._listener.stalled_s, self._end_if_stalled)

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
        super().resume_writing()

    def _end_if_stalled(self) -> None:
        unsent = self._unsent()
        if unsent < self._unsent_bytes:
            self._unsent_bytes = unsent
            self._stall = self._loop.call_later(self._listener.stalled_s, self._end_if_stalled)
        elif self.transport is not None:
            _log.warning("http.stalled", unsent_bytes=unsent)
            self.transport.abort()

    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it holds the bytes of the request
    ) -> web.StreamResponse:
        """The answer to what could not be read. Raises ConnectionError where an answer has begun already."""
        _log.warning("http.malformed", status=status, kind=type(exc).__name__, address=request.remote or "")
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        response = self._listener.malformed(request, status)
        response.force_close()
        return response
