"""What is written of each answer, and how durably (P1, P8, design §8)."""

import pytest

from gateway.domain.artifact import Artifact, FileEntry
from gateway.domain.decision import Decision, DecisionScope, Effect, Reason
from gateway.domain.errors import LedgerError
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refused
from gateway.domain.record import Durability, RecordKind
from gateway.domain.subject import Subject, SubjectKind
from gateway.enforcement.context import GrantedFile
from gateway.enforcement.recording import DURABLE_DELIVERY_BYTES, Recording
from tests.enforcement.whole import by, file, model
from tests.fakes.recording_ledger import RecordingLedger

COMMIT, SHA = "c" * 40, "a" * 64
ASKED = file("org/model", "model.bin")


@pytest.fixture
def ledger():
    return RecordingLedger()


@pytest.fixture
def recording(ledger):
    return Recording(ledger, "own@1")


def granted(size=10):
    entry = FileEntry("model.bin", size, "b" * 40, SHA)
    decision = Decision(
        Effect.ALLOW, DecisionScope.FILE, id="d-1", policy_digest="sha256:p", input_digest="sha256:i",
        warnings=(Reason("age/missing", "low", "w", "r"),), dryruns=(Reason("license/other", "low", "d", "r"),),
    )  # fmt: skip
    return GrantedFile(Artifact(model("org/model"), COMMIT, entry), decision, SHA, "anonymous")


@pytest.mark.parametrize(
    ("size", "method", "remembered", "durability"),
    [
        (10, "GET", False, Durability.DURABLE),
        (10, "HEAD", False, Durability.DURABLE),
        (10, "GET", True, Durability.WRITTEN),
        (DURABLE_DELIVERY_BYTES, "GET", True, Durability.WRITTEN),
        (DURABLE_DELIVERY_BYTES + 1, "GET", True, Durability.DURABLE),
        (DURABLE_DELIVERY_BYTES + 1, "HEAD", True, Durability.WRITTEN),
    ],
)
async def test_a_first_decision_and_a_large_delivery_are_durable(
    size, method, remembered, durability, ledger, recording
):
    await recording.granted(by(method=method), ASKED, granted(size), remembered=remembered)
    ((record, how),) = ledger.entries
    assert how is durability
    assert (record.kind, record.effect, record.digest, record.commit) == (
        RecordKind.DECISION,
        "allow",
        f"sha256:{SHA}",
        COMMIT,
    )
    assert {w["rule"] for w in record.warnings} == {"age/missing"}
    assert {w["rule"] for w in record.dryruns} == {"license/other"}
    assert record.scanner_set == "own@1"


REASON = Reason("scan/code-exec", "critical", "why", "next")
REFUSALS = [
    (Denial(Effect.DENY, DecisionScope.REPO, (REASON,), "d-2"), "deny", "scan/code-exec"),
    (Denial(Effect.QUARANTINE, DecisionScope.FILE, (REASON,), "d-2"), "quarantine", "scan/code-exec"),
    (Pending("pdp/timeout", "m", 5), "pending", "pdp/timeout"),
    (Absence("entry", "m"), "refused", "upstream/entry-not-found"),
    (Failure("upstream/unavailable", "m"), "refused", "upstream/unavailable"),
    (Refused(403, "route/read-only", "m"), "refused", "route/read-only"),
]


@pytest.mark.parametrize(("refusal", "effect", "rule"), REFUSALS)
async def test_every_refusal_is_durable_at_first_and_counted_then(refusal, effect, rule, ledger, recording):
    for _ in range(5):
        await recording.refused(by(), ASKED, refusal)
    ((record, how),) = ledger.entries
    assert how is Durability.DURABLE
    assert record.effect == effect
    assert [reason["rule"] for reason in record.reasons] == [rule]
    await recording.flush()
    assert ledger.records[-1].count == 4
    assert len(ledger.entries) == 2


async def test_another_subject_file_or_reason_is_no_repeat(ledger, recording):
    denial = REFUSALS[0][0]
    other = Denial(Effect.DENY, DecisionScope.REPO, (Reason("license/denied", "high", "w", "n"),), "d-3")
    await recording.refused(by(), ASKED, denial)
    await recording.refused(by(Subject("user:ada", SubjectKind.USER)), ASKED, denial)
    await recording.refused(by(), file("org/model", "other.bin"), denial)
    await recording.refused(by(), file("org/model", "model.bin", "dev"), denial)
    await recording.refused(by(), ASKED, other)
    assert len(ledger.entries) == 5


async def test_a_request_without_a_repo_is_recorded_by_its_target(ledger, recording):
    await recording.refused(by(), None, Refused(404, "route/unknown", "m"))
    assert ledger.records[0].extra["target"] == "/target"
    assert ledger.records[0].extra["method"] == "GET"


async def test_the_revisions_decision_is_one_record_without_a_path(ledger, recording):
    await recording.decided(by(), ASKED, granted().decision, COMMIT)
    (record,) = ledger.records
    assert (record.path, record.commit, record.decision_id, record.note) == ("", COMMIT, "d-1", "of the revision")


async def test_a_ledger_that_fails_stops_every_kind_of_record(ledger, recording):
    ledger.fail()
    for write in (
        recording.granted(by(), ASKED, granted(), remembered=True),
        recording.refused(by(), ASKED, REFUSALS[0][0]),
        recording.local(by(), ASKED),
        recording.event("note"),
        recording.decided(by(), ASKED, granted().decision, COMMIT),
    ):
        with pytest.raises(LedgerError):
            await write
