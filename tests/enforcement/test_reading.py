"""A page that is read is on record before it is shown."""

import pytest

from gateway.domain.errors import LedgerError
from gateway.domain.record import Durability, RecordKind
from gateway.enforcement.reading import Readings
from tests.enforcement.whole import by
from tests.fakes.recording_ledger import RecordingLedger


async def test_who_read_which_page_is_on_record_under_no_decision():
    ledger = RecordingLedger()
    await Readings(ledger).shown(by(method="HEAD"), "/-/decisions/d-1")
    ((record, durability),) = ledger.entries
    assert (record.kind, record.effect, record.route, record.path) == (
        RecordKind.DECISION,
        "allow",
        "page",
        "/-/decisions/d-1",
    )
    assert (record.subject, record.address, record.client, record.action) == (
        "anonymous",
        "127.0.0.1",
        "probe/1",
        "read_metadata",
    )
    assert record.decision_id == ""
    assert durability is Durability.WRITTEN


async def test_what_cannot_be_recorded_is_not_shown():
    ledger = RecordingLedger()
    ledger.fail()
    with pytest.raises(LedgerError):
        await Readings(ledger).shown(by(), "/-/decisions/d-1")
