"""One request as bytes on the wire, and what came back. Standard library only."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
TIMEOUT_S = 60.0
BODY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """The last answer of a chain of redirects. `headers` have lower-case names; `first` are those of the first answer,
    on which the hub names a large file; `url` is where the last one came from."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    first: Mapping[str, str]
    url: str

    def header(self, name: str) -> str:
        """A header of the last answer, else of the first, else ""."""
        return self.headers.get(name.lower()) or self.first.get(name.lower(), "")

    @property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def send(method: str, url: str, headers: Mapping[str, str], *, same_host: bool = False) -> Reply:
    """Ask, and follow redirects; with `same_host` only those that stay on the host (Ollama). Raises OSError."""
    first: Mapping[str, str] | None = None
    for _ in range(_MOST_REDIRECTS):
        status, found, body = _ask(method, url, headers)
        first = found if first is None else first
        target = urljoin(url, found.get("location", ""))
        leaves = same_host and urlsplit(target).hostname != urlsplit(url).hostname
        if status not in _REDIRECTS or "location" not in found or leaves:
            return Reply(status, found, body, first, url)
        if urlsplit(target).netloc != urlsplit(url).netloc:
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        url = target
    raise OSError("redirects without end")


def _ask(method: str, url: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request(
            method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=dict(headers)
        )
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, response.read(BODY_BYTES)
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
