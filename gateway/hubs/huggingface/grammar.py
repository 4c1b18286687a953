"""The URL grammar of the hub: one table of named shapes over the raw target. What it does not name is refused.

Shapes: hub-protocol §3, §4. `{rev}` is one raw segment (a revision's slash arrives as %2F); `{path}` is the rest.
`{repo}` is `namespace/name` or a legacy `name`; a target with two valid readings is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.errors import UnroutableRequest
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface.encoding import check_path, check_target, decode
from gateway.hubs.huggingface.names import check_ref, is_repo_id
from gateway.hubs.huggingface.parameters import read_body, read_query

READ: Final = frozenset({"GET", "HEAD"})
_WRITE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Route:
    """One row: what it means, which methods it has, and its shape."""

    kind: RequestKind
    methods: frozenset[str]
    shape: str


ROUTES: Final = (
    Route(RequestKind.RESOLVE, READ, "/{prefix}{repo}/resolve/{rev}/{path}"),
    Route(RequestKind.INFO, READ, "/api/{type}/{repo}"),
    Route(RequestKind.INFO, READ, "/api/{type}/{repo}/revision/{rev}"),
    Route(RequestKind.TREE, READ, "/api/{type}/{repo}/tree/{rev}"),
    Route(RequestKind.TREE, READ, "/api/{type}/{repo}/tree/{rev}/{path}"),
    Route(RequestKind.PATHS_INFO, frozenset({"POST"}), "/api/{type}/{repo}/paths-info/{rev}"),
    Route(RequestKind.REFS, READ, "/api/{type}/{repo}/refs"),
    Route(RequestKind.XET_TOKEN, READ, "/api/{type}/{repo}/xet-read-token/{rev}"),
    Route(RequestKind.WRITE, READ, "/api/{type}/{repo}/xet-write-token/{rev}"),
    Route(RequestKind.WHOAMI, READ, "/api/whoami-v2"),
    Route(RequestKind.HARNESSES, READ, "/api/agent-harnesses"),
    Route(RequestKind.TELEMETRY, READ, "/api/telemetry/{path}"),
)

_TYPES: Final = {kind.api: kind for kind in RepoType}
# Words that follow a repo in the API: `/api/models/gpt2/refs` is the refs of `gpt2`, never a repo `gpt2/refs`.
_WORDS: Final = "revision|tree|paths-info|refs|commits|xet-read-token|xet-write-token|scan|discussions|auth-check"
_NAME = rf"(?:(?!(?:{_WORDS})$)[^/]+)"
_GIT = re.compile(r"\.git(?:/|$)|/git-upload-pack$|/git-receive-pack$|/info/lfs(?:/|$)")
_API_REPO = re.compile(r"/api/(?P<type>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)(?:/|$)")


def _compile(shape: str) -> tuple[re.Pattern[str], ...]:
    """One pattern per way to read the repo: two parts, or one."""
    pattern = (
        shape.replace("{prefix}", "(?:(?P<type>datasets|spaces)/)?")
        .replace("{type}", "(?P<type>models|datasets|spaces)")
        .replace("{rev}", "(?P<rev>[^/]+)")
        .replace("{path}", "(?P<path>.+)")
    )
    if "{repo}" not in shape:
        return (re.compile(pattern),)
    two = pattern.replace("{repo}", f"(?P<repo>[^/]+/{_NAME})")
    return tuple(re.compile(p) for p in (two, pattern.replace("{repo}", "(?P<repo>[^/]+)")))


_FILE_TABLE: Final = [(r, p) for r in ROUTES if r.shape.startswith("/{prefix}") for p in _compile(r.shape)]
_API_TABLE: Final = [(r, p) for r in ROUTES if r.shape.startswith("/api/") for p in _compile(r.shape)]


def parse(hub: str, method: str, raw_target: str, content_type: str = "", body: bytes = b"") -> HubRequest:
    """Read one request of hub `hub`. Raises UnroutableRequest for everything that the table does not name."""
    check_target(raw_target)
    raw_path, _, raw_query = raw_target.partition("?")
    if method not in READ and method not in _WRITE_METHODS:
        raise UnroutableRequest(f"The gateway has no method {method[:20]!r}.")
    readings = _readings(hub, method, raw_path)
    if len(readings) > 1:
        raise UnroutableRequest("The path can be read in two ways, so it is refused.")
    if not readings:
        if method in _WRITE_METHODS:
            return _write(hub, raw_path)
        raise UnroutableRequest("The gateway does not serve this path.")
    request = readings[0]
    query = read_query(request.kind, raw_query)
    if request.kind is RequestKind.PATHS_INFO:
        query = read_body(content_type, body)
    return HubRequest(request.kind, request.repo, request.ref, request.path, query)


def _readings(hub: str, method: str, raw_path: str) -> list[HubRequest]:
    table = _API_TABLE if raw_path.startswith("/api/") else _FILE_TABLE
    found = []
    for route, pattern in table:
        if method in route.methods and (match := pattern.fullmatch(raw_path)):
            reading = _read(hub, route.kind, match.groupdict())
            if reading is not None and reading not in found:
                found.append(reading)
    return found


def _read(hub: str, kind: RequestKind, parts: dict[str, str | None]) -> HubRequest | None:
    """One reading of a path; None where the repo part is no repo id. Raises UnroutableRequest."""
    raw_path, raw_repo, raw_rev = parts.get("path"), parts.get("repo"), parts.get("rev")
    path = check_path(decode(raw_path)) if raw_path else ""
    if not raw_repo:
        return HubRequest(kind)
    repo_id = "/".join(decode(part) for part in raw_repo.split("/"))
    if not is_repo_id(repo_id) or repo_id.count("/") != raw_repo.count("/"):
        return None
    ref = check_ref(decode(raw_rev)) if raw_rev else ""
    repo = Repo(hub, _TYPES[parts.get("type") or RepoType.MODEL.api], repo_id)
    return HubRequest(kind, repo, ref, path)


def _write(hub: str, raw_path: str) -> HubRequest:
    """A method that changes something: refused later as "read-only". git and LFS are not writes, and not routes."""
    check_path(decode(raw_path).strip("/") or "root")
    if _GIT.search(raw_path):
        raise UnroutableRequest("The gateway does not speak git or LFS on this path.")
    match = _API_REPO.match(raw_path)
    reading = _read(hub, RequestKind.WRITE, match.groupdict()) if match else None
    return reading or HubRequest(RequestKind.WRITE)
