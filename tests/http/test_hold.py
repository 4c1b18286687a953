"""A hold on a real connection, where the end-to-end tests cannot look: its limits, its records, what goes wrong in it.

The pace is quick here, and what admission says is scripted; the file, its fill and its delivery are real.
"""

import asyncio
import time

import pytest
from aiohttp import ClientSession, web
from aiohttp.client_exceptions import ClientError

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.decision import DecisionScope, Effect
from gateway.domain.errors import GatewayError, IntegrityError, LedgerError, ScanError, StoreError
from gateway.domain.outcome import Absence, Denial, Failure, Pending
from gateway.domain.record import RecordKind
from gateway.domain.request import HubRequest, RequestKind
from gateway.domain.subject import ANONYMOUS, Client
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.beginnings import MOST_BYTES, Beginnings
from gateway.enforcement.context import RequestContext
from gateway.http.files import NOT_HERE, Files
from gateway.http.hold import UNDER_WAY, Holding, HoldLimits
from gateway.http.metrics import Metrics
from gateway.ports import Rendering
from gateway.simulator import builders
from gateway.simulator.faults import Fault, Gate
from tests.enforcement.workbench import workbench

MIB = 1 << 20
CHECKPOINT = builders.torch_zip({"w": (1024, 512)})
ASKED = HubRequest(RequestKind.RESOLVE, Repo("huggingface", RepoType.MODEL, "a/b"), "main", "x.bin")
DENIED = Denial(Effect.DENY, DecisionScope.FILE, (), "d-1")


class Scripted:
    """Admission that says what it is told, once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.results: list = []
        self.asked = 0

    async def admit(self, context, request):
        self.asked += 1
        assert context.patience_s is not None
        await self.gate.wait()
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result


class PlainWords:
    def file(self, artifact, decision):
        assert decision.effect is not Effect.ALLOW
        return Rendering(200, (("ETag", '"e"'),))


class Served:
    """A server whose every answer is a hold of one artifact, or 429."""

    def __init__(self, bench, limits):
        self.bench, self.admission, self.metrics = bench, Scripted(), Metrics()
        files = Files(bench.delivery, bench.recording, self.metrics)
        beginnings = Beginnings(bench.store, bench.upstream, bench.fills, SingleFlight(bench.background))
        self.holding = Holding(
            PlainWords(), self.admission, beginnings, bench.delivery, files, bench.recording, self.metrics, limits
        )
        self.artifact = bench.add("a/b", "x.bin", CHECKPOINT)
        self.errors = []
        self.asked = ASKED
        self.allowed, self.trouble = None, None
        self.ended = asyncio.Event()

    def pending(self, code=UNDER_WAY):
        return Pending(code, "wait", 5, artifact=self.artifact, access="anonymous")

    async def handle(self, request):
        context = RequestContext(
            "r-1", request.method, ANONYMOUS, Client("", ""), "127.0.0.1", started_s=time.monotonic()
        )
        try:
            if self.allowed is not None:
                return await self.holding.patient(self.late, request, context, self.asked, self.allowed)
            held = await self.holding.answer(
                request, context, self.asked, self.pending(request.query.get("code", UNDER_WAY))
            )
        except GatewayError as error:
            self.errors.append(error)
            held = None
        self.ended.set()
        return held or web.Response(status=429)

    async def late(self):
        """What sending an allowed file ends in whose first byte is not here in time."""
        raise self.trouble or ScanError("is being fetched", code=NOT_HERE)


@pytest.fixture
async def bench(tmp_path):
    async with workbench(tmp_path) as bench:
        yield bench


@pytest.fixture
async def served(bench):
    runners = []

    async def start(**limits):
        served = Served(bench, HoldLimits(**{"pace_s": 0.01, **limits}))
        runner = web.ServerRunner(web.Server(served.handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        return served

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def session():
    async with ClientSession() as session:
        yield session


async def cut_body(answer):
    """What came of a body that ended early."""
    got = bytearray()
    try:
        async for piece in answer.content.iter_any():
            got += piece
    except (ClientError, ConnectionError):
        return bytes(got)
    raise AssertionError("the body came whole")


def of_hold(bench):
    return [
        (r.kind, r.effect, r.note, r.bytes_delivered, r.span)
        for r in bench.ledger.records
        if "hold" in r.note or r.note == "held"
    ]


async def test_on_allow_the_rest_follows_and_one_delivery_is_recorded(bench, served, session):
    here = await served()
    here.admission.results = [bench.granted(here.artifact)]
    async with session.get(here.url) as answer:
        first = await answer.content.readexactly(5)
        here.admission.gate.set()
        assert first + await answer.read() == CHECKPOINT
        assert answer.headers["ETag"] == '"e"'
    await here.ended.wait()
    [record] = bench.ledger.of_kind(RecordKind.DELIVERY)
    assert (record.effect, record.bytes_delivered, record.span) == ("allow", len(CHECKPOINT), (0, len(CHECKPOINT)))
    assert of_hold(bench) == [(RecordKind.REFUSAL, "pending", "held", 0, (0, MOST_BYTES))]


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (DENIED, "deny"), (Failure("upstream/unavailable", "down"), "upstream/unavailable"),
        (Pending("store/full", "full", 5), "store/full"), (Absence("entry", "gone"), "no such entry"),
        (LedgerError("full"), "ledger/unwritable"), (StoreError("full", code="store/full"), "store/full"),
    ],
)  # fmt: skip
async def test_anything_else_ends_it_with_bytes_missing(result, why, bench, served, session):
    here = await served()
    here.admission.results = [result]
    async with session.get(here.url) as answer:
        first = await answer.content.readexactly(1)
        here.admission.gate.set()
        got = first + await cut_body(answer)
    assert CHECKPOINT.startswith(got)
    assert len(got) < MOST_BYTES
    await here.ended.wait()
    assert of_hold(bench)[1:] == [(RecordKind.DELIVERY, "pending", f"hold cut: {why}", len(got), (0, len(got)))]


async def test_never_more_than_so_many_bytes_however_long_it_takes(bench, served, session):
    here = await served(pace_s=0.0001)
    async with session.get(here.url) as answer:
        got = await cut_body(answer)
    assert got == CHECKPOINT[:MOST_BYTES]
    await here.ended.wait()
    assert of_hold(bench)[1][2:4] == ("hold cut: the hold's time is over", MOST_BYTES)


async def test_who_comes_back_a_thousand_times_gets_the_same_bytes(bench, served, session):
    here = await served(pace_s=0.0001)

    async def once(number):
        async with session.get(here.url) as answer:
            return await answer.content.read(1 + number % 40)

    got = {
        piece for start in range(0, 1000, 100) for piece in await asyncio.gather(*(once(start + n) for n in range(100)))
    }
    assert all(CHECKPOINT.startswith(piece) for piece in got)
    assert max(map(len, got)) <= MOST_BYTES
    assert here.holding.places.taken <= 256


async def test_the_time_of_a_hold_is_bounded(bench, served, session):
    here = await served(hold_s=0.1)
    async with session.get(here.url) as answer:
        assert len(await cut_body(answer)) < 30
    await here.ended.wait()
    assert of_hold(bench)[1][2] == "hold cut: the hold's time is over"


async def test_other_bytes_than_were_trickled_are_never_completed(bench, served, session):
    """The range that began it lied: the file that was verified is another, and the digest is blocked."""
    here = await served()
    here.admission.results = [bench.granted(here.artifact)]
    lie = bench.sim.faults.add(Fault(path="*/*", host="cdn", corrupt_at=40))
    async with session.get(here.url) as answer:
        first = await answer.content.readexactly(1)
        bench.sim.faults.remove(lie)
        await bench.fills.start(here.artifact, "anonymous").wait_committed()
        here.admission.gate.set()
        assert len(first + await cut_body(answer)) <= MOST_BYTES
    await here.ended.wait()
    assert of_hold(bench)[1][2] == f"hold cut: {IntegrityError.code}"
    assert [event.note for event in bench.events()] == ["integrity/mismatch"]


async def test_trouble_that_may_pass_does_not_end_it(bench, served, session):
    here = await served()
    again = Pending("scan/failed", "try 1 of 3", 0)
    here.admission.results = [again, again, bench.granted(here.artifact)]
    here.admission.gate.set()
    async with session.get(here.url) as answer:
        assert await answer.read() == CHECKPOINT
    assert here.admission.asked == 3


async def test_a_ref_that_moved_meanwhile_is_another_file(bench, served, session):
    here = await served()
    here.admission.results = [bench.granted(bench.add("a/other", "x.bin", CHECKPOINT + b"more"))]
    async with session.get(here.url) as answer:
        await answer.content.readexactly(1)
        here.admission.gate.set()
        await cut_body(answer)
    await here.ended.wait()
    assert of_hold(bench)[1][2] == "hold cut: the ref has moved"


async def test_it_goes_on_while_an_allowed_file_is_still_on_its_way(bench, served, session):
    here = await served()
    stall = bench.sim.faults.add(Fault(path="*/*", host="cdn", stall_at=600, stall_gate=Gate()))
    here.admission.results = [bench.granted(here.artifact)]
    here.admission.gate.set()
    async with session.get(here.url) as answer:
        first = await answer.content.readexactly(20)
        stall.stall_gate.open()
        assert first + await answer.read() == CHECKPOINT


@pytest.mark.parametrize(
    "headers", [{"Range": "bytes=0-9"}, {"Range": "bytes=0-"}, {"If-Range": '"e"'}, {"If-None-Match": '"x"'}]
)
async def test_only_a_plain_get_is_held(headers, bench, served, session):
    here = await served()
    async with session.get(here.url, headers=headers) as answer:
        assert answer.status == 429
    async with session.head(here.url) as answer:
        assert answer.status == 429
    async with session.get(here.url, params={"code": "pdp/timeout"}) as answer:
        assert answer.status == 429, "our own outage has words"
    here.asked = HubRequest(RequestKind.INFO, ASKED.repo, "main")
    async with session.get(here.url) as answer:
        assert answer.status == 429
    assert not bench.ledger.records


async def test_so_many_and_no_more_and_a_place_is_free_again(bench, served, session):
    here = await served(clients=1)
    here.admission.results = [DENIED]
    async with session.get(here.url) as answer:
        await answer.content.readexactly(1)
        async with session.get(here.url) as second:
            assert second.status == 429
        here.admission.gate.set()
        await cut_body(answer)
    await here.ended.wait()
    async with session.get(here.url) as answer:
        assert answer.status == 200


async def test_who_takes_the_rest_slowly_keeps_no_place(bench, served, session):
    here = await served(clients=1)
    stall = bench.sim.faults.add(Fault(path="*/*", host="cdn", stall_at=MIB, stall_gate=Gate()))
    here.admission.results = [bench.granted(here.artifact)]
    here.admission.gate.set()
    async with session.get(here.url) as answer:
        first = await answer.content.readexactly(MOST_BYTES + 1)
        assert here.holding.places.taken == 0
        stall.stall_gate.open()
        assert first + await answer.read() == CHECKPOINT


async def test_one_client_does_not_have_all_the_places(bench, served, session):
    here = await served(clients=8)
    here.admission.results = [DENIED]
    answers = [await session.get(here.url) for _ in range(8)]
    assert [answer.status for answer in answers] == [200] * 2 + [429] * 6
    here.admission.gate.set()
    for answer in answers:
        answer.close()


async def test_switched_off(bench, served, session):
    here = await served(hold_s=0)
    async with session.get(here.url) as answer:
        assert answer.status == 429


async def test_a_ledger_that_cannot_be_written_holds_nobody(bench, served, session):
    here = await served()
    bench.ledger.fail()
    async with session.get(here.url) as answer:
        assert answer.status == 429
        assert await answer.read() == b""
    assert [error.code for error in here.errors] == ["ledger/unwritable"]


async def test_a_client_that_leaves_is_recorded_and_frees_its_place(bench, served, session):
    here = await served(clients=1)
    async with session.get(here.url) as answer:
        await answer.content.readexactly(3)
        answer.close()
    await here.ended.wait()
    assert of_hold(bench)[1][2] == "hold cut: the client left"
    assert here.holding.places.taken == 0


async def test_a_stop_ends_every_hold_and_begins_no_more(bench, served, session):
    here = await served(pace_s=60)
    async with session.get(here.url) as answer:
        await answer.content.readexactly(1)
        here.holding.stop()
        await cut_body(answer)
    async with session.get(here.url) as answer:
        assert answer.status == 429


async def test_an_allowed_file_that_is_long_in_coming_is_held_too(bench, served, session):
    here = await served()
    here.allowed = bench.granted(here.artifact)
    here.admission.results = [here.allowed]
    here.admission.gate.set()
    stall = bench.sim.faults.add(Fault(path="*/*", host="cdn", stall_at=600, stall_gate=Gate()))
    async with session.get(here.url) as answer:
        assert answer.status == 200
        first = await answer.content.readexactly(20)
        stall.stall_gate.open()
        assert first + await answer.read() == CHECKPOINT
    assert of_hold(bench)[0][1:3] == ("pending", "held")


async def test_other_trouble_of_an_allowed_file_keeps_its_words(bench, served, session):
    here = await served()
    here.allowed = bench.granted(here.artifact)
    here.trouble = StoreError("full", code="store/full")
    async with session.get(here.url) as answer:
        assert answer.status == 429
    assert here.errors == [here.trouble]
    assert not of_hold(bench)
