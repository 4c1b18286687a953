import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.artifact import FileEntry, RefKind, Repo, RepoType
from gateway.domain.errors import StoreError, UpstreamNotFound, UpstreamUnavailable
from gateway.domain.evidence import FileFacts
from gateway.enforcement.background import Background, SingleFlight
from gateway.enforcement.resolving import Resolving
from gateway.ports import Resolved
from tests.fakes.hand_clock import HandClock
from tests.fakes.memory_facts import MemoryFacts
from tests.fakes.scripted_hub import ScriptedHub

REPO = Repo("huggingface", RepoType.MODEL, "corp/model")


class Bench:
    def __init__(self, background) -> None:
        self.hub, self.facts, self.clock, self.background = ScriptedHub(), MemoryFacts(), HandClock(), background
        self.commit = self.hub.publish(REPO, {"README.md": b"words"})

    def resolving(self, **more) -> Resolving:
        """As after a restart: only what is kept in the facts."""
        return Resolving(
            self.hub, self.facts, SingleFlight(self.background), self.clock,
            ref_ttl_s=60.0, facts_ttl_s=3600.0, max_stale=timedelta(days=7), **more,
        )  # fmt: skip

    async def known(self, access="anonymous", ref="main"):
        return await self.resolving().snapshot(REPO, ref, Resolved(self.commit, access))

    def list_files(self, files) -> None:
        self.hub.repos[REPO].files[self.commit] = tuple(files)


@pytest.fixture
async def bench():
    async with _bench() as bench:
        yield bench


@asynccontextmanager
async def _bench():
    background = Background()
    yield Bench(background)
    await background.close()


async def test_facts_are_asked_for_once_within_their_time(bench):
    await bench.known()
    bench.clock.pass_s(3599)
    await bench.known()
    assert bench.hub.asked["snapshot"] == 1
    bench.clock.pass_s(2)
    await bench.known()
    assert bench.hub.asked["snapshot"] == 2


async def test_a_clock_that_is_set_back_does_not_keep_old_facts_fresh(bench):
    await bench.known()
    bench.clock.pass_s(-86_400)
    await bench.known()
    assert bench.hub.asked["snapshot"] == 2


async def test_while_the_hub_is_down_old_facts_serve_for_the_staleness_limit(bench):
    await bench.resolving().resolve(REPO, "main")
    await bench.known()
    bench.hub.is_up = False
    bench.clock.pass_s(6 * 86_400)
    assert (await bench.resolving().resolve(REPO, "main")).commit == bench.commit
    await bench.known()
    for seconds in (2 * 86_400, -16 * 86_400):
        bench.clock.pass_s(seconds)
        with pytest.raises(UpstreamUnavailable):
            await bench.known()
        with pytest.raises(UpstreamUnavailable):
            await bench.resolving().resolve(REPO, "main")


@pytest.mark.parametrize("gated", ["no", "auto", "manual"])
async def test_what_only_the_token_shows_is_private_whatever_its_flags_say(bench, gated):
    held = bench.hub.repos[REPO]
    held.facts = replace(held.facts, private=False, gated=gated)
    assert (await bench.known("gateway_token")).snapshot.repo.private
    assert not (await bench.known("anonymous")).snapshot.repo.private


async def test_a_huge_revision_is_held_and_not_read_anew_for_each_of_its_files(bench):
    bench.list_files(FileFacts(FileEntry(f"{n}.txt", 1, "a" * 40), "text") for n in range(200_000))
    resolving = bench.resolving()
    first = await resolving.snapshot(REPO, "main", Resolved(bench.commit, "anonymous"))
    assert await resolving.snapshot(REPO, "main", Resolved(bench.commit, "anonymous")) is first


@pytest.mark.parametrize("code", ["store/fact-invalid", "store/facts"])
async def test_a_listing_that_is_too_large_to_be_kept_is_used_all_the_same(bench, code):
    class Full(MemoryFacts):
        async def put(self, namespace, key, value):
            if namespace == "snapshot":
                raise StoreError("no", code=code)
            await super().put(namespace, key, value)

    bench.facts = Full()
    if code == "store/fact-invalid":
        assert (await bench.known()).snapshot.revision.commit == bench.commit
    else:
        with pytest.raises(StoreError):
            await bench.known()


async def test_every_python_file_is_code_in_whatever_case(bench):
    paths = ("a.py", "b/C.PY", "d.pyc", "e.txt")
    bench.list_files(FileFacts(FileEntry(path, 1, "a" * 40), "text") for path in paths)
    assert (await bench.known()).code_paths == ("a.py", "b/C.PY")


async def test_a_commit_is_asked_for_once_whatever_ref_it_is_asked_by(bench):
    bench.hub.tag(REPO, "v1")
    kinds = {"main": RefKind.BRANCH, bench.commit: RefKind.COMMIT, "v1": RefKind.TAG}
    for _ in range(2):
        for ref, kind in kinds.items():
            revision = (await bench.known(ref=ref)).snapshot.revision
            assert (revision.ref, revision.ref_kind, revision.commit) == (ref, kind, bench.commit)
    assert bench.hub.asked["snapshot"] == 1


async def test_facts_that_are_old_are_asked_for_with_what_is_known_of_the_commit(bench):
    known = []
    ask = bench.hub.snapshot

    async def snapshot(repo, ref, commit, access, earlier=None):
        known.append(earlier)
        return await ask(repo, ref, commit, access, earlier)

    bench.hub.snapshot = snapshot
    first = await bench.known()
    bench.clock.pass_s(3601)
    await bench.known()
    assert known[0] is None
    assert not known[1].is_fresh
    assert known[1].snapshot.revision == first.snapshot.revision


async def test_a_commit_that_was_seen_is_not_asked_for_until_its_facts_are_old(bench):
    resolved = await bench.resolving().resolve(REPO, "main")
    await bench.known()
    assert await bench.resolving().resolve(REPO, bench.commit) == resolved
    assert bench.hub.asked["resolve"] == 1
    bench.clock.pass_s(3601)
    assert await bench.resolving().resolve(REPO, bench.commit) == resolved
    assert bench.hub.asked["resolve"] == 2


@pytest.mark.parametrize("becomes", ["private", "gone"])
async def test_a_repo_that_vanished_takes_its_known_commits_along(bench, becomes):
    resolving = bench.resolving()
    await bench.known()
    held = bench.hub.repos[REPO]
    bench.clock.pass_s(10)
    if becomes == "private":
        await bench.resolving().resolve(REPO, "main")
        held.facts = replace(held.facts, private=True)
        assert (await resolving.resolve(REPO, "main")).access == "gateway_token"
        assert (await resolving.resolve(REPO, bench.commit)).access == "gateway_token"
    else:
        del bench.hub.repos[REPO]
        for ref in ("main", bench.commit):
            with pytest.raises(UpstreamNotFound):
                await resolving.resolve(REPO, ref)


async def test_a_hub_that_is_slow_is_not_waited_for_where_an_older_answer_is_at_hand(bench):
    await bench.resolving().resolve(REPO, "main")
    await bench.known()
    bench.clock.pass_s(3601)
    answered = asyncio.Event()
    resolve, snapshot = bench.hub.resolve, bench.hub.snapshot

    async def slow_resolve(repo, ref):
        await answered.wait()
        return await resolve(repo, ref)

    async def slow_snapshot(*asked):
        if asked[-1] is None or not asked[-1].is_fresh:
            await answered.wait()
        return await snapshot(*asked)

    bench.hub.resolve, bench.hub.snapshot = slow_resolve, slow_snapshot
    resolving = bench.resolving(stale_after_s=0.01)
    resolved = await resolving.resolve(REPO, "main")
    assert resolved.commit == bench.commit
    assert (await resolving.snapshot(REPO, "main", resolved)).snapshot.revision.commit == bench.commit
    newer = bench.hub.publish(REPO, {"README.md": b"new"})
    answered.set()
    await bench.background.settled()
    assert (await resolving.resolve(REPO, "main")).commit == newer  # the question went on, for the next


async def test_ten_thousand_absent_names_are_remembered_briefly_and_bounded(bench):
    resolving = bench.resolving()
    names = [Repo("huggingface", RepoType.MODEL, f"nobody/{number}") for number in range(12_000)]
    for repo in names:
        with pytest.raises(UpstreamNotFound):
            await resolving.resolve(repo, "main")
    asked = bench.hub.asked["resolve"]
    for _ in range(3):
        with pytest.raises(UpstreamNotFound):
            await resolving.resolve(names[-1], "main")
    assert bench.hub.asked["resolve"] == asked
    assert max(held.currsize for held in vars(resolving).values() if hasattr(held, "currsize")) <= 10_000
    assert not bench.facts.values


async def test_of_a_repo_that_is_kept_from_somebody_the_hub_is_asked_as_of_one_nobody_ever_saw(bench):
    resolving = bench.resolving()
    await resolving.resolve(REPO, "main")
    for _ in range(3):
        await resolving.as_if_unknown(REPO, "main")
    assert bench.hub.asked["resolve"] == 2, "once, and believed as an absence is"
    bench.hub.is_up = False
    await resolving.as_if_unknown(REPO, "main")
    for fresh in (bench.resolving(), bench.resolving()):
        assert (await fresh.resolve(REPO, "main")).commit == bench.commit, "what is kept serves who may have it"
        with pytest.raises(UpstreamUnavailable):
            await fresh.as_if_unknown(REPO, "main")


async def test_of_a_repo_that_went_meanwhile_there_is_no_more_to_say(bench):
    resolving = bench.resolving()
    gone = Repo("huggingface", RepoType.MODEL, "corp/gone")
    for _ in range(3):
        await resolving.as_if_unknown(gone, "main")
    assert bench.hub.asked["resolve"] == 1
