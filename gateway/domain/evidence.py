"""What is known about a revision and its files, with its gaps (design §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.domain.artifact import FileEntry, RefKind, Repo


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class FindingClass(StrEnum):
    """What a finding is about (scanning.md §5.4)."""

    CODE_EXEC = "code-exec"
    FILE = "file"
    NETWORK = "network"
    DOS = "dos"
    TRAVERSAL = "traversal"
    AMBIGUITY = "ambiguity"
    REMOTE_CODE = "remote-code"
    TEMPLATE = "template"
    EMBEDDED_EXE = "embedded-exe"
    UNKNOWN_GLOBAL = "unknown-global"
    FRAMEWORK_GLOBAL = "framework-global"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Finding:
    """An observation by a scanner. `message` is one printable line of at most 200 characters, without file content."""

    rule: str
    cls: FindingClass
    severity: Severity
    message: str
    location: str = ""
    symbol: str = ""


class Surface(StrEnum):
    """Was everything that can execute or mislead seen?"""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How complete the looking was. `cause` is a short code: "timeout", "oom", "crashed", "unsupported-format", …"""

    surface: Surface
    whole_file: bool
    cause: str = ""


@dataclass(frozen=True, slots=True)
class JudgedSpan:
    """A byte range that a scanner read, bound to its content: the served bytes must be equal (design §6.2)."""

    start: int
    end: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ScanReport:
    """Findings and Coverage of one scanner on one file; never a verdict.

    `format` is the format by content ("safetensors", "pickle", "torch-zip", "json", "text", "unknown", …).
    `spans` are the ranges that were read when the file was judged by ranges; empty when it was read whole.
    """

    scanner: str
    version: str
    format: str
    coverage: Coverage
    findings: tuple[Finding, ...] = ()
    spans: tuple[JudgedSpan, ...] = ()


class Reachable(StrEnum):
    """Is the commit part of the default branch's history?"""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class License:
    """What a repo declares. `source`: "card", "file" or "none"; `spdx` is None where the id is no SPDX expression."""

    declared: tuple[str, ...] = ()
    spdx: str | None = None
    source: str = "none"
    name: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class LineageParent:
    """A declared base model. `relation`: "base", "finetune", "adapter", "merge", "quantized" or "unknown"."""

    id: str
    relation: str = "unknown"


@dataclass(frozen=True, slots=True)
class HubVerdict:
    """What the hub's own scanner says of a file: a fact beside ours, never instead of it."""

    path: str
    vendor: str
    level: str


@dataclass(frozen=True, slots=True)
class RepoFacts:
    """Facts about a repo (`input.repo`). Times are RFC 3339 or "" where the hub does not say.

    `access` tells which credential opened the repo upstream: "anonymous" or "gateway_token" (P7).
    """

    repo: Repo
    stable_key: str
    publisher: str
    license: License = License()
    lineage: tuple[LineageParent, ...] = ()
    created_at: str = ""
    first_seen_at: str = ""
    last_modified: str = ""
    gated: str = "no"
    private: bool = False
    disabled: bool = False
    access: str = "anonymous"
    tags: tuple[str, ...] = ()
    library: str = ""
    pipeline: str = ""
    downloads: int = 0
    likes: int = 0
    auto_map: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file in `input.revision.files[]`: the entry, a format guess by name, and facts about its siblings.

    `twin` is the path of the safetensors file that carries the same weights, "" where there is none.
    """

    entry: FileEntry
    format_guess: str
    twin: str = ""


@dataclass(frozen=True, slots=True)
class RevisionFacts:
    """An immutable revision and how it was reached (`input.revision`).

    `unroutable`: names, with escapes, of files that no request can name. They are in no listing and never served.
    """

    commit: str
    ref: str
    ref_kind: RefKind
    reachable: Reachable
    committed_at: str
    files: tuple[FileFacts, ...]
    files_complete: bool = True
    hub_verdicts: tuple[HubVerdict, ...] = ()
    unroutable: tuple[str, ...] = ()

    def file(self, path: str) -> FileFacts | None:
        """The facts of one path, or None where the revision has no such file."""
        return next((f for f in self.files if f.entry.path == path), None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known about one repo at one revision, and the hub's own JSON for the info answer."""

    repo: RepoFacts
    revision: RevisionFacts
    info: Mapping[str, Any] = field(default_factory=dict)
    tree: tuple[Mapping[str, Any], ...] = ()
