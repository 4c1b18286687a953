"""Judges one file of an allowed revision, step 4 of the one door: whoever shows a file, in any form, asks here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.domain.artifact import Artifact, FileEntry
from gateway.domain.decision import Decision, FileEffect, Reason
from gateway.domain.evidence import FileFacts, ScanReport
from gateway.domain.outcome import Absence, Refusal
from gateway.enforcement.context import Granted, GrantedFile, RequestContext
from gateway.enforcement.deciding import Decided, Deciding
from gateway.enforcement.gathering import Gathering
from gateway.enforcement.partial import inert_in_part
from gateway.enforcement.recording import GrantRecord
from gateway.enforcement.refusing import Progress, denied_by_evidence, refused_file
from gateway.enforcement.resolving import Known


@dataclass(frozen=True, slots=True)
class Answer:
    """What admission found: the grant or the refusal, the decisions behind it (the last one decided), the evidence.

    `grant`: what repeats of a grant record alike, built once for those that are remembered."""

    result: Granted | Refusal
    decided: tuple[Decided, ...] = ()
    reports: tuple[ScanReport, ...] = ()
    grant: GrantRecord | None = None

    @property
    def decision(self) -> Decision | None:
        return self.decided[-1].decision if self.decided else None

    @property
    def is_repeat(self) -> bool:
        """Every decision behind it is on record already."""
        return bool(self.decided) and all(d.remembered for d in self.decided)


class Judging:
    """One file at a time, by its path; nothing is recorded or delivered here."""

    def __init__(self, deciding: Deciding, gathering: Gathering) -> None:
        self._deciding = deciding
        self._gathering = gathering

    async def file(
        self, context: RequestContext, path: str, known: Known, decided: Decided, progress: Progress
    ) -> Answer:
        """The file `path` of `known`, whose revision `decided` allows: a GrantedFile, its refusal, or its absence.

        `progress` learns what a pending answer may say. Raises GatewayError.
        """
        revision, facts = known.snapshot.revision, known.snapshot.repo
        file = revision.file(path)
        if file is None:
            # A commit makes clients remember for ever that the file is not there: only where the whole list is known.
            commit = revision.commit if revision.files_complete else ""
            return Answer(Absence("entry", f"Entry not found: {path}", commit), (decided,))
        entry = file.entry
        if (denial := refused_file(decided.decision, entry, revision.commit)) is not None:
            return Answer(denial, (decided,))
        progress.commit, progress.entry = revision.commit, entry
        artifact = Artifact(facts.repo, revision.commit, entry)
        progress.artifact, progress.access = artifact, facts.access
        if decided.decision.files.get(entry.path) is FileEffect.ALLOW:
            # The policy asks for no evidence of this file; its bytes are bound to a digest all the same (P3).
            sha256 = await self._gathering.bind(artifact, facts.access)
            bare = replace(decided.decision, files={})
            return Answer(GrantedFile(artifact, bare, sha256, facts.access), (decided,))
        return await self._by_evidence(context, file, known, decided)

    async def piece(
        self, context: RequestContext, entry: FileEntry, known: Known, decided: Decided, progress: Progress
    ) -> Answer:
        """Bytes that lie in no revision, but that the hub hands out with this one: always judged by evidence."""
        progress.commit, progress.entry = known.snapshot.revision.commit, entry
        return await self._by_evidence(context, FileFacts(entry, "unknown"), known, decided)

    async def _by_evidence(self, context: RequestContext, file: FileFacts, known: Known, decided: Decided) -> Answer:
        entry, revision, facts = file.entry, known.snapshot.revision, known.snapshot.repo
        artifact = Artifact(facts.repo, revision.commit, entry)
        evidence = await self._gathering.gather(artifact, facts.access)
        judged = await self._deciding.file(context, known, file, evidence, decided.decision)
        if (denial := denied_by_evidence(judged.decision, entry, revision.commit)) is not None:
            return Answer(denial, (decided, judged), evidence.reports)
        decision = replace(judged.decision, warnings=_warnings(decided.decision, judged.decision, entry.path))
        spans = tuple(span for report in evidence.reports for span in report.spans)
        inert = inert_in_part(evidence.reports)
        granted = GrantedFile(artifact, decision, evidence.sha256, facts.access, spans, inert)
        return Answer(granted, (decided, judged), evidence.reports)


def _warnings(revision: Decision, file: Decision, path: str) -> tuple[Reason, ...]:
    """What the developer is told with a file: the warnings of the revision and of this file."""
    return tuple(w for w in revision.warnings if w.path in {"", path}) + file.warnings
