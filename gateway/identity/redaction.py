"""Takes secrets out of text before it reaches a log, an error or a record. Over-eager by choice."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"
_MAX_DEPTH = 8
_KEYS_REMEMBERED = 1024

_SECRETS = re.compile(
    r"""
    (?P<keep>\b(?:bearer|basic)(?:\s+|%20|\+)) (?!\[redacted\]) [^\s"',;<>]+      # Authorization values
  | (?P<param>(?:[?&;]|%26|&amp;)                                                 # signed URL parameters
      (?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|policy|key-pair-id|sig|sv|se|skoid
        |(?:access_|id_|refresh_)?token|api_?key|apikey|awsaccesskeyid|code|secret|password)
      (?:=|%3D)) [^&\s"'<>;\#]+
  | (?P<user>\b[a-z][a-z0-9+.-]*://) [^\s/@"'<>]+ @                               # user:password@ in a URL
  | (?:hf|api_org)_[a-z0-9]{10,} | hf_(?:oauth|jwt|app)_[a-z0-9._-]+              # public-hub tokens
  | mgw_[a-z0-9_-]{6,}                                                            # gateway tokens
  | eyJ[a-z0-9_-]{5,}\.[a-z0-9_-]+(?:\.[a-z0-9_-]*){0,3}                          # JSON Web Tokens
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SECRET_KEYS = re.compile(
    r"(?:^|[_.-])(?:authorization|cookie|password|passwd|secret|token|credential|api[_-]?key|signature)s?$",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with every secret-looking part replaced. Idempotent."""
    if text.isascii() and not _is_suspect(text.lower()):
        return text
    return _SECRETS.sub(_replacement, text)


def _is_suspect(lower: str) -> bool:
    """Each way to match `_SECRETS` holds one of these, so that ordinary ASCII text need not be searched by the pattern.

    Written out, because this runs for every value of every log line.
    """
    return (
        "=" in lower
        or "@" in lower
        or "%3d" in lower
        or "hf_" in lower
        or "mgw_" in lower
        or "eyj" in lower
        or "basic" in lower
        or "bearer" in lower
        or "api_org_" in lower
    )


def _replacement(match: re.Match[str]) -> str:
    kept = match["keep"] or match["param"] or match["user"] or ""
    return f"{kept}{REDACTED}{'@' if match['user'] else ''}"


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: place it after the one that renders exceptions. Changes nothing but strings."""
    for key, value in event.items():
        event[key] = REDACTED if _is_secret(key, value) else _cleaned(value, 0)
    return event


def _is_secret(key: object, value: object) -> bool:
    return isinstance(key, str) and isinstance(value, str | bytes) and _names_secret(key) and bool(value)


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _names_secret(key: str) -> bool:
    return _SECRET_KEYS.search(key) is not None


def _cleaned(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _MAX_DEPTH:
        return REDACTED
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, Mapping):
        return {
            (redact(key) if isinstance(key, str) else key): (
                REDACTED if _is_secret(key, item) else _cleaned(item, depth + 1)
            )
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(item, depth + 1) for item in value]
    if isinstance(value, BaseException):
        return redact(f"{type(value).__name__}: {value}")
    return redact(str(value))
