"""What the simulator saw: one entry per request, in order of arrival."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import translate
from typing import Any


@dataclass
class SeenRequest:
    """A request as it arrived, and what became of it.

    `target` is the raw request target; `path` its decoded path; `file` the file meant (`org/name/model.bin`), on the
    CDN too, or "". `headers` has lower-case names. `status` 0: no answer was sent. `bytes_sent` counts the body.
    """

    host: str
    method: str
    target: str
    path: str
    headers: Mapping[str, str]
    file: str = ""
    status: int = 0
    bytes_sent: int = 0
    started_s: float = 0.0
    body: bytes = field(default=b"", repr=False)

    def as_json(self) -> dict[str, Any]:
        """All but the body, for another process."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "body"}

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")

    @property
    def range(self) -> str:
        return self.headers.get("range", "")


class Traffic:
    """The log of all requests; reading it is safe from any thread."""

    def __init__(self) -> None:
        self.requests: list[SeenRequest] = []

    def matching(self, path: str = "*", *, host: str = "", method: str = "") -> list[SeenRequest]:
        """Requests whose decoded path or file matches the glob."""
        pattern = re.compile(translate(path))
        return [
            seen
            for seen in list(self.requests)
            if host in ("", seen.host)
            and method in ("", seen.method)
            and (pattern.match(seen.path) or (seen.file and pattern.match(seen.file)))
        ]

    def bytes_sent(self, path: str = "*", *, host: str = "") -> int:
        """Body bytes sent in answer to matching requests."""
        return sum(seen.bytes_sent for seen in self.matching(path, host=host))

    def clear(self) -> None:
        self.requests = []
