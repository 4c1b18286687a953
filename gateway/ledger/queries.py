"""Questions to the ledger: filters, and everything that belongs to one decision or request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from gateway.domain.errors import LedgerError
from gateway.ledger.encode import timestamp
from gateway.ledger.index import LedgerIndex
from gateway.ledger.segments import read_payload

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for; "" matches everything. `repo` and `path` may hold `*`. Times are those of `parse_time`.

    `since` is included, `until` is not. `limit` keeps the newest; 0 keeps all.
    """

    since: str = ""
    until: str = ""
    subject: str = ""
    repo: str = ""
    path: str = ""
    effect: str = ""
    rule: str = ""
    kind: str = ""
    digest: str = ""
    decision_id: str = ""
    request_id: str = ""
    limit: int = 0


def parse_time(text: str, now: datetime) -> str:
    """An RFC 3339 time, a date, or an age like `90m`, `24h`, `7d` -> the form records carry. Raises LedgerError."""
    try:
        if match := _AGO.fullmatch(text):
            return timestamp(now - timedelta(**{_UNIT[match[2]]: int(match[1])}))
        moment = datetime.fromisoformat(text)
        return timestamp(moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo))
    except (ValueError, OverflowError):
        raise LedgerError(
            f"{text!r} is no time: use 2026-11-24T10:00:00Z, 2026-11-24 or an age like 90m, 24h, 7d.",
            code="ledger/time",
        ) from None


def find(index: LedgerIndex, wanted: Filter) -> Iterator[dict[str, Any]]:
    """Matching records, oldest first (of one time: by segment and place). Raises LedgerError (unreadable segment)."""
    clauses, values = _where(wanted)
    # Only fixed column names are put together here; every value is bound.
    sql = f"SELECT segment, offset FROM records{clauses} ORDER BY time DESC, segment DESC, offset DESC"  # noqa: S608
    if wanted.limit:
        sql += " LIMIT ?"
        values.append(wanted.limit)
    for segment, offset in reversed(index.connection.execute(sql, values).fetchall()):
        yield _load(index, segment, offset)


def explain(index: LedgerIndex, identifier: str) -> list[dict[str, Any]]:
    """All records of the decision or request `identifier`, and of the decisions that such a request or file stood on.

    Oldest first; empty where the ledger knows no such id.
    """
    if not identifier:  # an empty filter would match everything
        return []
    found = {_key(r): r for r in find(index, Filter(decision_id=identifier))}
    for record in find(index, Filter(request_id=identifier)):
        found[_key(record)] = record
        if decision_id := record.get("decision_id", ""):
            decisions = find(index, Filter(decision_id=decision_id, kind="decision"))
            found.update((_key(r), r) for r in decisions)
    behind = {r["extra"]["revision_decision"] for r in found.values() if r.get("extra", {}).get("revision_decision")}
    for decision_id in behind - {r.get("decision_id") for r in found.values()}:
        revisions = find(index, Filter(decision_id=decision_id, kind="decision"))
        found.update((_key(r), r) for r in revisions if not r.get("remembered"))
    return sorted(found.values(), key=lambda r: (r["time"], r["instance"], r["worker"], r["seq"]))


def _key(record: dict[str, Any]) -> tuple[str, int, int]:
    return record["instance"], record["worker"], record["seq"]


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    clauses: list[str] = []
    values: list[Any] = []

    def add(clause: str, value: str) -> None:
        if value:
            clauses.append(clause)
            values.append(value)

    add("time >= ?", wanted.since)
    add("time < ?", wanted.until)
    for name in ("subject", "effect", "kind", "digest", "decision_id", "request_id"):
        add(f"({name} = ? AND {name} != '')", getattr(wanted, name))
    for name in ("repo", "path"):
        value = getattr(wanted, name)
        if "*" in value:
            add(f"{name} GLOB ?", re.sub(r"[\[?]", r"[\g<0>]", value))
        else:
            add(f"{name} = ?", value)
    add("id IN (SELECT record FROM rules WHERE rule = ?)", wanted.rule)
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), values


def _load(index: LedgerIndex, segment: str, offset: int) -> dict[str, Any]:
    path = index.directory / segment
    try:
        body: dict[str, Any] = orjson.loads(read_payload(path, offset))
    except ValueError as error:
        raise LedgerError(
            f"The record at offset {offset} of {path} is no JSON any more; run `gateway audit verify`.",
            code="ledger/corrupt",
        ) from error
    return body
