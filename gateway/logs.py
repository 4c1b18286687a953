"""Logs: structlog, one JSON object per line (or a console form), secrets redacted, lines gathered into few writes."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any, BinaryIO

import orjson
import structlog

from gateway.identity.redaction import redact_event

_GATHER_S = 0.05


class GatheredLines:
    """A binary stream that collects lines for 50 ms while a loop runs, so that the reader is woken once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self._scheduled = False

    def write(self, data: bytes) -> int:
        self._lines.append(data)
        return len(data)

    def flush(self) -> None:
        """Called after each line by structlog: schedules one write, or writes at once where no loop runs."""
        if self._scheduled:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.drain()
            return
        self._scheduled = True
        loop.call_later(_GATHER_S, self.drain)

    def drain(self) -> None:
        """Write everything collected."""
        self._scheduled = False
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write(b"".join(lines))
            self._stream.flush()


def configure(level: str, form: str) -> GatheredLines:
    """Set up logging for the process; returns the stream, to be drained at the end."""
    lines = GatheredLines(sys.stderr.buffer)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact_event,
    ]
    minimum = structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()])
    if form == "json":
        structlog.configure(
            processors=[*shared, structlog.processors.JSONRenderer(serializer=_dumps)],
            wrapper_class=minimum,
            logger_factory=structlog.BytesLoggerFactory(lines),  # type: ignore[arg-type]
            cache_logger_on_first_use=False,
        )
    else:
        structlog.configure(
            processors=[*shared, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())],
            wrapper_class=minimum,
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
            cache_logger_on_first_use=False,
        )
    library = _Libraries(logging.WARNING)
    logging.basicConfig(handlers=[library], level=logging.WARNING, force=True)
    return lines


class _Libraries(logging.Handler):
    """Takes what libraries log by the standard module, so that it keeps the same form and loses its secrets."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        method = log.error if record.levelno >= logging.ERROR else log.warning
        method("library", logger=record.name, message=record.getMessage(), exc_info=record.exc_info)


def _dumps(event: Any, **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=str)
    except TypeError:  # numbers over 64 bits, keys that are no text, lone surrogates: rarely, so slowly
        return json.dumps(event, default=str, skipkeys=False).encode("ascii")
