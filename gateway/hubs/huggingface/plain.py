"""Refusals for programs that are no client of the hub's API: git, git-lfs, and those that speak the `/v2/` registry.

They know no tombstone and no error code: a status that is never 401 (git and docker would ask for a password), and one
line of text in the body that each of them prints (hub-protocol §7.1, §7.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from gateway.domain.explaining import Explaining
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refusal, Refused
from gateway.hubs.huggingface.words import denial_line, one_line, see
from gateway.ports import Rendering

TEXT_TYPE = ("Content-Type", "text/plain; charset=utf-8")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plain:
    """A refusal as a status, one printable line, and the headers that say when to ask again."""

    status: int
    line: str
    headers: Headers = ()


def plainly(refusal: Refusal, explaining: Explaining, advice: str = "") -> Plain:
    """The refusal without any form of the hub's. `advice` is a sentence on what to do instead."""
    match refusal:
        case Denial():
            return Plain(403, denial_line(refusal, "", explaining))
        case Pending():
            wait_s = max(1, refusal.retry_after_s)
            line = f"Not yet: {refusal.message} ({refusal.code}). Try again in {wait_s} s."
            line += see(explaining.link(refusal.decision_id, refusal.code))
            # git-lfs 3.3 panics on a 429 that does not say when.
            waiting = (("Retry-After", str(wait_s)), ("RateLimit", f'"gateway";r=0;t={wait_s}'))
            return Plain(429, one_line(line), waiting)
        case Absence():
            return Plain(404, one_line(refusal.message))
        case Failure():
            line = f"The hub cannot be asked now: {refusal.message} ({refusal.code})."
            line += see(explaining.link("", refusal.code))
            return Plain(504 if refusal.timeout else 502, one_line(line))
        case Refused():
            line = f"{refusal.message} ({refusal.code})." + (f" Next step: {advice}" if advice else "")
            return Plain(refusal.status, one_line(line + see(explaining.link("", refusal.code))))
        case _:
            assert_never(refusal)


def text_answer(plain: Plain) -> Rendering:
    """One line of text; the header says the same, for HEAD."""
    headers = (*plain.headers, TEXT_TYPE, ("X-Error-Message", plain.line), ("X-Content-Type-Options", "nosniff"))
    return Rendering(plain.status, headers, f"{plain.line}\n".encode("ascii"))
