"""What the ledger holds of one decision, as one object: for the page and for its JSON (docs/json.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.subject import Subject

Record = Mapping[str, Any]

_ANSWERS_TOLD = 40
_GRAVITY = ("deny", "quarantine", "allow")
_ASKED = ("action", "route", "repo", "ref", "commit", "path", "digest", "size_bytes")
_DECIDED_BY = ("engine", "policy_digest", "data_digest", "scanner_set", "input_digest")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who reads: everybody their own decisions, members of a review group all."""

    subject: Subject
    is_reviewer: bool

    @classmethod
    def of(cls, subject: Subject, review_groups: frozenset[str]) -> Viewer:
        return cls(subject, not subject.groups.isdisjoint(review_groups))

    def may_read(self, record: Record) -> bool:
        """Kind and id: no two kinds of subject share a decision."""
        is_own = (record.get("subject"), record.get("subject_kind")) == (self.subject.id, self.subject.kind.value)
        return is_own or self.is_reviewer


def facts_of(decision_id: str, records: Sequence[Record], viewer: Viewer) -> dict[str, Any] | None:
    """The decision as `viewer` may know it; None where there is none, which must look the same.

    `records` are all of this one decision, oldest first. Everything in them that a client or a publisher chose is
    hostile text. Where from and with what program it was asked is told to reviewers alone: an anonymous subject is
    many people. So are the rules in mode `dryrun`, which are for the ledger only.
    """
    known = [record for record in records if viewer.may_read(record)]
    if not known:
        return None
    first = next((record for record in known if not record.get("remembered")), known[0])
    answers = _answers(known, viewer)
    return {
        "id": decision_id,
        "effect": min((answer["effect"] for answer in answers), key=_gravity),
        "time": first["time"],
        "subject": {
            "id": first.get("subject", ""),
            "kind": first.get("subject_kind", ""),
            "groups": list(first.get("groups", ())),
        },
        "answers": answers[:_ANSWERS_TOLD],
        "warnings": _merged(known, "warnings"),
        "waived": [w for w in _merged(known, "waived") if isinstance(w.get("reason"), Mapping)],
        "dryruns": _merged(known, "dryruns") if viewer.is_reviewer else [],
        "reports": next((reports for r in known if (reports := _objects(_extra(r), "reports"))), []),
        "revision_decision": str(_extra(first).get("revision_decision", "")),
        **{name: first.get(name, "") for name in _DECIDED_BY},
        "masked": sorted({pointer for record in known for pointer in record.get("masked", ())}),
    }


def rules_of(facts: Mapping[str, Any]) -> list[str]:
    """The rules that the decision names, each once, in the order of the page."""
    reasons = [reason for answer in facts["answers"] for reason in answer["reasons"]]
    reasons += [*facts["warnings"], *(waived["reason"] for waived in facts["waived"]), *facts["dryruns"]]
    return list(dict.fromkeys(str(reason.get("rule", "")) for reason in reasons))


def _answers(records: Sequence[Record], viewer: Viewer) -> list[dict[str, Any]]:
    """What was answered under this decision: equal answers once, refusals first, then the latest first.

    One decision about a revision refuses some of its files and allows others, so its answers differ.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for record in records:
        reasons = _objects(record, "reasons")
        key = (
            str(record.get("effect", "")),
            *(str(record.get(name, "")) for name in ("repo", "ref", "path")),
            ",".join(str(reason.get("rule", "")) for reason in reasons),
        )
        answer = found.setdefault(
            key,
            {
                "effect": record.get("effect", ""),
                **{name: record.get(name, 0 if name == "size_bytes" else "") for name in _ASKED},
                "reasons": reasons,
                "first_time": record["time"],
                "count": 0,
                "from": [],
            },
        )
        answer["last_time"] = record["time"]
        answer["count"] += int(record.get("count", 1))
        asker = " ".join(str(record[name]) for name in ("address", "client") if record.get(name))
        if viewer.is_reviewer and asker and asker not in answer["from"] and len(answer["from"]) < 8:
            answer["from"].append(asker)
    latest_first = sorted(found.values(), key=lambda answer: str(answer["last_time"]), reverse=True)
    return sorted(latest_first, key=lambda answer: _gravity(str(answer["effect"])))


def _gravity(effect: str) -> int:
    return _GRAVITY.index(effect) if effect in _GRAVITY else 0


def _merged(records: Sequence[Record], name: str) -> list[Record]:
    """The values of a list that every record of the decision has, each once."""
    merged: list[Record] = []
    for record in records:
        merged += [value for value in _objects(record, name) if value not in merged]
    return merged


def _objects(holder: Record, name: str) -> list[Record]:
    """The objects of a list; a mask (rego/system/log.rego) may have taken some of them, or all."""
    values = holder.get(name)
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list | tuple) else []


def _extra(record: Record) -> Record:
    extra = record.get("extra")
    return extra if isinstance(extra, Mapping) else {}
