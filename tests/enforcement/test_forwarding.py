import pytest

from gateway.domain.artifact import RefKind, Repo, RepoType
from gateway.domain.evidence import Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.background import Background, SingleFlight
from gateway.enforcement.forwarding import _HELD_BYTES, Forwarding
from gateway.enforcement.resolving import Known

REPO = Repo("huggingface", RepoType.MODEL, "corp/model")
KNOWN = Known(
    Snapshot(RepoFacts(REPO, "key", "corp"), RevisionFacts("c" * 40, "main", RefKind.BRANCH, Reachable.YES, "", ())),
    "f",
)


class Hub:
    def __init__(self, answer) -> None:
        self.answer, self.asked = answer, 0

    async def forward(self, repo, name, query, access):
        self.asked += 1
        return self.answer


@pytest.fixture
async def background():
    background = Background()
    yield background
    await background.close()


def tree(path=""):
    return HubRequest(RequestKind.TREE, REPO, "main", path, {"expand": ("true",)})


async def test_one_question_is_asked_once(background):
    hub = Hub([{"path": "a"}])
    forwarding = Forwarding(hub, SingleFlight(background), 60.0)
    assert await forwarding.payload(tree(), KNOWN) == await forwarding.payload(tree(), KNOWN) == [{"path": "a"}]
    assert hub.asked == 1
    assert await forwarding.payload(tree("folder"), KNOWN) == [{"path": "a"}]
    assert hub.asked == 2


async def test_what_is_held_is_bounded_in_bytes(background):
    hub = Hub(["x" * (_HELD_BYTES // 16)])
    forwarding = Forwarding(hub, SingleFlight(background), 60.0)
    for number in range(20):
        await forwarding.payload(tree(str(number)), KNOWN)
    await forwarding.payload(tree("19"), KNOWN)
    assert hub.asked == 20
    await forwarding.payload(tree("0"), KNOWN)
    assert hub.asked == 21


async def test_a_huge_answer_and_a_long_question_are_not_held(background):
    hub = Hub(["x" * (_HELD_BYTES // 4)])
    forwarding = Forwarding(hub, SingleFlight(background), 60.0)
    for _ in range(2):
        assert await forwarding.payload(tree(), KNOWN) == hub.answer
    assert hub.asked == 2
