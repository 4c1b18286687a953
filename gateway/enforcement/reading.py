"""Reading what the ledger holds is on record, too."""

from __future__ import annotations

from gateway.domain.record import Durability, Record, RecordKind
from gateway.domain.request import Action
from gateway.enforcement.context import RequestContext
from gateway.ports import Ledger


class Readings:
    """Records that one of the gateway's own pages is shown. No decision stands behind that, so it has no decision id;
    `page` says which page it was."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def shown(self, context: RequestContext, page: str) -> None:
        """Before the answer leaves. Raises LedgerError: then nothing may be shown."""
        subject, client = context.subject, context.client
        record = Record(
            kind=RecordKind.DECISION,
            request_id=context.request_id,
            subject=subject.id,
            subject_kind=subject.kind.value,
            groups=tuple(sorted(subject.groups)),
            client=f"{client.name}/{client.version}" if client.name else "",
            address=context.address,
            action=Action.READ_METADATA.value,
            route="page",
            path=page,
            effect="allow",
            note="a page of the gateway was read",
        )
        await self._ledger.record(record, Durability.WRITTEN)
