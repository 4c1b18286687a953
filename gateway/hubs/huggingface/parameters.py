"""Which query and body parameters each route knows; everything else is dropped before anyone sees it.

Values are canonical: equal meanings give equal requests (`true`, `True` and `1` are one value, false is left out).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from gateway.domain.errors import UnroutableRequest
from gateway.domain.request import RequestKind
from gateway.hubs.huggingface import commits, git, lfs, search
from gateway.hubs.huggingface.encoding import check_path, decode_fields

MAX_BODY_BYTES: Final = 1 << 20
MAX_PATHS: Final = 1000

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_PROPERTY = re.compile(r"[A-Za-z_-]{1,40}")

Query = dict[str, tuple[str, ...]]


def _flag(values: list[str]) -> tuple[str, ...]:
    return ("true",) if values and values[-1].lower() in _TRUE else ()


def _properties(values: list[str]) -> tuple[str, ...]:
    names = {name for value in values for name in value.split(",")}
    return tuple(sorted(name for name in names if _PROPERTY.fullmatch(name)))


_KNOWN: Final[Mapping[RequestKind, Mapping[str, Callable[[list[str]], tuple[str, ...]]]]] = {
    RequestKind.RESOLVE: {"download": _flag},
    RequestKind.INFO: {"blobs": _flag, "securityStatus": _flag, "expand": _properties},
    RequestKind.TREE: {"recursive": _flag, "expand": _flag},
    RequestKind.PATHS_INFO: {"expand": _flag},
    RequestKind.REFS: {"include_prs": _flag},
    RequestKind.COMMITS: commits.FIELDS,
    RequestKind.SEARCH: search.FIELDS,
    RequestKind.GIT: {"service": git.service},
}


def read_query(kind: RequestKind, raw_query: str) -> Query:
    """The parameters that the route knows. Raises UnroutableRequest for a query that cannot be decoded."""
    if not raw_query:
        return {}
    return _known(kind, decode_fields(raw_query))


def read_paths(content_type: str, body: bytes) -> Query:
    """The fields of a paths-info body: a form (Python) or JSON (JavaScript). Raises UnroutableRequest."""
    if len(body) > MAX_BODY_BYTES:
        raise UnroutableRequest(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json":
        fields = _json_fields(body)
    elif media_type == "application/x-www-form-urlencoded":
        fields = _form_fields(body)
    else:
        raise UnroutableRequest("The body is neither a form nor JSON.")
    stripped = (value.strip("/") for name, value in fields if name == "paths")
    paths = tuple(dict.fromkeys(check_path(path) for path in stripped if path))
    if len(paths) > MAX_PATHS:
        raise UnroutableRequest(f"More than {MAX_PATHS} paths in one request.")
    return {"paths": paths, **_known(RequestKind.PATHS_INFO, fields)}


# The kinds whose POST has a body, and who reads it. Each raises UnroutableRequest.
BODIES: Final[Mapping[RequestKind, Callable[[str, bytes], Query]]] = {
    RequestKind.PATHS_INFO: read_paths,
    RequestKind.LFS_BATCH: lfs.read_batch,
}


def _known(kind: RequestKind, fields: list[tuple[str, str]]) -> Query:
    query: Query = {}
    for name, read in _KNOWN.get(kind, {}).items():
        values = [value for field, value in fields if field.removesuffix("[]") == name]
        if kept := read(values):
            query[name] = kept
    return query


def _form_fields(body: bytes) -> list[tuple[str, str]]:
    try:
        return decode_fields(body.decode("ascii"))
    except UnicodeDecodeError:
        raise UnroutableRequest("The form body is not percent-encoded ASCII.") from None


def _json_fields(body: bytes) -> list[tuple[str, str]]:
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UnroutableRequest("The body is not valid JSON.") from None
    paths = value.get("paths", []) if isinstance(value, dict) else None
    paths = [paths] if isinstance(paths, str) else paths
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise UnroutableRequest("The body has no list `paths` of strings.")
    return [("paths", path) for path in paths] + [("expand", str(value.get("expand", "")))]
