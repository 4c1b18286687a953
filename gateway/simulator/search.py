"""Search and listing of the simulated hub (hub-protocol §4.1): filters, order, pages, and how much a row tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.simulator import answers, listings
from gateway.simulator.answers import Answer
from gateway.simulator.call import Call, granted, paged
from gateway.simulator.repo import Repo
from gateway.simulator.world import World

PAGE = 1000

_BRIEF = ("_id", "id", "modelId", "likes", "downloads", "tags", "pipeline_tag", "library_name", "createdAt", "private")
_FULL = (*_BRIEF, "sha", "lastModified", "gated", "disabled", "author", "siblings")
_ORDER: dict[str, Callable[[Repo], Any]] = {
    "downloads": lambda repo: repo.downloads,
    "likes": lambda repo: repo.likes,
    "lastModified": lambda repo: repo.last_modified,
    "createdAt": lambda repo: repo.created_at,
    "trendingScore": lambda repo: repo.likes,
}


def search(world: World, base_url: str, call: Call) -> Answer:
    """One page of `/api/{models|datasets|spaces}`. Private repos are found with a token that opens them."""
    target = call.target
    unknown = [name for name in target.query.get("expand", []) if name not in listings.EXPANDABLE]
    if unknown:
        return answers.refusal(400, f"Invalid option: expected an expandable property, got {unknown[0]!a}")
    sort = target.first("sort")
    if sort and sort not in _ORDER:
        return answers.refusal(400, f"Invalid sort parameter {sort!a}")
    found = [repo for repo in world.repos.values() if "main" in repo.branches and _matches(repo, call)]
    if sort:
        found.sort(key=_ORDER[sort], reverse=target.first("direction") != "1")
    target.before = f"/api/{target.type}s"
    return paged(base_url, call, [_row(repo, call) for repo in found], call.limit(PAGE))


def _matches(repo: Repo, call: Call) -> bool:
    target = call.target
    author, task = target.first("author"), target.first("pipeline_tag")
    tags = {*listings.tags(repo)}
    gated = target.first("gated").lower()
    return (
        repo.type == target.type
        and (not repo.private or granted(repo, call.account))
        and all(words.lower() in repo.id.lower() for words in target.query.get("search", []))
        and (not author or repo.id.startswith(author + "/"))
        and (not task or repo.pipeline == task)
        and all(tag in tags for value in target.query.get("filter", []) for tag in value.split(","))
        and (not gated or bool(repo.gated) is (gated == "true"))
    )


def _row(repo: Repo, call: Call) -> dict[str, Any]:
    target = call.target
    expand = target.query.get("expand", [])
    info = listings.info(repo, repo.main, blobs=False, security=False, expand=expand)
    if expand:
        return info
    keep = [*(_FULL if target.flag("full") else _BRIEF)]
    keep += [name for name in ("config", "cardData") if target.flag(name)]
    return {name: info[name] for name in keep if name in info}
