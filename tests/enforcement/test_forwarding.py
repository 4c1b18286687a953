import asyncio

import pytest

from gateway.domain.artifact import RefKind, Repo, RepoType
from gateway.domain.errors import UpstreamNotFound, UpstreamUnavailable
from gateway.domain.evidence import Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.background import Background, SingleFlight
from gateway.enforcement.forwarding import _HELD_BYTES, Forwarding
from gateway.enforcement.resolving import Known
from tests.fakes.hand_clock import HandClock
from tests.fakes.memory_facts import MemoryFacts
from tests.fakes.scripted_hub import ScriptedHub

REPO = Repo("huggingface", RepoType.MODEL, "corp/model")
KNOWN = Known(
    Snapshot(RepoFacts(REPO, "key", "corp"), RevisionFacts("c" * 40, "main", RefKind.BRANCH, Reachable.YES, "", ())),
    "f",
)


@pytest.fixture
def hub():
    hub = ScriptedHub()
    hub.publish(REPO, {"README.md": b"words"})
    return hub


@pytest.fixture
async def background():
    background = Background()
    yield background
    await background.close()


def made(hub, background, facts=None, clock=None, **more):
    """As after a restart, where `facts` are those from before."""
    return Forwarding(
        hub, facts or MemoryFacts(), SingleFlight(background), clock or HandClock(),
        **{"ttl_s": 60.0, "max_stale_s": 3600.0, **more},
    )  # fmt: skip


def tree(path=""):
    return HubRequest(RequestKind.TREE, REPO, "main", path, {"expand": ("true",)})


async def test_one_question_is_asked_once(background, hub):
    hub.answers["tree"] = [{"path": "a"}]
    forwarding = made(hub, background)
    assert await forwarding.payload(tree(), KNOWN) == await forwarding.payload(tree(), KNOWN) == [{"path": "a"}]
    assert hub.asked["forward"] == 1
    assert await forwarding.payload(tree("folder"), KNOWN) == [{"path": "a"}]
    assert hub.asked["forward"] == 2


async def test_what_is_held_is_bounded_in_bytes(background, hub):
    hub.answers["tree"] = ["x" * (_HELD_BYTES // 16)]
    forwarding = made(hub, background)
    for number in range(20):
        await forwarding.payload(tree(str(number)), KNOWN)
    await forwarding.payload(tree("19"), KNOWN)
    assert hub.asked["forward"] == 20
    await forwarding.payload(tree("0"), KNOWN)
    assert hub.asked["forward"] == 21


async def test_a_huge_answer_and_a_long_question_are_not_held(background, hub):
    hub.answers["tree"] = ["x" * (_HELD_BYTES // 4)]
    forwarding = made(hub, background)
    for _ in range(2):
        assert await forwarding.payload(tree(), KNOWN) == hub.answers["tree"]
    assert hub.asked["forward"] == 2


REFS = HubRequest(RequestKind.REFS, REPO, "main")
LOG = HubRequest(RequestKind.COMMITS, REPO, "main")


@pytest.mark.parametrize("request_", [REFS, tree(), HubRequest(RequestKind.INFO, REPO, "", "", {"expand": ("likes",)})])
async def test_while_the_hub_is_down_an_older_answer_serves_over_a_restart_for_the_staleness_limit(
    background, hub, request_
):
    facts, clock = MemoryFacts(), HandClock()
    hub.answers[request_.kind.value] = {"a": 1}
    assert await made(hub, background, facts, clock).payload(request_, KNOWN) == {"a": 1}
    hub.is_up = False
    clock.pass_s(3599)
    assert await made(hub, background, facts, clock).payload(request_, KNOWN) == {"a": 1}
    clock.pass_s(2)
    with pytest.raises(UpstreamUnavailable):
        await made(hub, background, facts, clock).payload(request_, KNOWN)


async def test_an_older_answer_is_no_answer_while_the_hub_gives_one(background, hub):
    facts = MemoryFacts()
    hub.answers["refs"] = {"a": 1}
    await made(hub, background, facts).payload(REFS, KNOWN)
    hub.answers["refs"] = {"a": 2}
    assert await made(hub, background, facts).payload(REFS, KNOWN) == {"a": 2}


async def test_the_log_of_a_commit_is_asked_for_once_and_never_again(background, hub):
    facts, clock = MemoryFacts(), HandClock()
    hub.answers["commits"] = {"rows": [{"id": "c" * 40}]}
    for forwarding in (made(hub, background, facts, clock, ttl_s=1e-9), made(hub, background, facts, clock)):
        for _ in range(2):
            assert await forwarding.payload(LOG, KNOWN) == {"rows": [{"id": "c" * 40}]}
            clock.pass_s(10**8)
    assert hub.asked["forward"] == 1


async def test_a_slow_hub_is_not_waited_for_where_an_older_answer_is_at_hand(background, hub):
    facts, answered = MemoryFacts(), asyncio.Event()
    hub.answers["refs"] = {"a": 1}
    await made(hub, background, facts).payload(REFS, KNOWN)
    forward = hub.forward

    async def slow(*asked):
        await answered.wait()
        return await forward(*asked)

    hub.forward = slow
    forwarding = made(hub, background, facts, stale_after_s=0.01)
    assert await forwarding.payload(REFS, KNOWN) == {"a": 1}
    hub.answers["refs"] = {"a": 2}
    answered.set()
    await background.settled()
    assert await forwarding.payload(REFS, KNOWN) == {"a": 2}


async def test_what_a_client_chose_paths_for_is_not_kept_on_disk(background, hub):
    facts = MemoryFacts()
    request = HubRequest(RequestKind.PATHS_INFO, REPO, "main", "", {"paths": ("a",), "expand": ("true",)})
    hub.answers["paths_info"] = []
    await made(hub, background, facts).payload(request, KNOWN)
    assert not facts.values


async def test_what_is_absent_is_told_whatever_was_there_before(background, hub):
    facts = MemoryFacts()
    await made(hub, background, facts).payload(REFS, KNOWN)
    del hub.repos[REPO]
    with pytest.raises(UpstreamNotFound):
        await made(hub, background, facts).payload(REFS, KNOWN)
