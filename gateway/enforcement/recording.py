"""Writes what was decided and what was delivered; nothing leaves before its record stands (P1, design §8)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from gateway.domain.artifact import Artifact
from gateway.domain.decision import Decision
from gateway.domain.evidence import ScanReport
from gateway.domain.outcome import Refusal
from gateway.domain.record import Durability, Record, RecordKind
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.background import Background
from gateway.enforcement.context import Granted, GrantedFile, RequestContext
from gateway.enforcement.folding import DeliveryFold, RefusalFold
from gateway.enforcement.record_parts import evidence, of_decision, of_hold, of_refusal
from gateway.enforcement.redacting import redacted
from gateway.ports import Ledger

DURABLE_DELIVERY_BYTES = 1024 * 1024
_TARGET_CHARS = 512


@dataclasses.dataclass(frozen=True, slots=True)
class GrantRecord:
    """The part of an allow's record that repeats of it share; fields as in `domain.record.Record`."""

    effect: str
    commit: str
    decision_id: str
    reasons: tuple[dict[str, Any], ...]
    warnings: tuple[dict[str, Any], ...]
    dryruns: tuple[dict[str, Any], ...]
    waived: tuple[dict[str, Any], ...]
    engine: str
    policy_digest: str
    data_digest: str
    input_digest: str
    repo: str = ""
    path: str = ""
    digest: str = ""
    size_bytes: int = 0


class Recording:
    """`scanner_set` names the scanners and versions whose reports the decisions stand on. `redact` takes secrets out of
    what a client asked for in vain: a token given as a revision or a path."""

    def __init__(self, ledger: Ledger, scanner_set: str, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self._ledger = ledger
        self._scanner_set = scanner_set
        self._fold = RefusalFold()
        self._ranges = DeliveryFold()
        self._background = Background()

    async def granted(
        self,
        context: RequestContext,
        request: HubRequest,
        granted: Granted,
        *,
        remembered: bool,
        reports: Sequence[ScanReport] = (),
        grant: GrantRecord | None = None,
        revision_decision: str = "",
    ) -> None:
        """Record an allow. Durable when it is the first, or when a delivery of more than 1 MiB starts.

        `grant` is `grant_of(granted)` where it is at hand: the hot path builds it once per remembered answer.
        `revision_decision`: the id of the one that a file's stands on.
        """
        grant = grant or grant_of(granted)
        subject = context.subject
        record = Record(
            kind=RecordKind.DECISION,
            request_id=context.request_id,
            decision_id=grant.decision_id,
            subject=subject.id,
            subject_kind=subject.kind.value,
            groups=tuple(sorted(subject.groups)),
            client=_client(context),
            address=context.address,
            action=request.action.value,
            route=request.kind.value,
            repo=grant.repo or str(request.repo),
            ref=request.ref,
            commit=grant.commit,
            path=grant.path or self._redact(request.path),
            digest=grant.digest,
            size_bytes=grant.size_bytes,
            effect=grant.effect,
            reasons=grant.reasons,
            warnings=grant.warnings,
            dryruns=grant.dryruns,
            waived=grant.waived,
            engine=grant.engine,
            policy_digest=grant.policy_digest,
            data_digest=grant.data_digest,
            scanner_set=self._scanner_set,
            input_digest=grant.input_digest,
            remembered=remembered,
            extra=evidence(reports, revision_decision),
        )
        lasting = not remembered or _lasts(context, request, granted)
        await self._ledger.record(record, Durability.DURABLE if lasting else Durability.WRITTEN)

    async def decided(self, context: RequestContext, request: HubRequest, decision: Decision, commit: str) -> None:
        """Record the decision on a revision behind that on one of its files, whose record comes next and is durable:
        so is this one then, being earlier in the same chain."""
        record = dataclasses.replace(
            self._base(context, request),
            kind=RecordKind.DECISION,
            path="",
            commit=commit,
            effect=decision.effect.value,
            note="of the revision",
            scanner_set=self._scanner_set,
            **of_decision(decision),
        )
        await self._ledger.record(record, Durability.WRITTEN)

    async def refused(
        self,
        context: RequestContext,
        request: HubRequest | None,
        refusal: Refusal,
        *,
        decision: Decision | None = None,
        reports: Sequence[ScanReport] = (),
        remembered: bool = False,
        note: str = "",
        revision_decision: str = "",
    ) -> None:
        """Record a refusal of any kind. Repeats of one by one subject are one record with a count per minute.

        A decision that is not on record yet (`remembered` tells) always gets its own, since it will be remembered.
        """
        extra = evidence(reports, revision_decision)
        if request is None or request.repo is None:
            extra = {**extra, "method": context.method, "target": context.target[:_TARGET_CHARS]}
        record = dataclasses.replace(self._base(context, request), note=note, remembered=remembered, extra=extra)
        if decision is not None:
            record = dataclasses.replace(record, **of_decision(decision))
        record = dataclasses.replace(record, scanner_set=self._scanner_set, **of_refusal(refusal))
        record = redacted(record, self._redact)
        is_first = decision is not None and not remembered
        if not self._fold.repeats(record) or is_first:
            await self._ledger.record(record, Durability.WRITTEN if remembered else Durability.DURABLE)
        await self.flush(everything=False)

    async def local(self, context: RequestContext, request: HubRequest) -> None:
        """Record an answer that the gateway gives by itself (who am I)."""
        record = dataclasses.replace(self._base(context, request), kind=RecordKind.DECISION, effect="allow")
        await self._ledger.record(dataclasses.replace(record, note="answered here"), Durability.WRITTEN)

    async def searched(self, context: RequestContext, request: HubRequest, *, shown: int, withheld: int) -> None:
        """Record a page of a search: what was asked for, and how many rows were shown and held back."""
        target = self._redact(context.target)[:_TARGET_CHARS]
        record = dataclasses.replace(
            self._base(context, request),
            kind=RecordKind.DECISION,
            effect="allow",
            note="a page of the hub's index",
            extra={"target": target, "rows": shown, "withheld": withheld},
        )
        await self._ledger.record(record, Durability.WRITTEN)

    async def flush(self, *, everything: bool = True) -> None:
        """Write what was gathered, repeats of refusals and ranges: those of past minutes, or all at the end."""
        records = (*self._fold.due(everything=everything), *self._ranges.due(everything=everything))
        if records:
            # They are counted nowhere else any more: a caller that is cancelled must not take them along.
            await asyncio.shield(self._background.spawn(self._write(records), "recording.flush"))
        if everything:
            await self._background.settled()

    async def _write(self, records: Sequence[Record]) -> None:
        for record in records:
            await self._ledger.record(record, Durability.WRITTEN)

    async def delivered(
        self,
        context: RequestContext,
        granted: GrantedFile,
        start: int,
        end: int,
        sent_bytes: int,
        note: str = "",
        *,
        is_verified: bool = True,
    ) -> None:
        """Record what left: `sent_bytes` of the span [start, end). `note` says how it ended early; `is_verified`: was
        the whole file verified when the last byte left?

        Ranges of one file are gathered into one record a minute; the record before each answer stands already.
        """
        record = Record(
            kind=RecordKind.DELIVERY,
            request_id=context.request_id,
            decision_id=granted.decision.id,
            subject=context.subject.id,
            subject_kind=context.subject.kind.value,
            address=context.address,
            repo=str(granted.artifact.repo),
            commit=granted.artifact.commit,
            path=granted.artifact.path,
            digest=f"sha256:{granted.sha256}",
            size_bytes=granted.artifact.entry.size_bytes,
            effect="allow",
            bytes_delivered=sent_bytes,
            span=(start, end),
            note=note,
            extra={} if is_verified else {"unverified": True},
        )
        if (start, end) == (0, record.size_bytes):
            await self._ledger.record(record, Durability.WRITTEN)
        else:
            self._ranges.add(record)

    async def held(self, context: RequestContext, request: HubRequest, artifact: Artifact, most_bytes: int) -> None:
        """Record durably that a client is held: the first `most_bytes` may leave before the decision (design §6.4)."""
        record = dataclasses.replace(
            self._base(context, request), span=(0, most_bytes), note="held", **of_hold(artifact, most_bytes)
        )
        await self._ledger.record(record, Durability.DURABLE)

    async def hold_cut(
        self, context: RequestContext, request: HubRequest, artifact: Artifact, sent_bytes: int, note: str
    ) -> None:
        """Record how a hold ended that no grant followed, and how many bytes had left."""
        record = dataclasses.replace(
            self._base(context, request),
            kind=RecordKind.DELIVERY,
            bytes_delivered=sent_bytes,
            span=(0, sent_bytes),
            note=f"hold cut: {note}",
            **of_hold(artifact, sent_bytes),
        )
        await self._ledger.record(record, Durability.WRITTEN)

    async def event(self, note: str, **extra: Any) -> None:
        """Record something that is no answer: an integrity event, a start, an administrative act."""
        await self._ledger.record(
            Record(kind=RecordKind.EVENT, request_id="", effect="event", note=note, extra=extra), Durability.DURABLE
        )

    def _base(self, context: RequestContext, request: HubRequest | None) -> Record:
        subject = context.subject
        return Record(
            kind=RecordKind.REFUSAL,
            request_id=context.request_id,
            subject=subject.id,
            subject_kind=subject.kind.value,
            groups=tuple(sorted(subject.groups)),
            client=_client(context),
            address=context.address,
            action=request.action.value if request is not None else "",
            route=request.kind.value if request is not None else "",
            repo=str(request.repo) if request is not None and request.repo is not None else "",
            ref=request.ref if request is not None else "",
            path=request.path if request is not None else "",
        )


def _lasts(context: RequestContext, request: HubRequest, granted: Granted) -> bool:
    """Is even a repeat durable? The start of a large delivery is, and an address that is handed out."""
    if request.kind is RequestKind.OBJECT and context.method == "POST":
        return True  # of an LFS batch
    size_bytes = granted.artifact.entry.size_bytes if isinstance(granted, GrantedFile) else 0
    return context.method == "GET" and size_bytes > DURABLE_DELIVERY_BYTES


def grant_of(granted: Granted) -> GrantRecord:
    """What every record of this grant has in common."""
    parts = of_decision(granted.decision)
    if isinstance(granted, GrantedFile):
        entry = granted.artifact.entry
        return GrantRecord(
            effect=granted.decision.effect.value,
            repo=str(granted.artifact.repo),
            commit=granted.artifact.commit,
            path=entry.path,
            digest=f"sha256:{granted.sha256}",
            size_bytes=entry.size_bytes,
            **parts,
        )
    return GrantRecord(effect=granted.decision.effect.value, commit=granted.snapshot.revision.commit, **parts)


def _client(context: RequestContext) -> str:
    return f"{context.client.name}/{context.client.version}".strip("/")
