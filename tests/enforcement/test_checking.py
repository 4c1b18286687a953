"""`gateway check` walks through the same door: what it says of each sample is what the door does."""

import pytest

from gateway.domain.errors import PolicyError, UpstreamNotFound, UpstreamUnavailable
from gateway.enforcement.context import GrantedFile
from gateway.simulator.samples import SAMPLES, sample_world
from gateway.simulator.thread import SimulatorThread
from tests.enforcement.whole import by, file, model, whole


@pytest.fixture
def hub():
    with SimulatorThread(sample_world()) as sim:
        yield sim


@pytest.fixture
async def core(hub, tmp_path):
    async with whole(hub, tmp_path / "state") as core:
        yield core


def quiet(_done, _total, _path):
    return None


async def test_each_file_of_each_sample_has_the_outcome_that_the_door_gives_it(core):
    for sample in {s.name: s for s in SAMPLES if not s.name.startswith("datasets/")}.values():
        judged = await core.checking.check(by(), model(sample.name), sample.revision, quiet)
        for one in judged.files:
            answer = await core.admission.admit(by(), file(sample.name, one.path, sample.revision))
            assert isinstance(answer, GrantedFile) == (one.outcome == "allow"), (sample.name, one)
            assert one.reasons or one.outcome == "allow"
        if not judged.files:
            assert judged.outcome == "deny"
            assert not isinstance(
                await core.admission.admit(by(), file(sample.name, sample.path, sample.revision)), GrantedFile
            )


async def test_progress_is_told_for_each_file(core, hub):
    told = []
    await core.checking.check(by(), model("demo/good-torch"), "", lambda *step: told.append(step))
    files = len(hub.world["demo/good-torch"].main.files)
    assert [(done, total) for done, total, _ in told] == [(number, files) for number in range(files)]


async def test_what_cannot_be_judged_is_unknown_and_never_allowed(core, hub):
    await core.checking.check(by(), model("demo/good-torch"), "", quiet)
    with pytest.raises(UpstreamNotFound):
        await core.checking.check(by(), model("demo/nothing"), "", quiet)
    hub.down("cdn")
    judged = await core.checking.check(by(), model("demo/good-safetensors"), "", quiet)
    one = next(f for f in judged.files if f.path == "model.safetensors")
    assert one.outcome == "unknown"
    assert "upstream/" in one.trouble
    assert judged.outcome == "unknown"
    hub.down()
    with pytest.raises(UpstreamUnavailable):
        await core.checking.check(by(), model("demo/evil-gguf"), "", quiet)
    hub.up()
    await core.engine.close()
    with pytest.raises(PolicyError):
        await core.checking.check(by(), model("demo/evil-gguf"), "", quiet)
