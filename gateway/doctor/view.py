"""The checks as a table for a person: aligned plain text, in colour on a terminal only."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from gateway.doctor.checks import Check, State

_COLOURS = {State.OK: "32", State.WARN: "33", State.FAIL: "31", State.UNKNOWN: "36"}
_NARROWEST = 60


def table(checks: Sequence[Check], *, width: int, colour: bool) -> str:
    """Columns state, check and words; what to set stands under the words, after an arrow. `width` in characters."""
    names = max((len(check.check) for check in checks), default=0)
    indent = 9 + names + 2
    room = max(width - indent, _NARROWEST)
    lines = []
    for check in checks:
        state = f"{check.state.value:<7}"
        shown = f"\033[{_COLOURS[check.state]}m{state}\033[0m" if colour else state
        first, *rest = _wrapped(check.found, room)
        lines.append(f"{shown}  {check.check:<{names}}  {first}")
        lines += [" " * indent + line for line in rest]
        if check.advice:
            first, *rest = _wrapped(check.advice, room - 3)
            lines.append(" " * indent + "-> " + first)
            lines += [" " * (indent + 3) + line for line in rest]
    return "\n".join([*lines, "", summary(checks)])


def summary(checks: Sequence[Check]) -> str:
    counts = Counter(check.state for check in checks)
    return ", ".join(f"{counts[state]} {state.value}" for state in State) + "."


def _wrapped(text: str, room: int) -> list[str]:
    """Lines of words; a command is never broken inside a word, so that it can be copied."""
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
