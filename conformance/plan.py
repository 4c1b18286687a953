"""What a driver is told: where the registry is, which repos stand for which role, and what their bytes are.

A digest is what names the file on the hub: 64 hex digits are a sha256, 40 are a git blob id.
"""

from __future__ import annotations

import json
import urllib.request
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
    found["csv"]["converted"] = _converted(world[roles()["csv"]])
    found["revisions"] |= _revisions(world[roles()["revisions"]])
    return found


def _revisions(repo: Repo) -> dict[str, Any]:
    first = repo.tag_refs["v1.0"]
    named = {"main": repo.branches["main"], "dev": repo.branches["dev"], "v1.0": first, first: first, first[:10]: first}
    files = {name: repo.commits[commit].files["version.txt"] for name, commit in named.items()}
    return {
        "named": {name: file.etag for name, file in files.items()},
        "sizes": {name: file.size for name, file in files.items()},
        "path": "version.txt",
    }


def _converted(repo: Repo) -> dict[str, Any]:
    path, file = next(iter(repo.commits[repo.converts["parquet"]].files.items()))
    return {"path": path, "size": file.size, "digest": file.etag}


def repos_from(file: Path, endpoint: str, token: str) -> Repos:
    """The roles named in a JSON file `{role: "org/name" | {"id", "type", …}}`; digests come from the registry's HEADs.

    Roles that are not named have no repo: their features are not run.
    """
    found: Repos = {}
    for role, given in json.loads(file.read_text("utf-8")).items():
        entry = {"id": given} if isinstance(given, str) else dict(given)
        entry.setdefault("type", "dataset" if role in ("csv", "parquet") else "model")
        if "files" not in entry:
            entry |= _asked(endpoint, token, entry["type"], entry["id"])
        found[role] = entry
    return found


def _asked(endpoint: str, token: str, kind: str, repo_id: str) -> dict[str, Any]:
    """Commit and files of a repo, as the registry tells them: the listing of the commit that the info names."""
    info = _json(f"{endpoint}/api/{kind}s/{repo_id}", token)
    tree = _json(f"{endpoint}/api/{kind}s/{repo_id}/tree/{quote(info['sha'])}?recursive=true", token)
    files = {
        entry["path"]: {"size": entry["size"], "digest": entry.get("lfs", entry)["oid"]}
        for entry in tree
        if entry["type"] == "file"
    }
    return {"commit": info["sha"], "files": files}


def _json(url: str, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        return json.load(answer)
