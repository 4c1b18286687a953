"""The commit log of a revision: cut to the keys that clients read, its pages linked under our own address. Pure.

Source: hub-protocol §4.1 and the hub's API description (`p` or `cursor`, `limit` up to 1000, `expand=formatted`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from gateway.domain.request import HubRequest
from gateway.hubs.huggingface.limits import malformed
from gateway.hubs.huggingface.scrub import Scrub

MAX_ROWS: Final = 1000
_CURSOR: Final = re.compile(r"[A-Za-z0-9_.~:+/=-]{1,4096}")
_ID: Final = re.compile(r"[0-9a-f]{40}")

Read = Callable[[list[str]], tuple[str, ...]]


def _number(most: int) -> Read:
    def read(values: list[str]) -> tuple[str, ...]:
        text = values[-1] if values else ""
        if not (text.isascii() and text.isdigit() and len(text) <= 9) or int(text) == 0:
            return ()
        return (str(min(int(text), most)),)

    return read


FIELDS: Final[Mapping[str, Read]] = {
    "expand": lambda values: ("formatted",) if "formatted" in values else (),
    "limit": _number(MAX_ROWS),
    "p": _number(10**9),
    "cursor": lambda values: tuple(value for value in values[-1:] if _CURSOR.fullmatch(value)),
}


def page_of(value: Any, next_url: str) -> dict[str, Any]:
    """The hub's answer as `rows` and the parameters of the `next` page ({} for none).

    Raises UpstreamUnavailable (`upstream/malformed`).
    """
    if not isinstance(value, list):
        raise malformed("The hub's commit log is no JSON list.")
    rows = [_row(item) for item in value[:MAX_ROWS] if isinstance(item, dict) and _is_commit(item.get("id"))]
    return {"rows": rows, "next": _next_of(next_url)}


def _next_of(next_url: str) -> dict[str, str]:
    """What the hub's own link says beside where it leads: that is ours to say."""
    if not next_url:
        return {}
    fields = parse_qs(urlsplit(next_url).query)
    found = {name: kept[-1] for name in ("p", "cursor", "limit") if (kept := FIELDS[name](fields.get(name, [])))}
    if not found.keys() & {"p", "cursor"}:
        raise malformed("The hub's next page of a commit log has neither a cursor nor a number.")
    return found


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    authors = item.get("authors")
    row: dict[str, Any] = {
        "id": item["id"],
        "title": _text(item.get("title")),
        "message": _text(item.get("message")),
        "authors": [_author(author) for author in authors if isinstance(author, dict)]
        if isinstance(authors, list)
        else [],
        "date": _text(item.get("date")),
    }
    formatted = item.get("formatted")
    if isinstance(formatted, dict):
        row["formatted"] = {key: _text(formatted.get(key)) for key in ("title", "message")}
    return row


def _author(author: Mapping[str, Any]) -> dict[str, str]:
    """Pictures lie on other hosts and are left out: the key stays, because clients read it."""
    avatar = _text(author.get("avatar"))
    return {"user": _text(author.get("user")), "avatar": "" if "//" in avatar else avatar}


def log_json(payload: Any, scrub: Scrub) -> list[Any]:
    """The rows for the client, without links that lead round the gateway."""
    rows = payload.get("rows") if isinstance(payload, Mapping) else None
    return [scrub.json(row) for row in rows] if isinstance(rows, list) else []


def next_link(public_url: str, request: HubRequest, payload: Any) -> str:
    """`<…>; rel="next"`: our own address, what was asked, and where the hub goes on; "" where it does not."""
    at = payload.get("next") if isinstance(payload, Mapping) else None
    if not at or request.repo is None:
        return ""
    pairs = [("expand", value) for value in request.query.get("expand", ())] + sorted(at.items())
    query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in pairs)
    path = f"/api/{request.repo.type.api}/{request.repo.id}/commits/{quote(request.ref or 'HEAD', safe='')}"
    return f'<{public_url}{path}?{query}>; rel="next"'


def _is_commit(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
