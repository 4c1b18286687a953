"""Facts of one revision, built from the hub's answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.domain.artifact import RefKind, Repo
from gateway.domain.evidence import HubVerdict, Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.domain.siblings import file_facts
from gateway.hubs.huggingface.card import auto_map_of, license_of, lineage_of
from gateway.hubs.huggingface.entries import Listing
from gateway.hubs.huggingface.limits import malformed
from gateway.hubs.huggingface.names import is_commit, is_repo_id

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_PULL_REQUEST: Final = re.compile(r"refs/pr/\d+(/.*)?")


@dataclass(frozen=True, slots=True)
class History:
    """What the commit log says of a revision."""

    committed_at: str
    reachable: Reachable


def commit_of(info: Any) -> str:
    """The `sha` of an info answer. Raises UpstreamUnavailable (`upstream/malformed`)."""
    sha = info.get("sha") if isinstance(info, dict) else None
    if not isinstance(sha, str) or not is_commit(sha):
        raise malformed("The hub's info answer has no commit id.")
    return sha


def canonical_repo(repo: Repo, info: Mapping[str, Any]) -> Repo:
    """The repo under the id that the hub itself uses (after a rename). Raises UpstreamUnavailable."""
    repo_id = info.get("id")
    if not isinstance(repo_id, str) or not is_repo_id(repo_id):
        raise malformed("The hub's info answer has no valid repo id.")
    return Repo(repo.hub, repo.type, repo_id)


def is_default(ref: str) -> bool:
    """Does the ref name the default branch? On this hub that is always `main`."""
    return ref in ("", "main")


def under_ref(snapshot: Snapshot, ref: str, kind: RefKind) -> Snapshot:
    """The same commit, as asked for by another ref."""
    reachable = Reachable.YES if is_default(ref) else snapshot.revision.reachable
    return replace(snapshot, revision=replace(snapshot.revision, ref=ref, ref_kind=kind, reachable=reachable))


def kind_by_text(ref: str) -> RefKind | None:
    """The kind of a ref where its text alone tells; None where the refs of the repo must be asked."""
    if ref in ("", "main") or ref.startswith("refs/heads/"):
        return RefKind.BRANCH
    if is_commit(ref):
        return RefKind.COMMIT
    if _PULL_REQUEST.fullmatch(ref):
        return RefKind.PULL_REQUEST
    if ref.startswith("refs/tags/"):
        return RefKind.TAG
    return RefKind.CONVERT if ref.startswith("refs/convert/") else None


def kind_by_refs(ref: str, refs: Any) -> RefKind:
    """Branch, tag or convert by the refs answer; anything else can only be a short commit id."""
    source = refs if isinstance(refs, dict) else {}
    for key, kind in (("branches", RefKind.BRANCH), ("tags", RefKind.TAG), ("converts", RefKind.CONVERT)):
        rows = source.get(key)
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict) and ref in (row.get("name"), row.get("ref")):
                return kind
    return RefKind.COMMIT


def snapshot_of(
    repo: Repo,
    ref: str,
    ref_kind: RefKind,
    info: Mapping[str, Any],
    listing: Listing,
    history: History,
    access: str,
) -> Snapshot:
    """Everything together; `repo` is the canonical one."""
    revision = RevisionFacts(
        commit=commit_of(info),
        ref=ref,
        ref_kind=ref_kind,
        reachable=history.reachable,
        committed_at=history.committed_at,
        files=file_facts(listing.files),
        files_complete=listing.complete,
        unroutable=listing.unroutable,
        hub_verdicts=hub_verdicts(info.get("securityRepoStatus")),
    )
    bare = {key: value for key, value in info.items() if key != "siblings"}
    return Snapshot(repo_facts(repo, info, listing, access), revision, bare, listing.tree)


def repo_facts(repo: Repo, info: Mapping[str, Any], listing: Listing, access: str) -> RepoFacts:
    """`input.repo`. What is missing or malformed reads as the restrictive value, never as the harmless one."""
    tags = info.get("tags")
    return RepoFacts(
        repo=repo,
        stable_key=_text(info.get("_id")),
        publisher=repo.id.partition("/")[0] if "/" in repo.id else "",
        license=license_of(info, (entry.path for entry in listing.files)),
        lineage=lineage_of(info),
        created_at=time_text(info.get("createdAt")),
        last_modified=time_text(info.get("lastModified")),
        gated=gate_of(info),
        private=info.get("private", False) is not False,
        disabled=info.get("disabled", False) is not False,
        access=access,
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        library=_text(info.get("library_name")),
        pipeline=_text(info.get("pipeline_tag")),
        downloads=_count(info.get("downloads")),
        likes=_count(info.get("likes")),
        auto_map=auto_map_of(info),
    )


def gate_of(info: Mapping[str, Any]) -> str:
    """`no`, `auto` or `manual`; a word that we do not know is a gate that somebody must open by hand."""
    gated = info.get("gated", False)
    if gated is False or gated is None:
        return "no"
    return "auto" if gated == "auto" else "manual"


def hub_verdicts(status: Any) -> tuple[HubVerdict, ...]:
    """`securityRepoStatus.filesWithIssues` (hub-protocol §13.3). Its silence says nothing."""
    issues = status.get("filesWithIssues") if isinstance(status, dict) else None
    rows = issues if isinstance(issues, list) else []
    return tuple(
        HubVerdict(_text(row.get("path")), "huggingface", _text(row.get("level")))
        for row in rows
        if isinstance(row, dict)
    )


def time_text(value: Any) -> str:
    """An RFC 3339 time unchanged, else ""."""
    return value if isinstance(value, str) and _TIME.fullmatch(value) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
