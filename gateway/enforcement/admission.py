"""The one door. Every request of every route passes `Admission.admit`; read this file first.

1 resolve    ref -> commit, path -> entry             (resolving: briefly for refs, for ever for commits)
2 memory     was this very question answered?          (memory: hot, then remembered decisions)
3 revision   repo facts and file list -> one decision  (deciding: scope "revision")
4 file       bytes or ranges -> reports -> decision    (judging: gathering, deciding, scope "file")
5 record     durable before any byte                   (recording)
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from gateway.clock import Clock
from gateway.domain.artifact import FileEntry, Repo
from gateway.domain.decision import Decision, DecisionScope, Effect, Reason
from gateway.domain.errors import GatewayError, UpstreamNotFound
from gateway.domain.outcome import Absence, Denial, Pending, Refusal, Refused
from gateway.domain.request import OF_FILE, HubRequest, RequestKind
from gateway.enforcement.context import Assembled, Granted, GrantedFile, GrantedListing, RequestContext
from gateway.enforcement.deciding import Deciding
from gateway.enforcement.forwarding import Forwarding
from gateway.enforcement.gathering import Gathering
from gateway.enforcement.judging import Answer, Judging
from gateway.enforcement.memory import HotMemory
from gateway.enforcement.recording import Recording, grant_of
from gateway.enforcement.refusing import (
    NO_REPO,
    UNDER_WAY,
    Progress,
    pending,
    refusal_for,
    refused_protocol,
    refused_revision,
)
from gateway.enforcement.resolving import Resolving
from gateway.enforcement.searching import Searching

HEAD_WAIT_S = 7.0  # clients give up after 10 s (hub-protocol §11)
GET_WAIT_S = 8.0
METADATA_WAIT_S = 30.0  # `/api/…` has no client time-out
COMMIT_TTL_S = 600.0  # a commit never moves, but facts about its repo do (resolving looks again)
ANONYMOUS_ACCESS = "anonymous"  # as in `ports.Resolved`
FRESH = "fresh"  # in the query of an OBJECT: what was believed of its ref is forgotten
_COMMIT = re.compile(r"[0-9a-f]{40}")

Assembler = Callable[[RequestContext, HubRequest], Awaitable[Assembled | Granted | Refusal]]


class Admission:
    """`tombstone_ref` names the refused ref behind an invented commit, else None; `generation` counts every change;
    `with_origin`: decisions depend on client and address too. `assembled` are the kinds whose answer is put together
    from several: each part comes back in here."""

    def __init__(
        self,
        resolving: Resolving,
        deciding: Deciding,
        gathering: Gathering,
        forwarding: Forwarding,
        searching: Searching,
        recording: Recording,
        clock: Clock,
        tombstone_ref: Callable[[Repo, str], str | None],
        generation: Callable[[], int],
        *,
        with_origin: bool = False,
    ) -> None:
        self.assembled: dict[RequestKind, Assembler] = {}
        self._with_origin = with_origin
        self._resolving = resolving
        self._deciding = deciding
        self._judging = Judging(deciding, gathering)
        self._forwarding = forwarding
        self._searching = searching
        self._recording = recording
        self._clock = clock
        self._tombstone_ref = tombstone_ref
        self._generation = generation
        self.hot: HotMemory[Answer] = HotMemory(generation)

    async def admit(self, context: RequestContext, request: HubRequest) -> Granted | Assembled | Refusal:
        """Judge, record, and only then answer. Raises LedgerError alone: what cannot be recorded is not served."""
        if request.kind is RequestKind.SEARCH:
            return await self._searching.admit(context, request)
        if (assembler := self.assembled.get(request.kind)) is not None:
            return await assembler(context, request)
        asker = context.asker(with_origin=self._with_origin)
        key = (asker, request.kind, request.repo, request.ref, request.path, _query_key(request))
        if (hot := self.hot.get(key)) is not None:
            await self._record(context, request, hot, repeat=True)
            return hot.result
        generation = self._generation()
        progress = Progress()
        try:
            async with asyncio.timeout(_patience_s(context, request)):
                answer = await self._discreetly(context, request, progress)
        except TimeoutError:
            answer = Answer(_late(context, progress))
        except GatewayError as error:
            answer = Answer(refusal_for(error, progress))
        await self._record(context, request, answer, repeat=answer.is_repeat)
        for decided in answer.decided:
            await self._deciding.keep(decided)
        self.hot.put(key, _slim(answer), self._lifetime_s(request, answer), generation, _weight(request, answer))
        return answer.result

    async def refuse(self, context: RequestContext, request: HubRequest | None, error: GatewayError) -> Refusal:
        """Record and return the refusal of a request that needs no decision: no route, no identity, too many."""
        refusal = refusal_for(error, Progress())
        await self._recording.refused(context, request, refusal)
        return refusal

    async def _discreetly(self, context: RequestContext, request: HubRequest, progress: Progress) -> Answer:
        """Judge; trouble with a repo that is not public is nothing to tell to whom no entitlement names (P7): those go
        by groups, so that who has none is told of an absent repo."""
        try:
            return await self._judge(context, request, progress)
        except GatewayError:
            if not _is_nothing_to_tell(context, progress) or request.repo is None:
                raise
            progress.is_kept_back = False
            await self._resolving.as_if_unknown(request.repo, request.ref)
            return Answer(Absence("repo", NO_REPO))

    async def _judge(self, context: RequestContext, request: HubRequest, progress: Progress) -> Answer:
        if request.kind is RequestKind.WRITE:
            return Answer(Refused(403, "route/read-only", "this gateway is read-only: publish to the hub itself"))
        if request.kind is RequestKind.GIT:
            return Answer(refused_protocol(request))
        assert request.repo is not None
        if (refused := self._tombstone_ref(request.repo, request.ref)) is not None:
            return await self._judge_tombstone(context, replace(request, ref=refused), progress)
        if FRESH in request.query:
            self._resolving.forget(request.repo, request.ref)
        try:
            resolved = await self._resolving.resolve(request.repo, request.ref)
            progress.is_kept_back = resolved.access != ANONYMOUS_ACCESS
            known = await self._resolving.snapshot(request.repo, request.ref, resolved)
        except UpstreamNotFound as error:
            if error.what != "repo" and (hidden := await self._hidden(context, request, progress)) is not None:
                return hidden
            raise
        decided = await self._deciding.revision(context, request.action, known)
        commit = known.snapshot.revision.commit
        if (refusal := refused_revision(decided.decision, commit)) is not None:
            if isinstance(refusal, Absence):
                progress.is_kept_back = False  # trouble from here on is what there is with an absent repo
                await self._resolving.as_if_unknown(request.repo, request.ref)
            return Answer(refusal, (decided,))
        progress.is_kept_back = False
        match request.kind:
            case RequestKind.OBJECT if request.path:
                if layer := request.query.get("layer"):
                    piece = FileEntry(request.path, int(layer[1]), "", layer[0])
                    return await self._judging.piece(context, piece, known, decided, progress)
                return await self._judging.file(context, request.path, known, decided, progress)
            case kind if kind in OF_FILE:
                return await self._judging.file(context, request.path, known, decided, progress)
            case RequestKind.XET_TOKEN:
                return Answer(_xet_refused(decided.decision, commit), (decided,))
            case _:
                payload = await self._forwarding.payload(request, known)
                return Answer(GrantedListing(known.snapshot, decided.decision, payload), (decided,))

    async def _hidden(self, context: RequestContext, request: HubRequest, progress: Progress) -> Answer | None:
        """That a private repo lacks a revision tells that the repo is there: only who may see it is told (P7)."""
        assert request.repo is not None
        resolved = await self._resolving.resolve(request.repo, "")
        if resolved.access == ANONYMOUS_ACCESS:
            return None
        progress.is_kept_back = True
        known = await self._resolving.snapshot(request.repo, "", resolved)
        decided = await self._deciding.revision(context, request.action, known)
        refusal = refused_revision(decided.decision, known.snapshot.revision.commit)
        if isinstance(refusal, Absence):
            return Answer(refusal, (decided,))
        progress.is_kept_back = False
        return None

    async def _judge_tombstone(self, context: RequestContext, request: HubRequest, progress: Progress) -> Answer:
        """A request under an invented commit is judged again, as one for the ref that was refused."""
        again = await self._judge(context, request, progress)
        if isinstance(again.result, GrantedFile | GrantedListing):
            absence = Absence("revision", "approved since; drop the pinned revision and ask for a branch or tag")
            return Answer(absence, again.decided)
        return again

    async def _record(self, context: RequestContext, request: HubRequest, answer: Answer, *, repeat: bool) -> None:
        reports = () if repeat else answer.reports
        behind = answer.decided[0].decision.id if len(answer.decided) > 1 and not repeat else ""
        for decided in answer.decided[:-1]:
            if not (repeat or decided.remembered):
                await self._recording.decided(context, request, decided.decision, _commit_of(answer.result))
        if isinstance(answer.result, GrantedFile | GrantedListing):
            await self._recording.granted(
                context,
                request,
                answer.result,
                remembered=repeat,
                reports=reports,
                grant=answer.grant,
                revision_decision=behind,
            )
        else:
            await self._recording.refused(
                context,
                request,
                answer.result,
                decision=answer.decision,
                reports=reports,
                remembered=repeat,
                revision_decision=behind,
            )

    def _lifetime_s(self, request: HubRequest, answer: Answer) -> float:
        """How long this very request may be answered from memory: the ref's time, and every decision's."""
        if not answer.decided or (isinstance(answer.result, GrantedListing) and answer.result.payload is not None):
            return 0.0  # what was forwarded is remembered by `Forwarding` alone
        if isinstance(answer.result, Absence) and answer.result.what == "repo":
            return 0.0  # it hangs on the hub, as every absence does (Resolving.as_if_unknown)
        lifetime = COMMIT_TTL_S if _COMMIT.fullmatch(request.ref) else self._resolving.ref_ttl_s
        lifetime = min(lifetime, self._resolving.facts_ttl_s)
        now: datetime = self._clock.now()
        for decided in answer.decided:
            if decided.decision.valid_until is not None:
                lifetime = min(lifetime, (decided.decision.valid_until - now).total_seconds())
        return lifetime


def _is_nothing_to_tell(context: RequestContext, progress: Progress) -> bool:
    """Is the repo private, and the subject one whom no entitlement can name?"""
    return progress.is_kept_back and not context.subject.groups


def _late(context: RequestContext, progress: Progress) -> Refusal:
    """What is said when the time is over in which a client waits."""
    if _is_nothing_to_tell(context, progress):
        return Absence("repo", NO_REPO)
    return pending(UNDER_WAY, "the file is being fetched and judged; nothing is wrong, ask again", progress)


def _commit_of(result: Granted | Refusal) -> str:
    match result:
        case GrantedFile():
            return result.artifact.commit
        case GrantedListing():
            return result.snapshot.revision.commit
        case Denial() | Pending() | Absence():
            return result.commit
        case _:
            return ""


def _patience_s(context: RequestContext, request: HubRequest) -> float:
    if context.patience_s is not None:
        return context.patience_s
    if request.kind not in OF_FILE:
        return METADATA_WAIT_S
    return HEAD_WAIT_S if context.method == "HEAD" else GET_WAIT_S


def _query_key(request: HubRequest) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(sorted(request.query.items())) if request.kind not in OF_FILE else ()


def _slim(answer: Answer) -> Answer:
    """What a repeat needs: the grant, or the refusal and the decision that is recorded with it. The lists of files of
    revision decisions are long, and held elsewhere."""
    if isinstance(answer.result, GrantedFile | GrantedListing):
        return Answer(answer.result, grant=grant_of(answer.result))
    return Answer(answer.result, tuple(replace(d, decision=replace(d.decision, files={})) for d in answer.decided[-1:]))


def _weight(request: HubRequest, answer: Answer) -> int:
    """How much memory a remembered answer holds, in answers about one file: a stranger chooses names and listings."""
    text = len(request.path) + sum(len(value) for values in request.query.values() for value in values)
    listed = len(answer.result.snapshot.revision.files) if isinstance(answer.result, GrantedListing) else 0
    reasons = len(answer.decision.reasons) if answer.decision is not None else 0
    return 1 + text // 256 + listed + reasons


def _xet_refused(decision: Decision, commit: str) -> Denial:
    reason = Reason(
        "protocol/xet-token",
        "medium",
        "this gateway hands out no Xet tokens: bytes leave by the judged HTTP route only",
        "set HF_HUB_DISABLE_XET=1, or delete the repo's trees/ folder in the local Hugging Face cache, and try again",
    )
    return Denial(Effect.DENY, DecisionScope.REVISION, (reason,), decision.id, commit)
