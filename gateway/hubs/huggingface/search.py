"""Search and listing of repos (hub-protocol §4.1): its parameters, its rows, and the link to its next page. Pure.

The hub's answer is cut to known keys. File lists (`siblings`) are left out: they would show what a policy hides, and
no policy is run per row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.errors import UnroutableRequest
from gateway.domain.request import HubRequest
from gateway.hubs.huggingface.limits import malformed
from gateway.hubs.huggingface.names import is_repo_id
from gateway.hubs.huggingface.scrub import INFO_KEYS, Scrub
from gateway.ports import FoundPage, FoundRow

MAX_ROWS: Final = 1000
MAX_VALUES: Final = 50
MAX_VALUE_CHARS: Final = 256

ID_KEYS: Final = frozenset({"_id", "id", "modelId"})
ROW_KEYS: Final = (INFO_KEYS | {"sdk", "region", "visibility"}) - {"siblings", "securityRepoStatus", "spaces"}
TYPES: Final = {kind.api: kind for kind in RepoType}

_CURSOR = re.compile(r"[A-Za-z0-9_.~:+/=-]{1,4096}")
_WORD = re.compile(r"[A-Za-z_]{1,40}")
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})

Read = Callable[[list[str]], tuple[str, ...]]
Params = Mapping[str, tuple[str, ...]]


def _refused(what: str) -> UnroutableRequest:
    return UnroutableRequest(f"The search's {what}.", code="route/malformed")


def _texts(values: list[str]) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(value for value in values if value))
    if len(kept) > MAX_VALUES or any(len(value) > MAX_VALUE_CHARS for value in kept):
        raise _refused(f"values are more than {MAX_VALUES} or longer than {MAX_VALUE_CHARS} characters")
    return kept


def _text(values: list[str]) -> tuple[str, ...]:
    return _texts(values[-1:])


def _set(values: list[str]) -> tuple[str, ...]:
    return tuple(sorted(_texts(values)))


def _flag(values: list[str]) -> tuple[str, ...]:
    return ("true",) if values and values[-1].lower() in _TRUE else ()


def _either(values: list[str]) -> tuple[str, ...]:
    """Both yes and no mean something; anything else is as if not asked."""
    word = values[-1].lower() if values else ""
    return ("true",) if word in _TRUE else ("false",) if word in _FALSE else ()


def _word(values: list[str]) -> tuple[str, ...]:
    if values and not _WORD.fullmatch(values[-1]):
        raise _refused("order is no word")
    return tuple(values[-1:])


def _limit(values: list[str]) -> tuple[str, ...]:
    text = values[-1] if values else ""
    if not text:
        return ()
    if not (text.isascii() and text.isdigit()):
        raise _refused("limit is no number")
    return (str(min(int(text[:9]), MAX_ROWS)),) if int(text[:9]) else ()


def _properties(values: list[str]) -> tuple[str, ...]:
    """Of the names asked for those that we know: the hub refuses a question with another one."""
    names = {name for value in values[:MAX_VALUES] for name in value.split(",")}
    return tuple(sorted(names & (ROW_KEYS | {"siblings"})))


def _cursor(values: list[str]) -> tuple[str, ...]:
    """Opaque, but of the alphabet that the hub's cursors have; it is only ever sent as the value of a parameter."""
    if values and not _CURSOR.fullmatch(values[-1]):
        raise _refused("cursor is none that the hub gave out")
    return tuple(values[-1:])


FIELDS: Final[Mapping[str, Read]] = {
    "search": _texts,
    "author": _text,
    "filter": _set,
    "sort": _word,
    "direction": lambda values: tuple(value for value in values[-1:] if value in ("-1", "1")),
    "limit": _limit,
    "full": _flag,
    "config": _flag,
    "cardData": _flag,
    "expand": _properties,
    "gated": _either,
    "pipeline_tag": _text,
    "apps": _set,
    "inference": _text,
    "inference_provider": _set,
    "num_parameters": _text,
    "datasets": _set,
    "models": _set,
    "linked": _flag,
    "cursor": _cursor,
}


def asked_of_hub(query: Params) -> Params:
    """The parameters for the hub: where properties are picked, those that tell who may see a row are picked too."""
    if "expand" not in query:
        return query
    wanted = {*query["expand"], "private"} - {"siblings"}
    return {**query, "expand": tuple(sorted(wanted))}


def page_of(hub: str, kind: RepoType, value: Any, size_bytes: int, next_url: str) -> FoundPage:
    """The hub's answer of `size_bytes` as rows, and the cursor of the next page.

    Raises UpstreamUnavailable (`upstream/malformed`).
    """
    if not isinstance(value, list):
        raise malformed("The hub's search answer is no JSON list.")
    rows = tuple(row for item in value[:MAX_ROWS] if (row := _row(hub, kind, item)) is not None)
    return FoundPage(rows, _next_cursor(next_url), size_bytes)


def _row(hub: str, kind: RepoType, item: Any) -> FoundRow | None:
    """A row; None for what names no repo. Only a plain "no" to private is public."""
    repo_id = item.get("id", item.get("modelId")) if isinstance(item, dict) else None
    if not isinstance(repo_id, str) or not is_repo_id(repo_id):
        return None
    is_public = item.get("private", False) is False and item.get("visibility") in (None, "public")
    value = {key: item[key] for key in ROW_KEYS if key in item}
    return FoundRow(Repo(hub, kind, repo_id), is_public and item.get("disabled", False) is False, value)


def _next_cursor(next_url: str) -> str:
    if not next_url:
        return ""
    found = parse_qs(urlsplit(next_url).query).get("cursor", [])
    if len(found) != 1 or not _CURSOR.fullmatch(found[0]):
        raise malformed("The hub's next page of a search has no readable cursor.")
    return found[0]


def row_json(request: HubRequest, row: FoundRow, scrub: Scrub) -> dict[str, Any]:
    """One row for the client: what it asked for, without links that lead round the gateway."""
    picked = request.query.get("expand")
    keys = ROW_KEYS if picked is None else ID_KEYS | set(picked)
    value = {key: scrub.json(item) for key, item in row.value.items() if key in keys}
    return {**value, "id": row.repo.id, **({"modelId": row.repo.id} if "modelId" in value else {})}


def next_link(public_url: str, request: HubRequest, cursor: str) -> str:
    """`<…>; rel="next"`: our own address, the parameters as they were read here, and the hub's cursor."""
    asked = [(name, value) for name, values in request.query.items() if name != "cursor" for value in values]
    pairs = [*asked, ("cursor", cursor)]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f'<{public_url}/api/{request.path}?{query}>; rel="next"'
