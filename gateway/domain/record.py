"""One entry of the ledger (design §8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class RecordKind(StrEnum):
    DECISION = "decision"
    DELIVERY = "delivery"
    REFUSAL = "refusal"  # refused without a policy decision: unknown route, write, identity, rate limit
    EVENT = "event"  # integrity, administration, start, gap


class Durability(StrEnum):
    """DURABLE: on stable storage before the answer. WRITTEN: in the kernel before the answer, flushed within 100 ms."""

    DURABLE = "durable"
    WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class Record:
    """What is written. `effect` is "allow", "deny", "quarantine", "pending", "refused" or "event".

    `reasons`, `warnings`, `dryruns`, `waived` hold plain dicts; `bytes_delivered` is set in deliveries;
    `span` is [start, end) of the delivered bytes. The ledger adds `time`, `seq` and the chain.
    """

    kind: RecordKind
    request_id: str
    decision_id: str = ""
    subject: str = ""
    subject_kind: str = ""
    groups: tuple[str, ...] = ()
    client: str = ""
    address: str = ""
    action: str = ""
    route: str = ""
    repo: str = ""
    ref: str = ""
    commit: str = ""
    path: str = ""
    digest: str = ""
    size_bytes: int = 0
    effect: str = ""
    reasons: tuple[dict[str, Any], ...] = ()
    warnings: tuple[dict[str, Any], ...] = ()
    dryruns: tuple[dict[str, Any], ...] = ()
    waived: tuple[dict[str, Any], ...] = ()
    engine: str = ""
    policy_digest: str = ""
    data_digest: str = ""
    scanner_set: str = ""
    input_digest: str = ""
    remembered: bool = False
    bytes_delivered: int = 0
    span: tuple[int, int] | None = None
    count: int = 1
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
