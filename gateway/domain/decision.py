"""The question to the policy engine and the whole answer (design §4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from gateway.domain.artifact import Artifact
from gateway.domain.evidence import FileFacts, RepoFacts, RevisionFacts, ScanReport
from gateway.domain.request import Action
from gateway.domain.subject import Client, Subject


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    QUARANTINE = "quarantine"


class FileEffect(StrEnum):
    """What a revision decision says of one file."""

    ALLOW = "allow"
    DENY = "deny"
    HIDE = "hide"
    NEEDS_EVIDENCE = "needs_evidence"


class DecisionScope(StrEnum):
    """What is refused; each has a denial form (design §5)."""

    REPO = "repo"
    REVISION = "revision"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a rule id `category/rule-name`, words for a person, and what to do next. `path` is "" for the whole."""

    rule: str
    severity: str
    message: str
    remedy: str
    path: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class WaivedReason:
    """A reason that a waiver silenced."""

    reason: Reason
    waiver: str


@dataclass(frozen=True, slots=True)
class Obligation:
    """What must be fulfilled, else no allow. `value` is JSON-like."""

    kind: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Query:
    """One evaluation. Scope "revision": `artifact`, `reports`, `parent` and `sha256` are empty. Scope "file": all set,
    and `revision.files` is empty. `sha256` names the judged bytes, whatever digest the hub names them by.
    `code_paths` are the Python files of the whole revision, in either scope and in every batch.
    """

    scope: str
    action: Action
    subject: Subject
    client: Client
    address: str
    repo: RepoFacts
    revision: RevisionFacts
    now: datetime
    artifact: Artifact | None = None
    file: FileFacts | None = None
    reports: tuple[ScanReport, ...] = ()
    parent: str = ""
    sha256: str = ""
    code_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole answer of the policy engine, and what the gateway adds.

    `dryruns` are reasons of rules in mode `dryrun`: for the ledger only. `files` is filled in scope "revision".
    """

    effect: Effect
    scope: DecisionScope
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    dryruns: tuple[Reason, ...] = ()
    waived: tuple[WaivedReason, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    files: dict[str, FileEffect] = field(default_factory=dict)
    id: str = ""
    engine: str = ""
    policy_digest: str = ""
    data_digest: str = ""
    input_digest: str = ""
    duration_ms: float = 0.0
    valid_until: datetime | None = None

    def reasons_of(self, path: str) -> tuple[Reason, ...]:
        """The reasons that concern one file."""
        return tuple(r for r in self.reasons if r.path == path)
