"""The hub's LFS batch of downloads, whose links lead to the CDN (git-lfs `docs/api/batch.md`)."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from gateway.simulator.answers import Answer, json_answer
from gateway.simulator.call import granted
from gateway.simulator.cdn import Cdn
from gateway.simulator.repo import Repo
from gateway.simulator.world import World

MEDIA_TYPE = "application/vnd.git-lfs+json"
_BATCH = re.compile(r"/((?:datasets/|spaces/)?[^/]+/[^/]+?)(?:\.git)?/info/lfs/objects/batch")


def answer(world: World, cdn: Cdn, raw_target: str, headers: dict[str, str], body: bytes) -> Answer | None:
    """The answer to a batch; None where the target is none. Any file of any commit can be had by its oid."""
    match = _BATCH.fullmatch(unquote(raw_target.partition("?")[0]))
    if match is None:
        return None
    account = world.tokens.get(headers.get("authorization", "").removeprefix("Bearer ").strip())
    repo = world.repos.get(world.canonical(match[1]))
    if repo is None or (repo.private and not granted(repo, account)):
        return _json(404, {"message": "Repository not found"})
    if repo.gated and not granted(repo, account):
        return _json(403, {"message": f"Access to {repo.id} is restricted."})
    asked = json.loads(body)
    if asked.get("operation") != "download":
        return _json(403, {"message": "You need write access to this repo."})
    return _json(200, {"transfer": "basic", "objects": [_row(repo, cdn, item) for item in asked["objects"]]})


def _row(repo: Repo, cdn: Cdn, item: dict[str, Any]) -> dict[str, Any]:
    files = (f for commit in repo.commits.values() for f in commit.files.values() if f.lfs)
    file = next((f for f in files if f.content.sha256 == item["oid"]), None)
    if file is None:
        return {**item, "error": {"code": 404, "message": "Object does not exist"}}
    return {"oid": item["oid"], "size": file.size, "actions": {"download": {"href": cdn.link(repo, file)}}}


def _json(status: int, value: Any) -> Answer:
    return json_answer(value, status=status, headers={"Content-Type": MEDIA_TYPE})
