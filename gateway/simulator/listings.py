"""The JSON the hub tells of a repo (hub-protocol §6, §13)."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from gateway.simulator.content import lfs_pointer
from gateway.simulator.repo import Commit, File, Repo

EXPANDABLE = {
    "author", "baseModels", "cardData", "config", "createdAt", "disabled", "downloads", "downloadsAllTime", "gated",
    "gguf", "inference", "inferenceProviderMapping", "lastModified", "library_name", "likes", "mask_token",
    "model-index", "pipeline_tag", "private", "resourceGroup", "safetensors", "sha", "siblings", "spaces", "tags",
    "transformersInfo", "trendingScore", "usedStorage", "widgetData", "xetEnabled", "description", "citation",
    "paperswithcode_id", "sdk", "runtime", "models", "datasets", "subdomain",
}  # fmt: skip


def stamp(moment: datetime) -> str:
    """The hub's date form, `2025-01-15T10:00:00.000Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def info(repo: Repo, commit: Commit, *, blobs: bool, security: bool, expand: list[str]) -> dict[str, Any]:
    """Repo info at a commit. With `expand` only those properties and the ids."""
    ids = {"_id": repo.stable_key, "id": repo.id}
    if expand:
        everything = _properties(repo, commit, blobs)
        found = {**ids, **{name: everything[name] for name in expand if name in everything}}
        return {**found, "securityRepoStatus": security_status(repo)} if security else found
    names = [
        "author", "sha", "lastModified", "createdAt", "private", "gated", "disabled", "downloads", "likes", "tags",
        "cardData", "siblings", "usedStorage", "spaces",
    ]  # fmt: skip
    if repo.type == "model":
        names += ["pipeline_tag", "library_name", "config"]
    properties = _properties(repo, commit, blobs)
    found = {**ids, **{name: properties[name] for name in names if name in properties}}
    if repo.type == "model":
        found["modelId"] = repo.id
    if security:
        found["securityRepoStatus"] = security_status(repo)
    return found


def _properties(repo: Repo, commit: Commit, blobs: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "sha": commit.id,
        "lastModified": stamp(repo.last_modified),
        "createdAt": stamp(repo.created_at),
        "private": repo.private,
        "gated": repo.gated,
        "disabled": repo.disabled,
        "downloads": repo.downloads,
        "downloadsAllTime": repo.downloads * 12,
        "likes": repo.likes,
        "tags": tags(repo),
        "cardData": repo.card,
        "siblings": [_sibling(file, blobs) for file in _sorted(commit)],
        "usedStorage": sum(file.size for file in commit.files.values() if file.lfs),
        "spaces": [],
        "config": repo.config,
        "xetEnabled": True,
        "trendingScore": 0,
    }
    if "/" in repo.id:
        found["author"] = repo.id.split("/")[0]
    if repo.pipeline:
        found["pipeline_tag"] = repo.pipeline
    if repo.library:
        found["library_name"] = repo.library
    if base := _listed(repo.card.get("base_model")):
        found["baseModels"] = {"relation": repo.card.get("base_model_relation", "finetune"), "models": base}
    return found


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def tags(repo: Repo) -> list[str]:
    """Free tags and those the hub derives from the card."""
    derived = [t for t in (repo.library, repo.pipeline) if t]
    derived += [f"license:{name}" for name in _listed(repo.card.get("license"))]
    derived += [f"base_model:{name}" for name in _listed(repo.card.get("base_model"))]
    return [*derived, *(t for t in repo.tags if t not in derived), "region:us"]


def _sorted(commit: Commit) -> list[File]:
    return [commit.files[path] for path in sorted(commit.files)]


def _lfs(file: File, key: str) -> dict[str, Any]:
    return {key: file.content.sha256, "size": file.size, "pointerSize": len(lfs_pointer(file.content))}


def _sibling(file: File, blobs: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": file.path}
    if blobs:
        entry |= {"size": file.size, "blobId": file.oid}
        if file.lfs:
            entry["lfs"] = _lfs(file, "sha256")
    return entry


def file_entry(repo: Repo, commit: Commit, file: File, *, expand: bool) -> dict[str, Any]:
    """A file of tree and paths-info."""
    entry: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": file.path}
    if file.lfs:
        entry |= {"lfs": _lfs(file, "oid"), "xetHash": file.xet}
    if expand:
        entry["lastCommit"] = last_commit(repo, commit, file.path)
        entry["securityFileStatus"] = file_security(repo, file.path)
    return entry


def directory_entry(repo: Repo, commit: Commit, path: str, *, expand: bool) -> dict[str, Any]:
    oid = hashlib.sha1(f"tree {commit.id} {path}".encode(), usedforsecurity=False).hexdigest()
    entry: dict[str, Any] = {"type": "directory", "oid": oid, "size": 0, "path": path}
    if expand:
        entry["lastCommit"] = last_commit(repo, commit, path)
    return entry


def last_commit(repo: Repo, commit: Commit, path: str) -> dict[str, str]:
    """The newest commit of the history that changed the path (or, for a folder, anything below it)."""
    found = commit
    for older in repo.history(commit):
        below = [p for p in older.files if p == path or p.startswith(path + "/")]
        parent = repo.commits.get(older.parent)
        found = older
        if parent is None or any(parent.files.get(p) is not older.files[p] for p in below):
            break
    return {"id": found.id, "title": found.message, "date": stamp(found.date)}


def tree(repo: Repo, commit: Commit, path: str, *, recursive: bool, expand: bool) -> list[dict[str, Any]] | None:
    """Entries below a folder ("" for the root), folders before files on each level; None: no such folder."""
    base = path.strip("/") + "/" if path.strip("/") else ""
    below = {p: f for p, f in commit.files.items() if p.startswith(base)}
    if base and not below:
        return None
    entries: list[dict[str, Any]] = []

    def walk(prefix: str) -> None:
        names = [p.removeprefix(prefix) for p in below if p.startswith(prefix)]
        for folder in sorted({n.split("/")[0] for n in names if "/" in n}):
            entries.append(directory_entry(repo, commit, prefix + folder, expand=expand))
            if recursive:
                walk(f"{prefix}{folder}/")
        files = sorted(n for n in names if "/" not in n)
        entries.extend(file_entry(repo, commit, below[prefix + name], expand=expand) for name in files)

    walk(base)
    return entries


def paths_info(repo: Repo, commit: Commit, paths: list[str], *, expand: bool) -> list[dict[str, Any]]:
    """The asked-for files and folders that exist; the others are left out."""
    entries = []
    for path in paths:
        if path in commit.files:
            entries.append(file_entry(repo, commit, commit.files[path], expand=expand))
        elif any(p.startswith(path.rstrip("/") + "/") for p in commit.files):
            entries.append(directory_entry(repo, commit, path.rstrip("/"), expand=expand))
    return entries


def treesize(commit: Commit, path: str) -> int | None:
    """Bytes of all files below a folder ("" for all), or of one file; None where there is neither."""
    base = path.strip("/")
    sizes = [f.size for p, f in commit.files.items() if not base or p == base or p.startswith(base + "/")]
    return sum(sizes) if sizes or not base else None


def safetensors_metadata(commit: Commit, path: str) -> dict[str, Any] | None:
    """The headers of the shards that an index names, and the index without its map; None where it is not there."""
    file = commit.files.get(path)
    if file is None:
        return None
    if path.endswith(".safetensors"):
        return {"headers": {path.rsplit("/", 1)[-1]: _header(file)}, "index": {"metadata": {}}}
    index = json.loads(file.content.read(0, file.size))
    folder = path.rpartition("/")[0]
    shards = {name: commit.files.get(f"{folder}/{name}".lstrip("/")) for name in index["weight_map"].values()}
    headers = {name: _header(shard) for name, shard in sorted(shards.items()) if shard is not None}
    return {"headers": headers, "index": {"metadata": index.get("metadata", {})}}


def _header(file: File) -> Any:
    length = int.from_bytes(file.content.read(0, 8), "little")
    return json.loads(file.content.read(8, length))


def refs(repo: Repo, *, include_prs: bool) -> dict[str, Any]:
    def rows(kind: str, named: dict[str, str]) -> list[dict[str, str]]:
        return [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": c} for n, c in named.items()]

    found: dict[str, Any] = {
        "branches": rows("heads", repo.branches),
        "converts": rows("convert", repo.converts),
        "tags": rows("tags", repo.tag_refs),
    }
    if include_prs:
        found["pullRequests"] = [
            {"name": f"refs/pr/{n}", "ref": f"refs/pr/{n}", "targetCommit": p.head}
            for n, p in repo.pull_requests.items()
        ]
    return found


def commit_entry(commit: Commit, author: str) -> dict[str, Any]:
    return {
        "id": commit.id,
        "title": commit.message,
        "message": "",
        "authors": [{"user": author, "avatar": "/avatars/none.svg"}],
        "date": stamp(commit.date),
    }


def security_status(repo: Repo) -> dict[str, Any]:
    """`scansDone` false means unknown, not clean."""
    issues = [{"path": path, "level": level} for path, level in repo.scan_levels.items()]
    return {"scansDone": repo.scans_done, "filesWithIssues": issues}


def file_security(repo: Repo, path: str) -> dict[str, Any]:
    status = repo.scan_levels.get(path, "safe" if repo.scans_done else "queued")
    words = "No security issues detected" if status == "safe" else "This file has been flagged."
    is_pickle = path.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl"))
    pickle_status = status if is_pickle else "unscanned"
    return {
        "status": status,
        "avScan": {"status": status, "message": words},
        "pickleImportScan": {
            "status": pickle_status,
            "pickleImports": [],
            "version": "0.0.32" if is_pickle else "0.0.0",
        },
        "protectAiScan": {"status": status, "message": words},
        "jFrogScan": {"status": status, "message": words},
        "virusTotalScan": {"status": status, "message": words},
    }
