"""The engine's answer -> Decision. Anything but exactly the contract's shape is pdp/malformed, never an allow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from gateway.domain.decision import (
    Decision,
    DecisionScope,
    Effect,
    FileEffect,
    Obligation,
    Reason,
    WaivedReason,
)
from gateway.domain.errors import PolicyError
from gateway.domain.evidence import Severity

_T = TypeVar("_T")

_DECISION_KEYS = frozenset(
    {"effect", "scope", "files", "reasons", "warnings", "dryruns", "waived", "obligations", "valid_until"}
)
_REASON_KEYS = ("rule", "severity", "message", "remedy", "path", "evidence")
_SEVERITIES = {severity.value: rank for rank, severity in enumerate(Severity)}

MAX_REASONS = 20_000
MAX_WORDS = 4_000
MAX_PATH = 1_000_000  # a path is the stranger's, and as long as the question let it be


def _is_paths(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


# Every obligation that the gateway can fulfil, with the shape of its value. Another kind = no decision.
OBLIGATIONS: Mapping[str, Callable[[Any], bool]] = {
    "hide_paths": _is_paths,
    "warn": lambda value: isinstance(value, str) and value != "",
    "max_age_s": _is_seconds,
    "notify": lambda value: (isinstance(value, str) and value != "") or _is_paths(value),
    "serve_last_approved": lambda value: value is None or isinstance(value, bool),
}


def parse(value: Any, question: Mapping[str, Any]) -> Decision:
    """A decision as JSON objects, and the input document it answers -> Decision, the most severe reason first.

    Raises PolicyError pdp/malformed with the pointer of the first mistake.
    """
    document = _object(value, _DECISION_KEYS, "decision")
    scope = _word(document["scope"], DecisionScope, "scope")
    effect = _word(document["effect"], Effect, "effect")
    decision = Decision(
        effect=effect,
        scope=scope,
        reasons=_reasons(document["reasons"], "reasons"),
        warnings=_reasons(document["warnings"], "warnings"),
        dryruns=_reasons(document["dryruns"], "dryruns"),
        waived=_waived(document["waived"]),
        obligations=_obligations(document["obligations"]),
        files=_files(document["files"]),
        valid_until=_moment(document["valid_until"]),
    )
    _agree(decision, question)
    return decision


def _agree(decision: Decision, question: Mapping[str, Any]) -> None:
    """The parts must not contradict each other or the question."""
    allowed = decision.effect is Effect.ALLOW
    if question.get("scope") == "file":
        if decision.files:
            raise _malformed("files", "names files in scope file")
        if allowed and decision.reasons:
            raise _malformed("reasons", "refuses what effect allows")
        return
    asked = _asked(question)
    unknown = decision.files.keys() - asked
    if unknown:
        raise _malformed("files", f"names {min(unknown)!r}, which the question does not hold")
    if not allowed:
        return
    missing = asked - decision.files.keys()
    if missing:
        raise _malformed("files", f"says nothing of {min(missing)!r}")
    for reason in decision.reasons:
        # A file that the question does not list (a hub's verdict on it stands in another batch) is not allowed here.
        unlisted = reason.path != "" and reason.path not in asked
        if not unlisted and decision.files.get(reason.path) not in {FileEffect.DENY, FileEffect.HIDE}:
            raise _malformed("reasons", f"{reason.rule} refuses {reason.path or 'the revision'!r}, which effect allows")


def _asked(question: Mapping[str, Any]) -> set[str]:
    """The paths in a question; of one that lacks its parts (the policy refuses it) those that are there."""
    revision = question.get("revision")
    files = revision.get("files") if isinstance(revision, dict) else None
    entries = [f for f in files if isinstance(f, dict)] if isinstance(files, list) else []
    return {path for f in entries if isinstance(path := f.get("path"), str)}


def _malformed(where: str, what: str) -> PolicyError:
    return PolicyError(f"the policy's answer is not a decision: {where} {what}", code="pdp/malformed")


def _object(value: Any, keys: frozenset[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(where, f"is {_kind(value)}, not an object")
    if value.keys() != keys:
        missing, extra = sorted(keys - value.keys()), sorted(value.keys() - keys)
        raise _malformed(where, f"lacks {missing}" if missing else f"has the unknown keys {extra}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _malformed(where, f"is {_kind(value)}, not a set or array")
    if len(value) > MAX_REASONS:
        raise _malformed(where, f"has {len(value)} entries; {MAX_REASONS} are the most")
    return value


def _text(value: Any, where: str, *, empty: bool = False, most: int = MAX_WORDS) -> str:
    if not isinstance(value, str):
        raise _malformed(where, f"is {_kind(value)}, not a string")
    if not value and not empty:
        raise _malformed(where, "is empty")
    if len(value) > most:
        raise _malformed(where, f"has {len(value)} characters; {most} are the most")
    return value


def _word(value: Any, words: Callable[[str], _T], where: str) -> _T:
    text = _text(value, where)
    try:
        return words(text)
    except ValueError:
        raise _malformed(where, f"is the unknown word {text[:40]!r}") from None


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "an array" if isinstance(value, list) else "an object")


def _reason(value: Any, where: str) -> Reason:
    fields = _object(value, frozenset(_REASON_KEYS), where)
    texts = {k: _text(fields[k], f"{where}.{k}", empty=k == "evidence") for k in _REASON_KEYS if k != "path"}
    texts["path"] = _text(fields["path"], f"{where}.path", empty=True, most=MAX_PATH)
    if texts["severity"] not in _SEVERITIES:
        raise _malformed(f"{where}.severity", f"is the unknown word {texts['severity'][:40]!r}")
    if "/" not in texts["rule"]:
        raise _malformed(f"{where}.rule", "is not category/rule-name")
    return Reason(**texts)


def _order(reason: Reason) -> tuple[Any, ...]:
    return (_SEVERITIES[reason.severity], reason.rule, reason.path, reason.message, reason.remedy, reason.evidence)


def _reasons(value: Any, where: str) -> tuple[Reason, ...]:
    items = [_reason(item, f"{where}[{i}]") for i, item in enumerate(_list(value, where))]
    return tuple(sorted(items, key=_order))


def _waived(value: Any) -> tuple[WaivedReason, ...]:
    items = []
    for i, item in enumerate(_list(value, "waived")):
        fields = _object(item, frozenset({"reason", "waiver"}), f"waived[{i}]")
        reason = _reason(fields["reason"], f"waived[{i}].reason")
        items.append(WaivedReason(reason, _text(fields["waiver"], f"waived[{i}].waiver")))
    return tuple(sorted(items, key=lambda item: (*_order(item.reason), item.waiver)))


def _obligations(value: Any) -> tuple[Obligation, ...]:
    items = []
    for i, item in enumerate(_list(value, "obligations")):
        where = f"obligations[{i}]"
        fields = _object(item, frozenset({"kind", "value"}), where)
        kind = _text(fields["kind"], f"{where}.kind")
        shape = OBLIGATIONS.get(kind)
        if shape is None:
            raise _malformed(where, f"is of the unknown kind {kind[:40]!r}")
        if not shape(fields["value"]):
            raise _malformed(f"{where}.value", f"does not fit the kind {kind}")
        items.append(Obligation(kind, fields["value"]))
    return tuple(sorted(items, key=lambda item: (item.kind, json.dumps(item.value, sort_keys=True))))


def _files(value: Any) -> dict[str, FileEffect]:
    if not isinstance(value, dict):
        raise _malformed("files", f"is {_kind(value)}, not an object")
    return {path: _word(effect, FileEffect, f"files[{path[:80]!r}]") for path, effect in sorted(value.items())}


def _moment(value: Any) -> datetime | None:
    text = _text(value, "valid_until", empty=True)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    # fromisoformat reads more than RFC 3339: a bare date or a local time would name another instant per machine.
    if moment is None or moment.tzinfo is None or "T" not in text:
        raise _malformed("valid_until", f"is {text[:40]!r}, not an RFC 3339 time with its zone")
    return moment
