"""The words of a refusal or a warning: one printable ASCII line that fits into a header."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.domain.decision import Effect, Reason
from gateway.domain.outcome import Denial

MAX_LINE_CHARS = 1000

_TYPOGRAPHY = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "→": "->"})
_SPACE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_SEVERITIES = ("critical", "high", "medium", "low", "info")
_DEFAULT_REMEDY = "ask the owners of this gateway and name the decision"


def one_line(text: str, limit: int = MAX_LINE_CHARS) -> str:
    """Printable ASCII without line breaks, at most `limit` characters; what is not ASCII is shown as an escape."""
    flat = _SPACE.sub(" ", text.translate(_TYPOGRAPHY)).strip()
    line = flat.encode("ascii", "backslashreplace").decode("ascii")
    return line if len(line) <= limit else line[: limit - 3] + "..."


def denial_line(denial: Denial, path: str = "") -> str:
    """Reason, rule, file, decision id and next step; each part is bounded, so that none pushes another out."""
    reasons = _by_weight(denial.reasons)
    verb = "QUARANTINED" if denial.effect is Effect.QUARANTINE else "BLOCKED"
    if not reasons:
        parts = [f"{verb} by gateway policy", _decision(denial), f"Next step: {_DEFAULT_REMEDY}"]
        return ". ".join(part for part in parts if part) + "."
    first = reasons[0]
    file = first.path or path
    where = f" file {one_line(file, 160)}" if file else ""
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    parts = [
        f"{verb} by gateway policy: {_sentence(first.message, 300)}",
        f"Rule {one_line(first.rule, 80)}{more};{where}".rstrip(";")
        if where
        else f"Rule {one_line(first.rule, 80)}{more}",
        _decision(denial),
        f"Next step: {_sentence(first.remedy or _DEFAULT_REMEDY, 280)}",
    ]
    return one_line(". ".join(part for part in parts if part) + ".")


def warning_headers(warnings: Iterable[Reason]) -> tuple[tuple[str, str], ...]:
    """`X-HF-Warning: topic; text`, one per rule: clients (1.2 and later) print each topic once."""
    headers: dict[str, str] = {}
    for reason in _by_weight(warnings):
        topic = one_line(reason.rule, 80).replace(";", "")
        text = _sentence(reason.message, 300) + (f". {_sentence(reason.remedy, 280)}" if reason.remedy else "")
        headers.setdefault(topic, one_line(f"policy {topic}; {text}.", 700))
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


def _decision(denial: Denial) -> str:
    return f"Decision {one_line(denial.decision_id, 80)}" if denial.decision_id else ""
