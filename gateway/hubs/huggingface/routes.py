"""The routes of the hub that the gateway knows, as one table: what it does not name is refused.

Shapes: hub-protocol §3, §4. `{rev}` is one raw segment (a revision's slash arrives as %2F); `{path}` is the rest.
`{repo}` is `namespace/name` or a legacy `name`. A route is added by a row here; which parameters it has is said in
`parameters.py`, what it means in `gateway/enforcement/admission.py`, and how it is answered in `dialect.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.domain.request import RequestKind
from gateway.hubs.huggingface import git, manifests

READ: Final = frozenset({"GET", "HEAD"})
POST: Final = frozenset({"POST"})


@dataclass(frozen=True, slots=True)
class Route:
    """One row: what it means, which methods it has, and its shape. Not `has_query`: the query is not even looked at."""

    kind: RequestKind
    methods: frozenset[str]
    shape: str
    has_query: bool = True


ROUTES: Final = (
    Route(RequestKind.RESOLVE, READ, "/{prefix}{repo}/resolve/{rev}/{path}"),
    Route(RequestKind.RESOLVE, READ, "/api/resolve-cache/{type}/{repo}/{commit}/{path}", has_query=False),
    Route(RequestKind.RAW, READ, "/{prefix}{repo}/raw/{rev}/{path}"),
    Route(RequestKind.BLOB, READ, "/{prefix}{repo}/blob/{rev}/{path}"),
    Route(RequestKind.SAFETENSORS_METADATA, READ, "/api/models/{repo}/safetensors-metadata/{path}"),
    Route(RequestKind.INFO, READ, "/api/{type}/{repo}"),
    Route(RequestKind.INFO, READ, "/api/{type}/{repo}/revision/{rev}"),
    Route(RequestKind.TREE, READ, "/api/{type}/{repo}/tree/{rev}"),
    Route(RequestKind.TREE, READ, "/api/{type}/{repo}/tree/{rev}/{path}"),
    Route(RequestKind.PATHS_INFO, POST, "/api/{type}/{repo}/paths-info/{rev}"),
    Route(RequestKind.TREESIZE, READ, "/api/{type}/{repo}/treesize/{rev}"),
    Route(RequestKind.TREESIZE, READ, "/api/{type}/{repo}/treesize/{rev}/"),
    Route(RequestKind.TREESIZE, READ, "/api/{type}/{repo}/treesize/{rev}/{path}"),
    Route(RequestKind.COMMITS, READ, "/api/{type}/{repo}/commits/{rev}"),
    Route(RequestKind.SCAN, READ, "/api/{type}/{repo}/scan"),
    Route(RequestKind.AUTH_CHECK, READ, "/api/{type}/{repo}/auth-check"),
    Route(RequestKind.WRITE, READ, "/api/{type}/{repo}/auth-check/write"),
    Route(RequestKind.REFS, READ, "/api/{type}/{repo}/refs"),
    Route(RequestKind.XET_TOKEN, READ, "/api/{type}/{repo}/xet-read-token/{rev}"),
    Route(RequestKind.WRITE, READ, "/api/{type}/{repo}/xet-write-token/{rev}"),
    Route(RequestKind.SEARCH, READ, "/api/{type}"),
    Route(RequestKind.GIT, READ | POST, "/{prefix}{repo}/{git}"),
    Route(RequestKind.GIT, READ | POST, "/{prefix}{repo}.git/{git}"),
    Route(RequestKind.LFS_BATCH, POST, "/{prefix}{repo}/info/lfs/objects/batch", has_query=False),
    Route(RequestKind.LFS_BATCH, POST, "/{prefix}{repo}.git/info/lfs/objects/batch", has_query=False),
    Route(RequestKind.MANIFEST, READ, "/v2/", has_query=False),
    Route(RequestKind.MANIFEST, READ, "/v2/{repo}/manifests/{tag}", has_query=False),
    Route(RequestKind.LAYER, READ, "/v2/{repo}/blobs/{digest}", has_query=False),
    Route(RequestKind.WHOAMI, READ, "/api/whoami-v2"),
    Route(RequestKind.HARNESSES, READ, "/api/agent-harnesses"),
    Route(RequestKind.TELEMETRY, READ, "/api/telemetry/{path}"),
)

# Words that follow a repo in the API: `/api/models/gpt2/refs` is the refs of `gpt2`, never a repo `gpt2/refs`.
_WORDS: Final = (
    "revision|tree|treesize|paths-info|refs|commits|xet-read-token|xet-write-token|scan|discussions|auth-check"
    "|safetensors-metadata"
)
_NAME: Final = rf"(?:(?!(?:{_WORDS})$)[^/]+)"
# What stands for each placeholder of a shape; `{repo}` is read in two ways.
_PLACEHOLDERS: Final[Mapping[str, str]] = {
    "{prefix}": "(?:(?P<type>datasets|spaces)/)?",
    "{type}": "(?P<type>models|datasets|spaces)",
    "{rev}": "(?P<rev>[^/]+)",
    "{commit}": "(?P<rev>[0-9a-f]{40})",
    "{path}": "(?P<path>.+)",
    "{git}": f"(?P<path>{git.PATHS})",
    "{tag}": f"(?P<path>{manifests.TAG})",
    "{digest}": manifests.DIGEST,
}
_REPOS: Final = (f"(?P<repo>[^/]+/{_NAME})", "(?P<repo>[^/]+)")

Table = tuple[tuple[Route, re.Pattern[str]], ...]


def _patterns(shape: str) -> tuple[re.Pattern[str], ...]:
    """One pattern per way to read the repo: two parts, or one."""
    pattern = re.escape(shape).replace(r"\{", "{").replace(r"\}", "}")
    for placeholder, part in _PLACEHOLDERS.items():
        pattern = pattern.replace(placeholder, part)
    if "{repo}" not in shape:
        return (re.compile(pattern),)
    return tuple(re.compile(pattern.replace("{repo}", repo)) for repo in _REPOS)


def _table(*starts: str) -> Table:
    return tuple((route, p) for route in ROUTES if route.shape.startswith(starts) for p in _patterns(route.shape))


# By the first segment of the path, so that a request meets only the rows it may match.
_BY_START: Final[Mapping[str, Table]] = {"api": _table("/api/"), "v2": _table("/v2/")}
_OF_FILES: Final = _table("/{prefix}")


def rows_for(raw_path: str) -> Table:
    """The rows, with their compiled shapes, that a path may match."""
    return _BY_START.get(raw_path[1:].partition("/")[0], _OF_FILES)
