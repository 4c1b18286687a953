"""The HTTP server under the door: what its parser refuses is answered in our words, recorded, and never echoed.

The parser's own error page repeats the offending bytes, and its log shows a trace with them: both may hold a token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

_log = structlog.get_logger("http")
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Malformed = Callable[[web.BaseRequest, int], web.Response]


class Listener(web.Server):
    """`handler` answers requests; `malformed` what is no request (400), or a handler that broke (500)."""

    def __init__(self, handler: Handler, malformed: Malformed) -> None:
        super().__init__(handler, access_log=None)
        self.malformed = malformed

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, access_log=None)


class _Connection(web.RequestHandler):
    """One connection; it is closed after the first malformed request, so that nothing hides behind one."""

    def __init__(self, listener: Listener, **options: object) -> None:
        super().__init__(listener, **options)  # type: ignore[arg-type]
        self._listener = listener

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
