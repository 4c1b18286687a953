from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.artifact import FileEntry, Repo, RepoType
from gateway.domain.errors import StoreError, UpstreamUnavailable
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

    def resolving(self) -> Resolving:
        """As after a restart: only what is kept in the facts."""
        return Resolving(
            self.hub, self.facts, SingleFlight(self.background), self.clock,
            ref_ttl_s=60.0, facts_ttl_s=3600.0, max_stale=timedelta(days=7),
        )  # fmt: skip

    async def known(self, access="anonymous"):
        return await self.resolving().snapshot(REPO, "main", Resolved(self.commit, access))

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
