import pytest

from gateway.domain.artifact import RefKind, Repo, RepoType
from gateway.domain.evidence import Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.background import Background, SingleFlight
from gateway.enforcement.forwarding import _HELD_BYTES, Forwarding
from gateway.enforcement.resolving import Known
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


def tree(path=""):
    return HubRequest(RequestKind.TREE, REPO, "main", path, {"expand": ("true",)})


async def test_one_question_is_asked_once(background, hub):
    hub.answers["tree"] = [{"path": "a"}]
    forwarding = Forwarding(hub, SingleFlight(background), 60.0)
    assert await forwarding.payload(tree(), KNOWN) == await forwarding.payload(tree(), KNOWN) == [{"path": "a"}]
    assert hub.asked["forward"] == 1
    assert await forwarding.payload(tree("folder"), KNOWN) == [{"path": "a"}]
    assert hub.asked["forward"] == 2


async def test_what_is_held_is_bounded_in_bytes(background, hub):
    hub.answers["tree"] = ["x" * (_HELD_BYTES // 16)]
    forwarding = Forwarding(hub, SingleFlight(background), 60.0)
    for number in range(20):
        await forwarding.payload(tree(str(number)), KNOWN)
    await forwarding.payload(tree("19"), KNOWN)
    assert hub.asked["forward"] == 20
    await forwarding.payload(tree("0"), KNOWN)
    assert hub.asked["forward"] == 21


async def test_a_huge_answer_and_a_long_question_are_not_held(background, hub):
    hub.answers["tree"] = ["x" * (_HELD_BYTES // 4)]
    forwarding = Forwarding(hub, SingleFlight(background), 60.0)
    for _ in range(2):
        assert await forwarding.payload(tree(), KNOWN) == hub.answers["tree"]
    assert hub.asked["forward"] == 2
