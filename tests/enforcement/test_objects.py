"""Batches: what is granted, what is refused, and when the whole batch has to be asked for again."""

import asyncio

import pytest

from gateway.domain.artifact import Artifact, FileEntry, RefKind, Repo, RepoType
from gateway.domain.decision import Decision, DecisionScope, Effect, Reason
from gateway.domain.errors import LedgerError
from gateway.domain.evidence import FileFacts, Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.domain.outcome import Absence, Denial, Pending, Refused
from gateway.domain.record import Durability
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.context import GrantedBatch, GrantedFile, GrantedListing
from gateway.enforcement.objects import AT_ONCE, Objects
from gateway.enforcement.recording import Recording
from tests.enforcement.whole import by
from tests.fakes.recording_ledger import RecordingLedger

REPO = Repo("huggingface", RepoType.MODEL, "org/name")
COMMIT = "c" * 40
ALLOW = Decision(Effect.ALLOW, DecisionScope.REVISION, id="d-1")
DENIAL = Denial(Effect.DENY, DecisionScope.FILE, (Reason("scan/code-exec", "critical", "x", "y"),), "d-2")
DOWN = Pending("pdp/unavailable", "the engine is down", 5)
SLOW = Pending("scan/under-way", "being judged", 5, commit=COMMIT)


def entry(path, number):
    return FileEntry(path, number, "e" * 40, f"{number:064x}")


class ScriptedAdmission:
    """Answers by path ("" for the revision, by its ref); counts what is asked at once."""

    def __init__(self, answers, entries, refs=("", COMMIT)):
        self.answers, self.refs, self.asked = answers, refs, []
        self.running = self.most = 0
        facts = RevisionFacts(
            COMMIT, "", RefKind.BRANCH, Reachable.YES, "", tuple(FileFacts(e, "unknown") for e in entries)
        )
        self.entries = {e.path: e for e in entries}
        self.listing = GrantedListing(Snapshot(RepoFacts(REPO, "k", "org"), facts), ALLOW)

    async def admit(self, context, request):
        self.asked.append(request)
        assert request.kind is RequestKind.OBJECT
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        if not request.path:
            return self.listing if request.ref in self.refs else Absence("revision", "no such revision")
        assert request.ref == COMMIT
        assert context.patience_s is not None
        answer = self.answers.get(request.path)
        return answer or GrantedFile(Artifact(REPO, COMMIT, self.entries[request.path]), ALLOW, "s", "anonymous")


async def batch(answers, entries, wanted=None, **query):
    """The answer, and the scripted admission."""
    refs = query.pop("refs", ("", COMMIT))
    admission = ScriptedAdmission(answers, entries, refs)
    objects = wanted or tuple(f"{e.sha256}:{e.size_bytes}" for e in entries)
    request = HubRequest(RequestKind.LFS_BATCH, REPO, query={"operation": ("download",), "objects": objects, **query})
    ledger = RecordingLedger()
    result = await Objects(admission, Recording(ledger, "s")).admit(by(method="POST"), request)
    return result, admission, ledger


A, B, C = entry("a.bin", 1), entry("b.bin", 2), entry("c.bin", 3)


async def test_each_object_has_its_own_answer_in_the_order_asked():
    result, _, _ = await batch({"b.bin": DENIAL}, [A, B, C])
    assert isinstance(result, GrantedBatch)
    assert [judged.sha256 for judged in result.objects] == [A.sha256, B.sha256, C.sha256]
    assert [judged.artifact and judged.artifact.path for judged in result.objects] == ["a.bin", None, "c.bin"]
    assert result.objects[1].refusal is DENIAL


async def test_a_digest_with_several_names_is_had_by_the_first_that_is_allowed():
    twins = [FileEntry(path, 1, "e" * 40, A.sha256) for path in ("x.bin", "y.bin", "z.bin")]
    result, _, _ = await batch({"x.bin": DENIAL}, twins, (f"{A.sha256}:1",))
    assert result.objects[0].artifact.path == "y.bin"
    result, _, _ = await batch({"x.bin": DENIAL, "y.bin": DOWN, "z.bin": DENIAL}, twins, (f"{A.sha256}:1",))
    assert result.objects[0].refusal is DENIAL


async def test_what_the_revision_does_not_list_is_asked_of_nobody():
    result, admission, _ = await batch({}, [A], (f"{'f' * 64}:1", f"{A.sha256}:2"))
    assert [judged.refusal.what for judged in result.objects] == ["entry", "entry"]
    assert [request.path for request in admission.asked] == [""]


async def test_a_scan_under_way_holds_the_whole_batch_because_git_lfs_asks_again_only_for_that():
    result, _, _ = await batch({"b.bin": SLOW}, [A, B])
    assert isinstance(result, Pending)
    assert (result.code, result.commit) == ("scan/under-way", "")


async def test_our_own_outage_does_not_hold_what_is_granted():
    result, _, _ = await batch({"b.bin": DOWN}, [A, B])
    assert result.objects[0].artifact is not None
    assert result.objects[1].refusal is DOWN
    result, _, _ = await batch({"a.bin": DOWN, "b.bin": DOWN}, [A, B])
    assert result is DOWN


async def test_a_branch_that_the_hub_does_not_have_is_the_default_branch():
    result, admission, _ = await batch({}, [A], ref=("mine",))
    assert result.objects[0].artifact is not None
    assert [request.ref for request in admission.asked] == ["mine", "", COMMIT]
    result, _, _ = await batch({}, [A], refs=())
    assert isinstance(result, Absence)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"fault": ("The batch is not valid JSON.",)}, 400, "route/malformed"),
        ({"operation": ("upload",)}, 403, "route/read-only"),
    ],
)
async def test_what_is_refused_at_sight_is_on_record_and_asks_nobody(query, status, code):
    result, admission, ledger = await batch({}, [A], **query)
    assert isinstance(result, Refused)
    assert (result.status, result.code) == (status, code)
    assert admission.asked == []
    assert len(ledger.records) == 1


async def test_a_large_batch_is_judged_a_few_at_a_time():
    _, admission, _ = await batch({}, [entry(f"{n}.bin", n) for n in range(1, 500)])
    assert 1 < admission.most <= AT_ONCE


@pytest.mark.parametrize(
    ("kind", "method", "durability"),
    [
        (RequestKind.OBJECT, "POST", Durability.DURABLE),
        (RequestKind.OBJECT, "GET", Durability.WRITTEN),  # a layer, whose bytes follow on the same answer
        (RequestKind.RESOLVE, "GET", Durability.WRITTEN),
    ],
)
async def test_every_address_is_durable_also_the_second_time(kind, method, durability):
    """Design §8: a repeat that hands out an address is no lesser record."""
    ledger = RecordingLedger()
    granted = GrantedFile(Artifact(REPO, COMMIT, A), ALLOW, A.sha256, "anonymous")
    request = HubRequest(kind, REPO, COMMIT, A.path)
    await Recording(ledger, "s").granted(by(method=method), request, granted, remembered=True)
    assert [found for _, found in ledger.entries] == [durability]


async def test_a_ledger_that_cannot_be_written_stops_the_whole_batch():
    class Broken(ScriptedAdmission):
        async def admit(self, context, request):
            if request.path:
                raise LedgerError("the disk is full")
            return await super().admit(context, request)

    admission = Broken({}, [A, B])
    objects = tuple(f"{e.sha256}:{e.size_bytes}" for e in (A, B))
    request = HubRequest(RequestKind.LFS_BATCH, REPO, query={"operation": ("download",), "objects": objects})
    with pytest.raises(LedgerError):
        await Objects(admission, Recording(RecordingLedger(), "s")).admit(by(method="POST"), request)
