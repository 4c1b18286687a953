"""The URL grammar of the hub: the raw target against the table of routes; decoded once, or refused.

What the table does not name is refused, and so is a target with two valid readings.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.errors import UnroutableRequest
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface.encoding import check_path, check_target, decode
from gateway.hubs.huggingface.names import check_ref, is_repo_id
from gateway.hubs.huggingface.parameters import BODIES, read_query
from gateway.hubs.huggingface.routes import READ, ROUTES, Route, rows_for

__all__ = ["ROUTES", "parse"]

_WRITE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_TYPES: Final = {kind.api: kind for kind in RepoType}
_GIT = re.compile(r"\.git(?:/|$)|/git-upload-pack$|/git-receive-pack$|/info/lfs(?:/|$)")
_API_REPO = re.compile(r"/api/(?P<type>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)(?:/|$)")


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
    route, request = readings[0]
    query = read_query(request.kind, raw_query) if route.has_query else {}
    if method == "POST" and (read_body := BODIES.get(request.kind)) is not None:
        query = read_body(content_type, body)
    return HubRequest(request.kind, request.repo, request.ref, request.path, query)


def _readings(hub: str, method: str, raw_path: str) -> list[tuple[Route, HubRequest]]:
    """Every reading of a path that differs from the others in what is asked."""
    found: list[tuple[Route, HubRequest]] = []
    for route, pattern in rows_for(raw_path):
        if method in route.methods and (match := pattern.fullmatch(raw_path)):
            reading = _read(hub, route.kind, match.groupdict())
            if reading is not None and all(reading != known for _, known in found):
                found.append((route, reading))
    return found


def _read(hub: str, kind: RequestKind, parts: dict[str, str | None]) -> HubRequest | None:
    """One reading of a path; None where the repo part is no repo id. Raises UnroutableRequest."""
    raw_path, raw_repo, raw_rev = parts.get("path"), parts.get("repo"), parts.get("rev")
    path = check_path(decode(raw_path)) if raw_path else ""
    if not raw_repo:
        return HubRequest(kind, path=parts.get("type") or "")
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
