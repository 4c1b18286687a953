"""Keeps every policy input once, by its digest, so that a decision can be explained and replayed (design §4)."""

from __future__ import annotations

from gateway.domain.decision import Decision, Query
from gateway.policy.document import build, relevant
from gateway.policy.masks import Masks, masked
from gateway.ports import Facts, PolicyEngine


class KeptInputs:
    """Wraps a PolicyEngine; what is stored leaves out what is masked or not policy-relevant (time, address, client)."""

    def __init__(self, engine: PolicyEngine, facts: Facts, masks: Masks) -> None:
        self._engine = engine
        self._facts = facts
        self._masks = masks

    @property
    def policy_digest(self) -> str:
        return self._engine.policy_digest

    @property
    def data_digest(self) -> str:
        return self._engine.data_digest

    async def decide(self, query: Query) -> Decision:
        decision = await self._engine.decide(query)
        if await self._facts.get("input", decision.input_digest) is None:
            await self._facts.put(
                "input", decision.input_digest, masked(relevant(build(query).value), self._masks.input)
            )
        return decision

    async def ready(self) -> str:
        return await self._engine.ready()

    async def close(self) -> None:
        await self._engine.close()
