"""Listings: info, tree, paths-info, refs, commits, scan, treesize. Hidden paths are removed, Xet hashes and links too.

A listing is never emptied to deny (hub-protocol trap 35): where every file is hidden, all stay listed and each GET
carries its refusal. Trees are served whole, without `Link`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from gateway.domain.decision import Decision, FileEffect
from gateway.domain.evidence import Snapshot
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface.commits import log_json
from gateway.hubs.huggingface.scrub import INFO_KEYS, Scrub
from gateway.ports import Rendering

JSON_TYPE = ("Content-Type", "application/json; charset=utf-8")

Entry = Mapping[str, Any]
# What `expand` adds to an entry of tree and paths-info.
_EXPANDED = ("lastCommit", "securityFileStatus", "security")


class UnknownFolder(Exception):
    """The tree was asked for a folder that the revision does not have (or shows)."""


def json_answer(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Rendering:
    """A JSON body with its headers."""
    return Rendering(status, (*headers, JSON_TYPE), orjson.dumps(value))


def hidden_paths(snapshot: Snapshot, decision: Decision) -> frozenset[str]:
    """The paths that no listing may show; none where nothing else would be left."""
    hidden = {path for path, effect in decision.files.items() if effect is FileEffect.HIDE}
    paths = {facts.entry.path for facts in snapshot.revision.files}
    return frozenset(hidden) if paths - hidden else frozenset()


def listing_value(request: HubRequest, snapshot: Snapshot, decision: Decision, payload: Any, scrub: Scrub) -> Any:
    """The JSON value of an allowed listing. Raises UnknownFolder."""
    hidden = hidden_paths(snapshot, decision)
    match request.kind:
        case RequestKind.INFO:
            return _info(request, snapshot, hidden, payload, scrub)
        case RequestKind.TREE:
            tree = _tree(request, _visible(_entries(snapshot, payload), hidden), snapshot, hidden)
            return _cleaned(tree, payload, scrub)
        case RequestKind.PATHS_INFO:
            return _cleaned(_paths_info(request, _visible(_entries(snapshot, payload), hidden)), payload, scrub)
        case RequestKind.REFS:
            return _refs(request, payload)
        case RequestKind.COMMITS:
            return log_json(payload, scrub)
        case RequestKind.SCAN:
            return _security(snapshot.info.get("securityRepoStatus"), hidden)
        case RequestKind.TREESIZE:
            return {"path": f"/{request.path}", "size": _size_below(request, snapshot, hidden)}
        case RequestKind.AUTH_CHECK:
            return {}
        case _:
            raise ValueError(f"{request.kind} is no listing")


def _entries(snapshot: Snapshot, payload: Any) -> Iterable[Entry]:
    """The rows of the snapshot, which were checked and judged; of a forwarded listing those that it names too, with
    what only it says (`expand`). What it says of digests and sizes is not believed: the files are held against ours."""
    if not isinstance(payload, list):
        return snapshot.tree
    told = {row["path"]: row for row in payload if isinstance(row, Mapping) and isinstance(row.get("path"), str)}
    more = ((entry, told[entry["path"]]) for entry in snapshot.tree if entry["path"] in told)
    return [{**entry, **{key: row[key] for key in _EXPANDED if key in row}} for entry, row in more]


def _cleaned(entries: list[Entry], payload: Any, scrub: Scrub) -> list[Any]:
    """Forwarded rows lose what must not leave; our own are cut to the keys that clients read (and quickly: a revision
    may have thousands)."""
    return [scrub.json(entry) for entry in entries] if isinstance(payload, list) else [_plain(e) for e in entries]


def _plain(entry: Entry) -> dict[str, Any]:
    row = {key: entry[key] for key in ("type", "oid", "size", "path")}
    if lfs := entry.get("lfs"):
        row["lfs"] = {"oid": lfs["oid"], "size": lfs["size"], "pointerSize": lfs.get("pointerSize", 0)}
    return row


def _visible(entries: Iterable[Any], hidden: frozenset[str]) -> list[Entry]:
    """Entries without hidden files, and without the folders that held nothing else."""
    listed = list(entries)
    if not hidden:
        return listed
    files = [e for e in listed if e.get("type") != "directory" and e.get("path") not in hidden]
    kept = {parent for e in files for parent in _parents(str(e.get("path", "")))}
    gone = {parent for path in hidden for parent in _parents(path)} - kept
    return [
        e
        for e in listed
        if (e.get("path") not in hidden if e.get("type") != "directory" else e.get("path") not in gone)
    ]


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _info(
    request: HubRequest, snapshot: Snapshot, hidden: frozenset[str], payload: Any, scrub: Scrub
) -> dict[str, Any]:
    source: Mapping[str, Any] = payload if isinstance(payload, Mapping) else snapshot.info
    asked = set(request.query.get("expand", ()))
    wanted = (asked | {"_id", "id", "modelId"}) if asked else INFO_KEYS
    info = {key: scrub.json(source[key]) for key in INFO_KEYS & wanted if key in source}
    info["id"] = snapshot.repo.repo.id
    if "modelId" in info:
        info["modelId"] = snapshot.repo.repo.id
    if not asked or "sha" in asked:
        info["sha"] = snapshot.revision.commit
    if not asked or "siblings" in asked:
        with_blobs = bool(request.query.get("blobs"))
        info["siblings"] = _siblings(_visible(snapshot.tree, hidden), snapshot, hidden, with_blobs)
    if "securityRepoStatus" in info:
        info["securityRepoStatus"] = _security(info["securityRepoStatus"], hidden)
    if "securityStatus" not in request.query and not asked:
        info.pop("securityRepoStatus", None)
    return info


def _security(status: Any, hidden: frozenset[str]) -> dict[str, Any]:
    """The hub's own verdicts (hub-protocol §13.3) without hidden files. Where it says nothing, its scans are not done:
    unknown, not clean."""
    known = status if isinstance(status, Mapping) else {}
    issues = known.get("filesWithIssues")
    rows = [row for row in issues if isinstance(row, Mapping)] if isinstance(issues, list) else []
    shown = [{"path": str(row.get("path")), "level": str(row.get("level"))} for row in rows]
    return {
        "scansDone": known.get("scansDone") is True,
        "filesWithIssues": [row for row in shown if row["path"] not in hidden],
    }


def _size_below(request: HubRequest, snapshot: Snapshot, hidden: frozenset[str]) -> int:
    """Bytes of the files that a listing shows below a folder ("" for all), or of one file. Raises UnknownFolder."""
    path, below = request.path, f"{request.path}/"
    files = [facts.entry for facts in snapshot.revision.files if facts.entry.path not in hidden]
    sizes = [e.size_bytes for e in files if not path or e.path == path or e.path.startswith(below)]
    if path and not sizes:
        raise UnknownFolder(path)
    return sum(sizes)


def _siblings(tree: list[Entry], snapshot: Snapshot, hidden: frozenset[str], with_blobs: bool) -> list[dict[str, Any]]:
    if not with_blobs:
        return [{"rfilename": f.entry.path} for f in snapshot.revision.files if f.entry.path not in hidden]
    return [_sibling(entry) for entry in tree if entry.get("type") != "directory"]


def _sibling(entry: Entry) -> dict[str, Any]:
    """The same facts as in the tree, under the names that siblings use (`blobId`, `lfs.sha256`)."""
    sibling = {"rfilename": entry["path"], "size": entry["size"], "blobId": entry["oid"]}
    if lfs := entry.get("lfs"):
        sibling["lfs"] = {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": lfs.get("pointerSize", 0)}
    return sibling


def _tree(request: HubRequest, entries: list[Entry], snapshot: Snapshot, hidden: frozenset[str]) -> list[Entry]:
    if request.path:
        below = request.path + "/"
        entries = [entry for entry in entries if str(entry.get("path", "")).startswith(below)]
        known = (f.entry.path for f in snapshot.revision.files if f.entry.path not in hidden)
        if not any(path.startswith(below) for path in known):
            raise UnknownFolder(request.path)
    if request.query.get("recursive"):
        return entries
    depth = request.path.count("/") + 1 if request.path else 0
    return [entry for entry in entries if str(entry.get("path", "")).count("/") == depth]


def _paths_info(request: HubRequest, entries: list[Entry]) -> list[Entry]:
    """The entries asked for, in the order asked; what the revision lacks is left out, as the hub does."""
    by_path = {entry.get("path"): entry for entry in entries}
    return [by_path[path] for path in request.query.get("paths", ()) if path in by_path]


def _refs(request: HubRequest, payload: Any) -> dict[str, list[dict[str, str]]]:
    """All three lists, which clients require; pull requests only where asked for."""
    source = payload if isinstance(payload, Mapping) else {}
    refs = {name: _ref_list(source.get(name)) for name in ("branches", "converts", "tags")}
    if request.query.get("include_prs"):
        refs["pullRequests"] = _ref_list(source.get("pullRequests"))
    return refs


def _ref_list(value: Any) -> list[dict[str, str]]:
    keys = ("name", "ref", "targetCommit")
    rows = value if isinstance(value, list) else []
    return [{k: str(row[k]) for k in keys} for row in rows if isinstance(row, Mapping) and all(k in row for k in keys)]
