"""Asks the policy engine, once per question, and remembers the answer."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.clock import Clock
from gateway.domain.artifact import Artifact
from gateway.domain.decision import Decision, Query
from gateway.domain.evidence import FileFacts
from gateway.domain.request import Action
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.context import RequestContext
from gateway.enforcement.gathering import FileEvidence
from gateway.enforcement.memory import DecisionMemory
from gateway.enforcement.obligations import earliest, fulfil
from gateway.enforcement.resolving import Known
from gateway.enforcement.withholding import Withholding
from gateway.ports import PolicyEngine


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, whether it was remembered (then its record is durable already), and the key to keep it under.

    `row` is the key of the repo's rows in searches, "" where the decision says nothing of them; `action` was asked."""

    decision: Decision
    remembered: bool
    key: str
    row: str = ""
    action: Action = Action.FETCH


class Deciding:
    """One evaluation per (subject projection, revision) and per file that needs evidence (design §4)."""

    def __init__(
        self,
        engine: PolicyEngine,
        memory: DecisionMemory,
        flights: SingleFlight,
        clock: Clock,
        *,
        withholding: Withholding | None = None,
        with_origin: bool = False,
    ) -> None:
        """`with_origin`: decisions depend on client and address too (RequestContext.asker)."""
        self._with_origin = with_origin
        self._withholding = withholding
        self._engine = engine
        self._memory = memory
        self._flights = flights
        self._clock = clock

    async def revision(self, context: RequestContext, action: Action, known: Known) -> Decided:
        """Scope "revision". Raises PolicyError."""
        parts = self._parts(context, action, known)
        decided = await self._remembered(
            self._memory.key("revision", *parts), context, lambda: self._ask(self._query(context, action, known))
        )
        if self._withholding is None:
            return decided
        asker, repo = context.asker(with_origin=self._with_origin), known.snapshot.repo.repo
        row = self._withholding.key_of_revision(asker, repo, known.snapshot.revision.ref)
        return replace(decided, row=row, action=action)

    async def file(
        self, context: RequestContext, known: Known, file: FileFacts, evidence: FileEvidence, parent: Decision
    ) -> Decided:
        """Scope "file". Raises PolicyError."""
        repo, revision = known.snapshot.repo, known.snapshot.revision
        artifact = Artifact(repo.repo, revision.commit, file.entry)
        query = replace(
            self._query(context, Action.FETCH, known),
            scope="file",
            artifact=artifact,
            file=file,
            reports=evidence.reports,
            parent=parent.input_digest,
            sha256=evidence.sha256,
        )
        query = replace(query, revision=replace(revision, files=()))
        parts = (*self._parts(context, Action.FETCH, known), file.entry.path, evidence.sha256)

        async def ask() -> Decision:
            decision = await self._ask(query)
            return replace(decision, valid_until=earliest([decision.valid_until, parent.valid_until]))

        return await self._remembered(self._memory.key("file", *parts), context, ask)

    def _query(self, context: RequestContext, action: Action, known: Known) -> Query:
        return Query(
            scope="revision",
            action=action,
            subject=context.subject,
            client=context.client,
            address=context.address,
            repo=known.snapshot.repo,
            revision=known.snapshot.revision,
            now=self._clock.now(),
            code_paths=known.code_paths,
        )

    async def _remembered(self, key: str, context: RequestContext, ask: Callable[[], Awaitable[Decision]]) -> Decided:
        if (decision := await self._memory.get(key)) is not None:
            return Decided(decision, remembered=True, key=key)

        async def decide() -> Decision:
            decision = await ask()
            if context.subject.expires_at_s is not None:
                expiry = datetime.fromtimestamp(context.subject.expires_at_s, UTC)
                decision = replace(decision, valid_until=earliest([decision.valid_until, expiry]))
            return decision

        decision = await self._flights.do(("decision", key), decide)
        return Decided(decision, remembered=False, key=key)

    async def keep(self, decided: Decided) -> None:
        """Remember a decision. Call it once its record is durable: a remembered decision is never recorded as first."""
        if not decided.remembered:
            await self._memory.put(decided.key, decided.decision)
            if self._withholding is not None:
                await self._withholding.learn(decided.row, decided.action, decided.decision)

    async def _ask(self, query: Query) -> Decision:
        decision = await self._engine.decide(query)
        decision = fulfil(decision, self._clock.now())
        return replace(decision, id=f"d-{uuid.uuid4().hex[:20]}")

    def _parts(self, context: RequestContext, action: Action, known: Known) -> tuple[str, ...]:
        repo, revision = known.snapshot.repo, known.snapshot.revision
        return (
            context.asker(with_origin=self._with_origin),
            action.value,
            str(repo.repo.hub),
            str(repo.repo.type),
            repo.stable_key,
            repo.repo.id,
            revision.commit,
            revision.ref,
            known.fingerprint,
        )
