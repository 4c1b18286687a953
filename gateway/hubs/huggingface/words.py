"""The words of a refusal or a warning: one printable ASCII line that fits into a header."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.domain.decision import Effect, Reason
from gateway.domain.explaining import UNEXPLAINED, Explaining
from gateway.domain.outcome import Denial

MAX_LINE_CHARS = 1000
_DENIAL_CHARS = MAX_LINE_CHARS - len("policy; ")  # it is a warning too, behind that topic
_SHARES = (1.0, 0.7, 0.5, 0.3)  # of what message, path and remedy may take, until the line is short enough

_TYPOGRAPHY = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "→": "->"})
_SPACE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_SEVERITIES = ("critical", "high", "medium", "low", "info")


def one_line(text: str, limit: int = MAX_LINE_CHARS) -> str:
    """Printable ASCII without line breaks, at most `limit` characters; what is not ASCII is shown as an escape."""
    flat = _SPACE.sub(" ", text.translate(_TYPOGRAPHY)).strip()
    line = flat.encode("ascii", "backslashreplace").decode("ascii")
    return line if len(line) <= limit else line[: limit - 3] + "..."


def denial_line(denial: Denial, path: str = "", explaining: Explaining = UNEXPLAINED, advice: str = "") -> str:
    """Reason, rule, file, decision id, next step and the link to the page that explains it, at its end.

    Each part is bounded, so that none pushes another out, and the link is whole or absent. `advice` is a sentence of
    the dialect's own.
    """
    line = ""
    for share in _SHARES:
        line = _denial(denial, path, explaining, advice, share)
        if len(line) <= _DENIAL_CHARS:
            break
    return one_line(line, _DENIAL_CHARS)


def _denial(denial: Denial, path: str, explaining: Explaining, advice: str, share: float) -> str:
    reasons = _by_weight(denial.reasons)
    verb = "QUARANTINED" if denial.effect is Effect.QUARANTINE else "BLOCKED"
    first = reasons[0] if reasons else Reason("", "", "", "")
    file = first.path or path if reasons else ""
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    message = f": {_sentence(first.message, int(300 * share))}" if reasons else ""
    rule = f"Rule {one_line(first.rule, 80)}{more}" if reasons else ""
    parts = [
        f"{verb} by gateway policy{message}",
        f"{rule}; file {one_line(file, int(160 * share))}" if file else rule,
        f"Decision {one_line(denial.decision_id, 64)}" if denial.decision_id else "",
        f"Next step: {_next_step(first.remedy, explaining.contact, int(280 * share))}",
        _sentence(advice, 200),
    ]
    line = ". ".join(part for part in parts if part) + "."
    return line + see(explaining.link(denial.decision_id, first.rule))


def _next_step(remedy: str, contact: str, limit: int) -> str:
    if not remedy:
        return f"ask {contact or 'the owners of this gateway'} and name the decision"
    return _sentence(remedy, limit) + (f". Contact: {contact}" if contact else "")


def see(link: str) -> str:
    """The words that bring a link to the end of a line; "" without one."""
    return f" See {link}" if link else ""


def warning_headers(
    warnings: Iterable[Reason], decision_id: str = "", explaining: Explaining = UNEXPLAINED
) -> tuple[tuple[str, str], ...]:
    """`X-HF-Warning: topic; text`, one per rule: clients (1.2 and later) print each topic once."""
    link = see(explaining.link(decision_id, ""))
    headers: dict[str, str] = {}
    for reason in _by_weight(warnings):
        topic = one_line(reason.rule, 80).replace(";", "")
        text = _sentence(reason.message, 300) + (f". {_sentence(reason.remedy, 280)}" if reason.remedy else "")
        headers.setdefault(topic, one_line(f"policy {topic}; {text}.", 700) + link)
    return tuple(("X-HF-Warning", value) for value in list(headers.values())[:8])


def is_identity_refusal(denial: Denial) -> bool:
    """Was the credential refused, before any hub was asked?"""
    return any(reason.rule.startswith("identity/") for reason in denial.reasons)


def _by_weight(reasons: Iterable[Reason]) -> list[Reason]:
    def weight(reason: Reason) -> int:
        return _SEVERITIES.index(reason.severity) if reason.severity in _SEVERITIES else 0

    return sorted(reasons, key=weight)


def _sentence(text: str, limit: int) -> str:
    return one_line(text, limit).rstrip(". ")
