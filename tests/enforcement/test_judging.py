"""One file of an allowed revision: granted under both decisions, refused, or absent; whoever asks for it."""

import pytest

from gateway.domain.outcome import Absence, Denial
from gateway.domain.request import Action
from gateway.enforcement.context import GrantedFile
from gateway.enforcement.judging import Judging
from gateway.enforcement.refusing import Progress
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.enforcement.whole import by, model, whole


@pytest.fixture
def hub():
    with SimulatorThread(sample_world()) as sim:
        yield sim


@pytest.fixture
async def core(hub, tmp_path):
    async with whole(hub, tmp_path / "state") as core:
        yield core


async def judged(core, name, path, progress=None):
    """What admission does before it judges a file, with its own parts."""
    resolving, deciding, judging = core.admission._resolving, core.admission._deciding, core.admission._judging
    assert isinstance(judging, Judging)
    repo = model(name)
    known = await resolving.snapshot(repo, "main", await resolving.resolve(repo, "main"))
    decided = await deciding.revision(by(), Action.FETCH, known)
    return await judging.file(by(), path, known, decided, progress or Progress())


async def test_a_granted_file_has_both_decisions_behind_it_and_the_digest_of_its_bytes(core, hub):
    progress = Progress()
    answer = await judged(core, "demo/good-torch", "pytorch_model.bin", progress)
    assert isinstance(answer.result, GrantedFile)
    assert len(answer.decided) == 2
    assert answer.decision is answer.decided[-1].decision
    assert answer.reports
    file = hub.world["demo/good-torch"].main.files["pytorch_model.bin"]
    assert answer.result.sha256 == file.content.sha256
    assert progress.entry == answer.result.artifact.entry


async def test_a_denied_file_says_nothing_of_itself_to_a_pending_answer_before_it_may_be_seen(core):
    progress = Progress()
    answer = await judged(core, "demo/pickle-with-twin", "pytorch_model.bin", progress)
    assert isinstance(answer.result, Denial)
    assert progress.entry is None, "the revision's decision refused it already"


async def test_a_file_that_is_not_there_is_absent_under_the_commit(core, hub):
    answer = await judged(core, "demo/good-torch", "no.bin")
    assert answer.result == Absence("entry", "Entry not found: no.bin", hub.world["demo/good-torch"].main.id)
