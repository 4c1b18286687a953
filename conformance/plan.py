"""What a driver is told: where the registry is, which repos stand for which role, and what their bytes are.

A digest is what names the file on the hub: 64 hex digits are a sha256, 40 are a git blob id.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conformance.world import roles
from gateway.simulator import Repo, World

Repos = dict[str, dict[str, Any]]


def repos_of(world: World) -> Repos:
    """The plan of the conformance world: every role with its files."""
    found: Repos = {}
    for role, name in roles().items():
        repo = world[name]
        files = {path: {"size": file.size, "digest": file.etag} for path, file in repo.main.files.items()}
        found[role] = {"id": repo.id, "type": repo.type, "commit": repo.main.id, "files": files}
    found["renamed"]["former"] = "conformance/former-name"
    revisions, table = world[roles()["revisions"]], world[roles()["csv"]]
    found["revisions"] |= _revisions(revisions)
    found["pull"] = _at(revisions, "refs/pr/1")
    found["converted"] = _at(table, "refs/convert/parquet")
    return found


def _at(repo: Repo, revision: str) -> dict[str, Any]:
    commit = repo.resolve(revision)
    assert commit is not None
    files = {path: {"size": file.size, "digest": file.etag} for path, file in commit.files.items()}
    return {"id": repo.id, "type": repo.type, "commit": commit.id, "files": files, "revision": revision}


def _revisions(repo: Repo) -> dict[str, Any]:
    """What a file is under each name of a revision, and the refs and commits that there are."""
    first, path = repo.tag_refs["v1.0"], "version.txt"
    named = {"main": repo.branches["main"], "dev": repo.branches["dev"], "v1.0": first, first: first, first[:10]: first}
    return {
        "path": path,
        "named": {
            n: {"size": f.size, "digest": f.etag} for n, c in named.items() for f in [repo.commits[c].files[path]]
        },
        "branches": sorted(repo.branches),
        "tags": sorted(repo.tag_refs),
        "commits": [commit.id for commit in repo.history(repo.main)],
    }


def repos_from(file: Path, endpoint: str, token: str) -> Repos:
    """The roles named in a JSON file `{role: "org/name" | {"id", "type", …}}`; digests come from the registry's HEADs.

    Roles that are not named have no repo: their features are not run.
    """
    found: Repos = {}
    for role, given in json.loads(file.read_text("utf-8")).items():
        entry = {"id": given} if isinstance(given, str) else dict(given)
        kinds = {"csv": "dataset", "parquet": "dataset", "converted": "dataset", "space": "space"}
        entry.setdefault("type", kinds.get(role, "model"))
        if "files" not in entry:
            entry |= _asked(endpoint, token, entry)
        if role == "revisions":
            entry |= _asked_revisions(endpoint, token, entry)
        found[role] = entry
    return found


def _asked(endpoint: str, token: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Commit and files of a repo, as the registry tells them: the listing of the commit that the info names."""
    base = f"{endpoint}/api/{entry['type']}s/{entry['id']}"
    revision = quote(entry.get("revision", "main"), safe="")
    commit = _json(f"{base}/revision/{revision}", token)["sha"]
    return {"commit": commit, "files": _files(base, commit, token)}


def _asked_revisions(endpoint: str, token: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A small file under every branch and tag, and under the commit and its short form."""
    base = f"{endpoint}/api/{entry['type']}s/{entry['id']}"
    refs = _json(f"{base}/refs", token)
    branches, tags = ([ref["name"] for ref in refs[kind]] for kind in ("branches", "tags"))
    path = min(entry["files"], key=lambda name: entry["files"][name]["size"])
    named = dict.fromkeys((entry["commit"], entry["commit"][:10]), entry["files"][path])
    for name in [*branches[:3], *tags[:1]]:
        files = _files(base, name, token)
        named |= {name: files[path]} if path in files else {}
    return {"path": path, "named": named, "branches": sorted(branches), "tags": sorted(tags)}


def _files(base: str, revision: str, token: str) -> dict[str, Any]:
    tree = _json(f"{base}/tree/{quote(revision, safe='')}?recursive=true", token)
    return {
        entry["path"]: {"size": entry["size"], "digest": entry.get("lfs", entry)["oid"]}
        for entry in tree
        if entry["type"] == "file"
    }


def _json(url: str, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        return json.load(answer)
