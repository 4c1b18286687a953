"""A hub in memory: what it holds is set by a test, what it was asked is counted, and it can be down."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.domain.artifact import Artifact, FileEntry, RefKind, Repo, Span
from gateway.domain.errors import IntegrityError, UpstreamNotFound, UpstreamUnavailable
from gateway.domain.evidence import FileFacts, Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.ports import KnownCommit, Resolved

CHUNK_BYTES = 64 * 1024


@dataclass
class ScriptedRepo:
    """`facts`, and by commit the `files` that are listed and the `content` that is there; each may be set anew."""

    facts: RepoFacts
    files: dict[str, tuple[FileFacts, ...]] = field(default_factory=dict)
    content: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class ScriptedHub:
    """ports.Upstream. Passes tests/contracts/upstream.py. `asked` counts the questions by the method's name.

    `answers` are what `forward` says by the route's name, instead of what the repos hold.
    """

    def __init__(self) -> None:
        self.is_up = True
        self.cut_at_bytes: int | None = None
        self.asked: Counter[str] = Counter()
        self.repos: dict[Repo, ScriptedRepo] = {}
        self.answers: dict[str, Any] = {}

    def publish(self, repo: Repo, files: Mapping[str, bytes], *, private: bool = False) -> str:
        """Add the files to `main` in a new commit, and return its id."""
        key = hashlib.sha256(str(repo).encode()).hexdigest()[:24]
        facts = RepoFacts(repo, key, repo.id.partition("/")[0], private=private)
        held = self.repos.setdefault(repo, ScriptedRepo(facts))
        content = {**held.content.get(held.branches.get("main", ""), {}), **files}
        commit = hashlib.sha1(f"{repo} {len(held.content)}".encode()).hexdigest()
        held.content[commit] = content
        held.files[commit] = tuple(FileFacts(_entry(path, content[path]), "unknown") for path in sorted(content))
        held.branches["main"] = commit
        return commit

    def tag(self, repo: Repo, name: str) -> None:
        self.repos[repo].tags[name] = self.repos[repo].branches["main"]

    async def resolve(self, repo: Repo, ref: str) -> Resolved:
        held = self._opened("resolve", repo, "gateway_token")
        refs = {"": held.branches["main"], **held.tags, **held.branches}
        commit = refs.get(ref, ref)
        self._check_revision(held, commit)
        return Resolved(commit, "gateway_token" if held.facts.private else "anonymous")

    async def snapshot(
        self, repo: Repo, ref: str, commit: str, access: str, known: KnownCommit | None = None
    ) -> Snapshot:
        if known is not None and known.is_fresh:
            kind = RefKind.COMMIT if ref == commit else RefKind.TAG if ref in self.repos[repo].tags else RefKind.BRANCH
            return replace(known.snapshot, revision=replace(known.snapshot.revision, ref=ref, ref_kind=kind))
        held = self._opened("snapshot", repo, access)
        self._check_revision(held, commit)
        kind = RefKind.TAG if ref in held.tags else RefKind.COMMIT if ref in held.files else RefKind.BRANCH
        revision = RevisionFacts(commit, ref, kind, Reachable.YES, "", held.files[commit])
        return Snapshot(replace(held.facts, access=access), revision)

    async def read_range(self, artifact: Artifact, span: Span, access: str) -> bytes:
        data = self._content("read_range", artifact, access)
        if not 0 <= span.start <= span.end <= artifact.entry.size_bytes:
            raise ValueError("the span lies outside the file")
        if self.cut_at_bytes is not None and span.length > self.cut_at_bytes:
            raise UpstreamUnavailable("the body was cut short")
        return data[span.start : span.end]

    @asynccontextmanager
    async def open(self, artifact: Artifact, access: str, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        data = self._content("open", artifact, access)
        if not 0 <= start <= artifact.entry.size_bytes:
            raise ValueError("the start lies outside the file")
        yield self._chunks(data[start:])

    async def forward(self, repo: Repo, name: str, query: Mapping[str, tuple[str, ...]], access: str) -> Any:
        held = self._opened("forward", repo, access)
        if name in self.answers:
            return self.answers[name]
        if name == "refs":
            return {"branches": _refs(held.branches), "tags": _refs(held.tags)}
        (commit,) = query["commit"]
        self._check_revision(held, commit)
        rows = [_row(file.entry) for file in held.files[commit]]
        match name:
            case "info":
                return {"id": repo.id, "sha": commit}
            case "tree":
                (folder,) = query.get("path", ("",))
                return [row for row in rows if row["path"].rpartition("/")[0] == folder]
            case "commits":
                commits = list(held.files)
                log = commits[commits.index(commit) :: -1]
                return {"rows": [{"id": one, "title": "", "authors": []} for one in log], "next": {}}
            case "paths_info":
                return [row for row in rows if row["path"] in query["paths"]]
            case _:
                raise ValueError(f"there is no upstream route {name!r}")

    def _opened(self, question: str, repo: Repo, access: str) -> ScriptedRepo:
        self.asked[question] += 1
        self._check_up()
        held = self.repos.get(repo)
        if held is None or (held.facts.private and access != "gateway_token"):
            raise UpstreamNotFound("the hub has no such repo", what="repo")
        return held

    def _check_up(self) -> None:
        if not self.is_up:
            raise UpstreamUnavailable("the hub is down")

    def _check_revision(self, held: ScriptedRepo, commit: str) -> None:
        if commit not in held.files:
            raise UpstreamNotFound("the hub has no such revision", what="revision")

    def _content(self, question: str, artifact: Artifact, access: str) -> bytes:
        held = self._opened(question, artifact.repo, access)
        self._check_revision(held, artifact.commit)
        data = held.content[artifact.commit].get(artifact.path)
        if data is None:
            raise UpstreamNotFound("the hub has no such file", what="entry")
        if _entry(artifact.path, data).identity != artifact.entry.identity:
            raise IntegrityError("the hub has other bytes under this name")
        return data

    async def _chunks(self, data: bytes) -> AsyncIterator[bytes]:
        sent = data[: self.cut_at_bytes]
        for offset in range(0, len(sent), CHUNK_BYTES):
            self._check_up()
            yield sent[offset : offset + CHUNK_BYTES]
        if len(sent) < len(data):
            raise UpstreamUnavailable("the body was cut short")


def _entry(path: str, data: bytes) -> FileEntry:
    """As hubs do: `*.bin` is an LFS file, whose git id is that of a pointer; any other is named by its git id."""
    git_oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return FileEntry(path, len(data), git_oid, hashlib.sha256(data).hexdigest() if path.endswith(".bin") else None)


def _refs(refs: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "targetCommit": commit} for name, commit in refs.items()]


def _row(entry: FileEntry) -> dict[str, Any]:
    return {"type": "file", "path": entry.path, "size": entry.size_bytes, "oid": entry.git_oid}
