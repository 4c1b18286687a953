"""The contract of the port PolicyEngine; every adapter runs it, started with the tiny bundle (tests/policy/tiny.py)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.domain.decision import DecisionScope, Effect, FileEffect
from gateway.domain.errors import PolicyError
from gateway.policy.bundle import Bundle
from gateway.ports import PolicyEngine
from tests.policy import hostile, tiny


class PolicyEngineContract:
    """A subclass gives the fixtures `engine` (tiny bundle), `bundle`, and `hostile_engine` (hostile bundle)."""

    async def test_allows_what_no_rule_refuses(self, engine: PolicyEngine) -> None:
        decision = await engine.decide(tiny.question("good/repo"))
        assert decision.effect is Effect.ALLOW
        assert decision.scope is DecisionScope.REVISION
        assert decision.files == {"model.safetensors": FileEffect.NEEDS_EVIDENCE}
        assert decision.reasons == ()

    async def test_denies_with_the_rule_and_its_words(self, engine: PolicyEngine) -> None:
        decision = await engine.decide(tiny.question("bad/repo"))
        assert decision.effect is Effect.DENY
        assert decision.scope is DecisionScope.REPO
        assert [(r.rule, r.message) for r in decision.reasons] == [("denylist/repo", "bad/repo is denied")]

    async def test_scope_file_has_no_files(self, engine: PolicyEngine) -> None:
        decision = await engine.decide(tiny.question("good/repo", "file"))
        assert decision.effect is Effect.ALLOW
        assert decision.files == {}

    async def test_names_engine_and_digests(self, engine: PolicyEngine, bundle: Bundle) -> None:
        decision = await engine.decide(tiny.question("good/repo"))
        assert decision.engine.split(" ")[0] in {"regorus", "opa"}
        assert decision.engine.split(" ")[1][0].isdigit()
        assert decision.policy_digest == engine.policy_digest == bundle.policy_digest
        assert decision.data_digest == engine.data_digest == bundle.data_digest
        assert decision.input_digest.startswith("sha256:")
        assert decision.id == ""

    async def test_the_input_digest_leaves_out_time_client_and_address(self, engine: PolicyEngine) -> None:
        query = tiny.question("good/repo")
        other = replace(query, now=datetime(2027, 1, 1, tzinfo=UTC), address="10.0.0.9")
        first, second = await engine.decide(query), await engine.decide(other)
        assert first.input_digest == second.input_digest
        assert (await engine.decide(tiny.question("other/repo"))).input_digest != first.input_digest

    async def test_a_runtime_error_is_no_decision(self, hostile_engine: PolicyEngine) -> None:
        await self._fails(hostile_engine, "hostile/error", "pdp/error")

    async def test_a_conflict_is_no_decision(self, hostile_engine: PolicyEngine) -> None:
        await self._fails(hostile_engine, "hostile/conflict", "pdp/error")

    async def test_undefined_is_no_decision(self, hostile_engine: PolicyEngine) -> None:
        await self._fails(hostile_engine, "hostile/undefined", "pdp/undefined")

    @pytest.mark.parametrize("case", hostile.MALFORMED)
    async def test_another_shape_is_no_decision(self, hostile_engine: PolicyEngine, case: str) -> None:
        await self._fails(hostile_engine, f"hostile/{case}", "pdp/malformed")

    async def test_a_loop_ends_at_the_deadline(self, hostile_engine: PolicyEngine) -> None:
        await self._fails(hostile_engine, "hostile/loop", "pdp/timeout")

    async def test_a_lone_surrogate_is_refused_before_the_engine(self, engine: PolicyEngine) -> None:
        await self._fails(engine, "bad/\ud800", "pdp/malformed")

    async def test_failures_leave_the_engine_answering(self, hostile_engine: PolicyEngine) -> None:
        for case in ("error", "undefined", "effect", "conflict"):
            with pytest.raises(PolicyError):
                await hostile_engine.decide(tiny.question(f"hostile/{case}"))
        assert (await hostile_engine.decide(tiny.question("good/repo"))).effect is Effect.ALLOW
        assert await hostile_engine.ready() == ""

    async def test_many_at_once_each_get_their_own_answer(self, engine: PolicyEngine) -> None:
        ids = ["bad/repo" if n % 3 == 0 else f"good/{n}" for n in range(60)]
        decisions = await asyncio.gather(*(engine.decide(tiny.question(i)) for i in ids))
        assert [d.effect is Effect.DENY for d in decisions] == [i == "bad/repo" for i in ids]

    async def test_ready_says_nothing_while_it_can_decide(self, engine: PolicyEngine) -> None:
        assert await engine.ready() == ""

    async def test_closed_is_not_ready_and_decides_nothing(self, engine: PolicyEngine) -> None:
        await engine.close()
        assert await engine.ready() != ""
        await self._fails(engine, "good/repo", "pdp/unavailable")

    async def _fails(self, engine: PolicyEngine, repo_id: str, code: str) -> None:
        with pytest.raises(PolicyError) as caught:
            await engine.decide(tiny.question(repo_id))
        assert caught.value.code == code, str(caught.value)
        assert "\n" not in str(caught.value)
