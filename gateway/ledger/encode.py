"""Record -> the JSON bytes that a frame carries; the hot path of the ledger, so written out by hand.

Every record has `seq`, `synced` (the last seq on stable storage when this one was written), `time` (RFC 3339, UTC,
microseconds), `instance`, `worker`, `kind`. Other fields are left out where they are empty. `masked` lists the pointers
whose values a mask removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.domain.errors import ConfigError, LedgerError
from gateway.domain.record import Record

_UNMASKABLE = frozenset({"seq", "synced", "time", "instance", "worker", "kind", "masked"})


def timestamp(moment: datetime) -> str:
    """`2026-11-24T10:00:00.000000Z`: always with microseconds, so that text order is time order."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


class Encoder:
    """Encodes the records of one worker. Raises ConfigError for a mask that is no JSON pointer or hides the chain."""

    def __init__(self, instance: str, worker: int, masks: Sequence[str] = ()) -> None:
        self._fixed = f'"instance":"{instance}","worker":{worker},'
        self._masks = tuple((pointer, _steps(pointer)) for pointer in masks)

    def encode(self, record: Record, seq: int, synced: int, time: str) -> bytes:
        """The payload of one frame. Raises LedgerError where `record` holds what JSON cannot."""
        body = _body(record)
        if self._masks:
            removed = [pointer for pointer, steps in self._masks if _remove(body, steps)]
            if removed:
                body["masked"] = removed
        front = f'{{"seq":{seq},"synced":{synced},"time":"{time}",{self._fixed}'
        return front.encode() + _dumps(body)[1:]


def _body(r: Record) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": r.kind.value, "effect": r.effect}
    if r.request_id:
        body["request_id"] = r.request_id
    if r.decision_id:
        body["decision_id"] = r.decision_id
    if r.subject:
        body["subject"] = r.subject
        body["subject_kind"] = r.subject_kind
    if r.groups:
        body["groups"] = r.groups
    if r.client:
        body["client"] = r.client
    if r.address:
        body["address"] = r.address
    if r.action:
        body["action"] = r.action
    if r.route:
        body["route"] = r.route
    _add_artifact(body, r)
    if r.reasons:
        body["reasons"] = r.reasons
    if r.warnings:
        body["warnings"] = r.warnings
    if r.dryruns:
        body["dryruns"] = r.dryruns
    if r.waived:
        body["waived"] = r.waived
    _add_revisions(body, r)
    if r.remembered:
        body["remembered"] = True
    if r.span is not None:
        body["bytes_delivered"] = r.bytes_delivered
        body["span"] = r.span
    elif r.bytes_delivered:
        body["bytes_delivered"] = r.bytes_delivered
    if r.count != 1:
        body["count"] = r.count
    if r.note:
        body["note"] = r.note
    if r.extra:
        body["extra"] = r.extra
    return body


def _add_artifact(body: dict[str, Any], r: Record) -> None:
    if r.repo:
        body["repo"] = r.repo
    if r.ref:
        body["ref"] = r.ref
    if r.commit:
        body["commit"] = r.commit
    if r.path:
        body["path"] = r.path
    if r.digest:
        body["digest"] = r.digest
    if r.size_bytes:
        body["size_bytes"] = r.size_bytes


def _add_revisions(body: dict[str, Any], r: Record) -> None:
    if r.engine:
        body["engine"] = r.engine
    if r.policy_digest:
        body["policy_digest"] = r.policy_digest
    if r.data_digest:
        body["data_digest"] = r.data_digest
    if r.scanner_set:
        body["scanner_set"] = r.scanner_set
    if r.input_digest:
        body["input_digest"] = r.input_digest


def _dumps(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:
        # Lone surrogates (undecodable bytes of a hostile URL) are no JSON text; they are recorded in escaped form.
        try:
            return orjson.dumps(_escaped(body))
        except (TypeError, RecursionError) as error:
            raise LedgerError(
                f"The record cannot be written as JSON, so it is not recorded: {error}.", code="ledger/unencodable"
            ) from error


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value


def _steps(pointer: str) -> tuple[str, ...]:
    if not pointer.startswith("/"):
        raise ConfigError(f"The ledger mask {pointer!r} is no JSON pointer: it must begin with '/' (RFC 6901).")
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))
    if steps[0] in _UNMASKABLE:
        raise ConfigError(f"The ledger mask {pointer!r} would hide what the chain is read by; choose another field.")
    return steps


def _remove(body: dict[str, Any], steps: tuple[str, ...]) -> bool:
    """Remove what the pointer names, on copies: a record's own dicts may be shared with the answer being sent."""
    holder: Any = body
    for step in steps[:-1]:
        index = _index(holder, step)
        if index is None:
            return False
        child = holder[index]
        if isinstance(child, dict):
            child = dict(child)
        elif isinstance(child, list | tuple):
            child = list(child)
        else:
            return False
        holder[index] = child
        holder = child
    index = _index(holder, steps[-1])
    if index is None:
        return False
    if isinstance(holder, list):
        holder[index] = None  # keeps the places of the others
    else:
        del holder[index]
    return True


def _index(holder: Any, step: str) -> Any:
    if isinstance(holder, dict):
        return step if step in holder else None
    return int(step) if step.isascii() and step.isdigit() and int(step) < len(holder) else None
