"""One evaluation per question, with the real policy engine: who shares an answer, and who must not."""

import asyncio
from datetime import timedelta

import pytest

from gateway.app import load_bundle
from gateway.domain.errors import PolicyError
from gateway.domain.request import Action
from gateway.domain.subject import Subject, SubjectKind
from gateway.enforcement.background import Background, SingleFlight
from gateway.enforcement.deciding import Deciding
from gateway.enforcement.memory import DecisionMemory
from gateway.enforcement.resolving import Resolving
from gateway.policy.embedded import EmbeddedEngine
from gateway.settings import load
from tests.enforcement.whole import by, model
from tests.enforcement.workbench import workbench


class Counting:
    """Wraps the real engine; `asked` counts evaluations."""

    def __init__(self, engine):
        self._engine, self.asked = engine, 0

    async def decide(self, query):
        self.asked += 1
        return await self._engine.decide(query)


@pytest.fixture
async def setup(tmp_path):
    bundle = load_bundle(load(None, {}, {}))
    real = await EmbeddedEngine.start(bundle, workers=2, deadline_s=10)
    engine = Counting(real)
    async with workbench(tmp_path) as bench:
        repo = bench.sim.world.repo("org/model", card={"license": "apache-2.0"})
        repo.commit({"README.md": repo.readme(), "config.json": "{}"})
        background = Background()
        flights = SingleFlight(background)
        resolving = Resolving(
            bench.upstream, bench.facts, flights, bench.clock, ref_ttl_s=60, facts_ttl_s=60, max_stale=timedelta(days=1)
        )
        deciding = Deciding(engine, DecisionMemory(bench.facts, bench.clock, lambda: "stamp"), flights, bench.clock)
        known = await resolving.snapshot(
            model("org/model"), "main", await resolving.resolve(model("org/model"), "main")
        )
        yield engine, deciding, known, bench
        await background.close()
    await real.close()


async def test_fifty_askers_are_one_evaluation(setup):
    engine, deciding, known, _ = setup
    answers = await asyncio.gather(*(deciding.revision(by(), Action.FETCH, known) for _ in range(50)))
    assert engine.asked == 1
    assert len({a.decision.id for a in answers}) == 1
    assert not any(a.remembered for a in answers), "none of them is on record yet"


async def test_it_is_remembered_only_once_it_is_kept(setup):
    engine, deciding, known, _ = setup
    first = await deciding.revision(by(), Action.FETCH, known)
    assert not (await deciding.revision(by(), Action.FETCH, known)).remembered
    await deciding.keep(first)
    kept = await deciding.revision(by(), Action.FETCH, known)
    assert kept.remembered
    assert kept.decision.id == first.decision.id
    assert engine.asked == 2


async def test_another_subject_or_action_is_another_question(setup):
    engine, deciding, known, _ = setup
    subjects = [
        Subject("user:a", SubjectKind.USER), Subject("user:b", SubjectKind.USER), Subject("user:a", SubjectKind.SERVICE),
        Subject("user:a", SubjectKind.USER, frozenset({"g,h"})), Subject("user:a", SubjectKind.USER, frozenset({"g", "h"})),
    ]  # fmt: skip
    keys = set()
    for subject in subjects:
        for action in (Action.FETCH, Action.LIST):
            decided = await deciding.revision(by(subject), action, known)
            await deciding.keep(decided)
            keys.add(decided.key)
    assert len(keys) == engine.asked == len(subjects) * 2


async def test_a_decision_ends_with_the_credential_it_was_made_for(setup):
    engine, deciding, known, bench = setup
    expires = bench.clock.now().timestamp() + 30
    subject = Subject("user:a", SubjectKind.USER, expires_at_s=expires)
    decided = await deciding.revision(by(subject), Action.FETCH, known)
    await deciding.keep(decided)
    assert decided.decision.valid_until.timestamp() <= expires
    bench.clock.pass_s(31)
    assert not (await deciding.revision(by(subject), Action.FETCH, known)).remembered
    assert engine.asked == 2


async def test_an_engine_that_fails_leaves_nothing_behind(setup):
    engine, deciding, known, _ = setup
    await engine._engine.close()
    for _ in range(2):
        with pytest.raises(PolicyError):
            await deciding.revision(by(), Action.FETCH, known)
    assert engine.asked == 2
