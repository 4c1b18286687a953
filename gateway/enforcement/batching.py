"""Revisions of more files than one evaluation holds are judged in batches; the most restrictive effect counts.

Facts about siblings are computed per file before (design §4), so that a batch needs no other.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from gateway.domain.decision import Decision, DecisionScope, Effect, Query
from gateway.enforcement.obligations import earliest
from gateway.ports import PolicyEngine

BATCH_FILES = 5_000
_STRICTNESS = {Effect.ALLOW: 0, Effect.QUARANTINE: 1, Effect.DENY: 2}
_BREADTH = {DecisionScope.FILE: 0, DecisionScope.REVISION: 1, DecisionScope.REPO: 2}


class BatchedEngine:
    """Wraps a PolicyEngine; questions of up to `batch_files` files pass as they are."""

    def __init__(self, engine: PolicyEngine, batch_files: int = BATCH_FILES) -> None:
        self._engine = engine
        self._batch_files = batch_files

    @property
    def policy_digest(self) -> str:
        return self._engine.policy_digest

    @property
    def data_digest(self) -> str:
        return self._engine.data_digest

    async def decide(self, query: Query) -> Decision:
        files = query.revision.files
        if len(files) <= self._batch_files:
            return await self._engine.decide(query)
        decisions = []
        for start in range(0, len(files), self._batch_files):
            part = replace(query.revision, files=files[start : start + self._batch_files])
            decisions.append(await self._engine.decide(replace(query, revision=part)))
        return merged(decisions)

    async def ready(self) -> str:
        return await self._engine.ready()

    async def close(self) -> None:
        await self._engine.close()


def merged(decisions: list[Decision]) -> Decision:
    """One decision of several about parts of one revision. Order changes nothing but the order of reasons."""
    strictest = max(decisions, key=lambda d: _STRICTNESS[d.effect])
    refusing = [d for d in decisions if d.effect is not Effect.ALLOW] or decisions
    files = {}
    for decision in decisions:
        files.update(decision.files)
    digests = "".join(decision.input_digest for decision in decisions)
    return replace(
        strictest,
        scope=max((d.scope for d in refusing), key=lambda scope: _BREADTH[scope]),
        reasons=tuple(dict.fromkeys(r for d in decisions for r in d.reasons)),
        warnings=tuple(dict.fromkeys(r for d in decisions for r in d.warnings)),
        dryruns=tuple(dict.fromkeys(r for d in decisions for r in d.dryruns)),
        waived=tuple(dict.fromkeys(w for d in decisions for w in d.waived)),
        obligations=tuple({repr(o): o for d in decisions for o in d.obligations}.values()),
        files=files,
        input_digest="sha256:" + hashlib.sha256(digests.encode()).hexdigest(),
        duration_ms=sum(d.duration_ms for d in decisions),
        valid_until=earliest([d.valid_until for d in decisions]),
    )
