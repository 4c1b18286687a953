"""Judges a whole revision without delivering anything: the same resolve, gather and decide as the one door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.artifact import Artifact, Repo
from gateway.domain.decision import Decision, Effect, FileEffect, Reason
from gateway.domain.errors import GatewayError
from gateway.domain.evidence import FileFacts, ScanReport
from gateway.domain.request import Action
from gateway.enforcement.context import RequestContext
from gateway.enforcement.deciding import Deciding
from gateway.enforcement.gathering import Gathering
from gateway.enforcement.refusing import refuse_own_fault
from gateway.enforcement.resolving import Known, Resolving


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """One file's outcome: "allow", "deny", "hide", "quarantine", or "unknown" with the cause in `trouble`."""

    path: str
    outcome: str
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    reports: tuple[ScanReport, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of a revision and of each of its files; `files` is empty where the revision itself is refused."""

    commit: str
    decision: Decision
    files: tuple[JudgedFile, ...]

    @property
    def outcome(self) -> str:
        """Either `allow`, `deny` (anything refused), or `unknown` (nothing refused, something not judged)."""
        if self.decision.effect is not Effect.ALLOW:
            return "deny"
        outcomes = {file.outcome for file in self.files}
        if outcomes & {"deny", "quarantine"}:
            return "deny"
        return "unknown" if "unknown" in outcomes else "allow"


class Checking:
    """A dry walk through the one door."""

    def __init__(self, resolving: Resolving, deciding: Deciding, gathering: Gathering) -> None:
        self._resolving = resolving
        self._deciding = deciding
        self._gathering = gathering

    async def check(
        self, context: RequestContext, repo: Repo, ref: str, progress: Callable[[int, int, str], None]
    ) -> Judgement:
        """Judge one revision. `progress(done, total, path)` is called before each file.

        Raises UpstreamError and PolicyError where the revision itself cannot be judged.
        """
        resolved = await self._resolving.resolve(repo, ref)
        known = await self._resolving.snapshot(repo, ref, resolved)
        decision = (await self._deciding.revision(context, Action.FETCH, known)).decision
        refuse_own_fault(decision)
        commit = known.snapshot.revision.commit
        if decision.effect is not Effect.ALLOW:
            return Judgement(commit, decision, ())
        files = known.snapshot.revision.files
        judged = []
        for number, file in enumerate(files):
            progress(number, len(files), file.entry.path)
            judged.append(await self._file(context, known, file, decision))
        return Judgement(commit, decision, tuple(judged))

    async def _file(self, context: RequestContext, known: Known, file: FileFacts, decision: Decision) -> JudgedFile:
        path = file.entry.path
        warnings = tuple(w for w in decision.warnings if w.path == path)
        effect = decision.files.get(path, FileEffect.DENY)
        if effect is not FileEffect.NEEDS_EVIDENCE:
            return JudgedFile(path, effect.value, decision.reasons_of(path), warnings)
        facts = known.snapshot.repo
        artifact = Artifact(facts.repo, known.snapshot.revision.commit, file.entry)
        try:
            evidence = await self._gathering.gather(artifact, facts.access)
            judged = (await self._deciding.file(context, known, file, evidence, decision)).decision
            refuse_own_fault(judged)
        except GatewayError as error:
            return JudgedFile(path, "unknown", warnings=warnings, trouble=f"{error} [{error.code}]")
        return JudgedFile(path, judged.effect.value, judged.reasons, warnings + judged.warnings, evidence.reports)
