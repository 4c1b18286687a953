"""Answers before they are sent, and the hub's own words for its refusals (hub-protocol §13.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gateway.simulator.content import Bytes, Content

JSON_TYPE = "application/json; charset=utf-8"


@dataclass
class Answer:
    """A status, headers, and a body given as a content, of which [start, end) is sent."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content: Content = field(default_factory=lambda: Bytes(b""))
    start: int = 0
    end: int | None = None

    @property
    def stop(self) -> int:
        return self.content.size if self.end is None else self.end


def json_answer(payload: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, {"Content-Type": JSON_TYPE, **(headers or {})}, Bytes(body))


def refusal(status: int, message: str, *, code: str = "", **headers: str) -> Answer:
    """The same words in the header (all that HEAD can carry) and in the JSON body."""
    extra = {"X-Error-Message": message, **{k.replace("_", "-"): v for k, v in headers.items()}}
    if code:
        extra["X-Error-Code"] = code
    return json_answer({"error": message}, status=status, headers=extra)


def repo_missing(*, has_token: bool) -> Answer:
    """A missing repo and a private one look alike; anonymous callers get no code."""
    if has_token:
        return refusal(404, "Repository not found", code="RepoNotFound")
    challenge = 'Bearer realm="Authentication required", charset="UTF-8"'
    return refusal(401, "Invalid username or password.", WWW_Authenticate=challenge)


def bad_token() -> Answer:
    return refusal(401, "Invalid credentials in Authorization header")


def revision_missing(revision: str) -> Answer:
    return refusal(404, f"Invalid rev id: {revision.encode('ascii', 'replace').decode()}", code="RevisionNotFound")


def entry_missing(commit: str) -> Answer:
    return refusal(404, "Entry not found", code="EntryNotFound", X_Repo_Commit=commit)


def gated(repo_id: str, *, anonymous: bool) -> Answer:
    if anonymous:
        words = "You must have access to it and be authenticated to access it. Please log in."
        return refusal(401, f"Access to model {repo_id} is restricted. {words}", code="GatedRepo")
    words = f"Visit https://huggingface.co/{repo_id} to ask for access."
    message = f"Access to model {repo_id} is restricted and you are not in the authorized list. {words}"
    return refusal(403, message, code="GatedRepo")


def repo_disabled() -> Answer:
    return refusal(403, "Access to this resource is disabled.")


def page_missing() -> Answer:
    return refusal(404, "Sorry, we can't find the page you are looking for.")


def disposition(name: str) -> str:
    """`Content-Disposition` in the hub's form, safe for a header whatever the file is called."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in name)
    return f"inline; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";"


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """A single `bytes=` range as [start, end); None where the header is absent, malformed or multiple (200 then).

    Raises ValueError where the range cannot be satisfied (416).
    """
    if not header.startswith("bytes=") or "," in header:
        return None
    low, dash, high = header.removeprefix("bytes=").strip().partition("-")
    if not dash or (low and not low.isdigit()) or (high and not high.isdigit()) or not (low or high):
        return None
    if not low:
        start, end = max(0, size - int(high)), size
    else:
        start, end = int(low), min(size, int(high) + 1) if high else size
        if high and int(high) < start:
            return None
    if start >= size or start >= end:
        msg = f"range {header} of {size} bytes"
        raise ValueError(msg)
    return start, end
