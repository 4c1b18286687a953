import asyncio
from datetime import timedelta

import pytest

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.decision import Decision, DecisionScope, Effect
from gateway.domain.request import Action
from gateway.enforcement.withholding import Withholding
from tests.fakes.hand_clock import HandClock
from tests.fakes.memory_facts import MemoryFacts

REPO = Repo("huggingface", RepoType.MODEL, "corp/model")
DENY, ALLOW = (Decision(effect, DecisionScope.REVISION) for effect in (Effect.DENY, Effect.ALLOW))


class Bench:
    def __init__(self) -> None:
        self.facts, self.clock, self.stamp = MemoryFacts(), HandClock(), "policy|data|scanners"
        self.made = self.restarted()

    def restarted(self) -> Withholding:
        self.made = Withholding(self.facts, self.clock, lambda: self.stamp)
        return self.made

    async def learn(self, decision, *, asker="ada", repo=REPO, action=Action.FETCH, ref="main"):
        await self.made.learn(self.made.key_of_revision(asker, repo, ref), action, decision)

    async def is_withheld(self, asker="ada", repo=REPO) -> bool:
        (answer,) = await self.made.withheld([self.made.key(asker, repo)])
        return answer


@pytest.fixture
def bench():
    return Bench()


@pytest.mark.parametrize("effect", [Effect.DENY, Effect.QUARANTINE])
async def test_a_refused_default_branch_is_withheld_over_a_restart(bench, effect):
    assert not await bench.is_withheld()
    await bench.learn(Decision(effect, DecisionScope.REVISION))
    assert await bench.is_withheld()
    bench.restarted()
    assert await bench.is_withheld()


async def test_it_is_withheld_from_the_one_it_was_refused_to_under_that_policy_alone(bench):
    await bench.learn(DENY)
    assert not await bench.is_withheld(asker="bob")
    assert not await bench.is_withheld(repo=Repo("huggingface", RepoType.DATASET, REPO.id))
    assert await bench.is_withheld(repo=Repo("huggingface", RepoType.MODEL, "Corp/Model"))
    bench.stamp = "other|data|scanners"
    assert not await bench.is_withheld()


@pytest.mark.parametrize("ref", ["v1", "refs/pr/7", "a" * 40])
async def test_a_refused_pull_request_says_nothing_of_the_repo(bench, ref):
    await bench.learn(DENY, ref=ref)
    assert not await bench.is_withheld()
    assert not bench.facts.values


async def test_an_allow_ends_the_refusal_of_its_own_action(bench):
    await bench.learn(DENY)
    await bench.learn(DENY, action=Action.LIST)
    await bench.learn(ALLOW, action=Action.LIST)
    assert await bench.is_withheld()
    await bench.learn(ALLOW)
    assert not await bench.is_withheld()
    bench.restarted()
    assert not await bench.is_withheld()


async def test_a_refusal_ends_with_its_time(bench):
    until = bench.clock.now() + timedelta(hours=1)
    await bench.learn(Decision(Effect.QUARANTINE, DecisionScope.REVISION, valid_until=until))
    assert await bench.is_withheld()
    bench.clock.pass_s(3601)
    assert not await bench.is_withheld()


async def test_what_was_stored_by_another_version_reads_as_refused(bench):
    await bench.facts.put("withheld", bench.made.key("ada", REPO), ["?"])
    assert await bench.is_withheld()


async def test_an_allow_that_changes_nothing_writes_nothing(bench):
    await bench.learn(ALLOW)
    assert not bench.facts.values


async def test_two_that_learn_at_once_both_count(bench):
    await asyncio.gather(*(bench.learn(DENY, action=action) for action in (Action.FETCH, Action.LIST)))
    await bench.learn(ALLOW)
    assert await bench.is_withheld()
    bench.restarted()
    assert await bench.is_withheld()
