"""What the doctor says: one Check per thing it looked at. No text of a stranger and no token gets out through it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MAX_FOUND_CHARS = 400
MAX_ADVICE_CHARS = 4000


class State(StrEnum):
    """`unknown`: it could not be looked at, which is not `ok`."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """`check` is `group/name`; `found` one sentence of what is there, `advice` one of what to set ("" for nothing)."""

    check: str
    state: State
    found: str
    advice: str = ""

    @property
    def group(self) -> str:
        return self.check.partition("/")[0]


def ok(check: str, found: str, advice: str = "") -> Check:
    return Check(check, State.OK, found, advice)


def warn(check: str, found: str, advice: str) -> Check:
    return Check(check, State.WARN, found, advice)


def fail(check: str, found: str, advice: str) -> Check:
    return Check(check, State.FAIL, found, advice)


def unknown(check: str, found: str, advice: str = "") -> Check:
    return Check(check, State.UNKNOWN, found, advice)


def plain(text: str, limit: int) -> str:
    """Printable characters only, at most `limit` of them: what a server or a file name says must not move a cursor."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in cut)


def made_safe(checks: Iterable[Check], secrets: Iterable[str]) -> list[Check]:
    """The checks with every known secret taken out, wherever a server may have put it, and made printable."""
    known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def clean(text: str, limit: int) -> str:
        for secret in known:
            text = text.replace(secret, "[redacted]")
        return plain(text, limit)

    return [Check(c.check, c.state, clean(c.found, MAX_FOUND_CHARS), clean(c.advice, MAX_ADVICE_CHARS)) for c in checks]
