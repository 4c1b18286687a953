"""From the raw bytes of a request target to text: decoded exactly once, nothing ambiguous left.

Rules: RFC 3986 percent-encoding over strict UTF-8 (Python's decoder refuses overlong forms and surrogates).
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from gateway.domain.errors import UnroutableRequest

MAX_TARGET_CHARS = 8192
MAX_QUERY_FIELDS = 2000

_TARGET = re.compile(r'/[!-"$-\[\]-~]*')  # printable ASCII without space, "#" and backslash
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]")
_UNSAFE_PARTS = frozenset({"", ".", ".."})


def check_target(raw_target: str) -> None:
    """Raises UnroutableRequest unless the target is in origin form, printable and of bounded length."""
    if len(raw_target) > MAX_TARGET_CHARS:
        raise UnroutableRequest(f"The request target is longer than {MAX_TARGET_CHARS} characters.")
    if raw_target.startswith("//") or not _TARGET.fullmatch(raw_target):
        raise UnroutableRequest("The request target is not a printable path that starts with one slash.")


def decode(raw: str, *, form: bool = False) -> str:
    """One component, percent-decoded once. `form` also reads "+" as a space.

    Raises UnroutableRequest for broken escapes, invalid UTF-8, control characters, backslashes, and for text that
    would decode a second time.
    """
    if form:
        raw = raw.replace("+", " ")
    if "%" not in raw:
        return _checked(raw)
    if _BROKEN_ESCAPE.search(raw):
        raise UnroutableRequest("The request holds a broken percent escape.")
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise UnroutableRequest("The request is not valid UTF-8.") from None
    if _ESCAPE.search(text):
        raise UnroutableRequest("The request is percent-encoded twice.")
    return _checked(text)


def check_path(path: str) -> str:
    """A decoded repo path, unchanged. Raises UnroutableRequest for empty, "." and ".." parts and unsafe characters."""
    _checked(path)
    if not _UNSAFE_PARTS.isdisjoint(path.split("/")):
        raise UnroutableRequest("A path holds an empty, `.` or `..` part.")
    return path


def is_routable_path(path: str) -> bool:
    """Can this path of a listing be asked for through the grammar?"""
    try:
        check_path(path)
        path.encode("utf-8")
    except (UnroutableRequest, UnicodeEncodeError):
        return False
    return not _ESCAPE.search(path)


def is_git_path(path: str) -> bool:
    """Can a git tree hold this path at all? Git has no empty, "." or ".." parts, whatever else a name may hold."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return _UNSAFE_PARTS.isdisjoint(path.split("/")) and "\x00" not in path


def decode_fields(raw: str) -> list[tuple[str, str]]:
    """The fields of a query or a form body, decoded, in order. Raises UnroutableRequest."""
    if not raw:
        return []
    fields = raw.split("&")
    if len(fields) > MAX_QUERY_FIELDS:
        raise UnroutableRequest(f"The request has more than {MAX_QUERY_FIELDS} fields.")
    pairs = (field.partition("=") for field in fields if field)
    return [(decode(name, form=True), decode(value, form=True)) for name, _, value in pairs]


def _checked(text: str) -> str:
    if _UNSAFE.search(text):
        raise UnroutableRequest("The request holds a control character or a backslash.")
    return text
