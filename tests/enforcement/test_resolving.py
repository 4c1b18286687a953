from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.artifact import FileEntry, RefKind, Repo, RepoType
from gateway.domain.errors import StoreError, UpstreamUnavailable
from gateway.domain.evidence import FileFacts, Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.enforcement.background import Background, SingleFlight
from gateway.enforcement.resolving import Resolving
from gateway.ports import Resolved
from tests.fakes.hand_clock import HandClock
from tests.fakes.memory_facts import MemoryFacts

REPO = Repo("huggingface", RepoType.MODEL, "corp/model")
COMMIT = "c" * 40


class Hub:
    """Answers as long as it is up; counts how often it was asked for facts."""

    def __init__(self) -> None:
        self.is_up = True
        self.asked = 0
        self.facts = RepoFacts(REPO, "key", "corp")
        self.files: tuple[FileFacts, ...] = ()

    async def resolve(self, repo, ref):
        self._check()
        return Resolved(COMMIT, "anonymous")

    async def snapshot(self, repo, ref, commit, access):
        self._check()
        self.asked += 1
        revision = RevisionFacts(commit, ref, RefKind.BRANCH, Reachable.YES, "", self.files)
        return Snapshot(replace(self.facts, access=access), revision)

    def _check(self) -> None:
        if not self.is_up:
            raise UpstreamUnavailable("down")


class Bench:
    def __init__(self, background) -> None:
        self.hub, self.facts, self.clock, self.background = Hub(), MemoryFacts(), HandClock(), background

    def resolving(self) -> Resolving:
        """As after a restart: only what is kept in the facts."""
        return Resolving(
            self.hub, self.facts, SingleFlight(self.background), self.clock,
            ref_ttl_s=60.0, facts_ttl_s=3600.0, max_stale=timedelta(days=7),
        )  # fmt: skip

    async def known(self, access="anonymous"):
        return await self.resolving().snapshot(REPO, "main", Resolved(COMMIT, access))


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
    assert bench.hub.asked == 1
    bench.clock.pass_s(2)
    await bench.known()
    assert bench.hub.asked == 2


async def test_a_clock_that_is_set_back_does_not_keep_old_facts_fresh(bench):
    await bench.known()
    bench.clock.pass_s(-86_400)
    await bench.known()
    assert bench.hub.asked == 2


async def test_while_the_hub_is_down_old_facts_serve_for_the_staleness_limit(bench):
    await bench.resolving().resolve(REPO, "main")
    await bench.known()
    bench.hub.is_up = False
    bench.clock.pass_s(6 * 86_400)
    assert (await bench.resolving().resolve(REPO, "main")).commit == COMMIT
    await bench.known()
    for seconds in (2 * 86_400, -16 * 86_400):
        bench.clock.pass_s(seconds)
        with pytest.raises(UpstreamUnavailable):
            await bench.known()
        with pytest.raises(UpstreamUnavailable):
            await bench.resolving().resolve(REPO, "main")


@pytest.mark.parametrize("gated", ["no", "auto", "manual"])
async def test_what_only_the_token_shows_is_private_whatever_its_flags_say(bench, gated):
    bench.hub.facts = replace(bench.hub.facts, private=False, gated=gated)
    assert (await bench.known("gateway_token")).snapshot.repo.private
    assert not (await bench.known("anonymous")).snapshot.repo.private


async def test_a_huge_revision_is_held_and_not_read_anew_for_each_of_its_files(bench):
    bench.hub.files = tuple(FileFacts(FileEntry(f"{n}.txt", 1, "a" * 40), "text") for n in range(200_000))
    resolving = bench.resolving()
    first = await resolving.snapshot(REPO, "main", Resolved(COMMIT, "anonymous"))
    assert await resolving.snapshot(REPO, "main", Resolved(COMMIT, "anonymous")) is first


@pytest.mark.parametrize("code", ["store/fact-invalid", "store/facts"])
async def test_a_listing_that_is_too_large_to_be_kept_is_used_all_the_same(bench, code):
    class Full(MemoryFacts):
        async def put(self, namespace, key, value):
            if namespace == "snapshot":
                raise StoreError("no", code=code)
            await super().put(namespace, key, value)

    bench.facts = Full()
    if code == "store/fact-invalid":
        assert (await bench.known()).snapshot.revision.commit == COMMIT
    else:
        with pytest.raises(StoreError):
            await bench.known()


async def test_every_python_file_is_code_in_whatever_case(bench):
    paths = ("a.py", "b/C.PY", "d.pyc", "e.txt")
    bench.hub.files = tuple(FileFacts(FileEntry(path, 1, "a" * 40), "text") for path in paths)
    assert (await bench.known()).code_paths == ("a.py", "b/C.PY")
