"""The CDN host: signed, expiring links to whole files, by Xet hash (hub-protocol §13.2)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

from gateway.simulator.answers import Answer, disposition
from gateway.simulator.content import Bytes, Content
from gateway.simulator.delivery import ranged
from gateway.simulator.repo import File, Repo


@dataclass(frozen=True)
class Linked:
    """What a link was issued for. It goes on naming these bytes whatever happens to the repo."""

    file: str
    content: Content


class Cdn:
    """Issues links and answers them. `now` gives Unix seconds; `lifetime_s` counts from issue."""

    def __init__(self, now: Callable[[], float], lifetime_s: float = 3600.0) -> None:
        self.base_url = ""
        self.lifetime_s = lifetime_s
        self._now = now
        self._issued: dict[str, Linked] = {}

    def link(self, repo: Repo, file: File) -> str:
        """An absolute signed URL for the file's present bytes."""
        repo_hash = hashlib.sha256(repo.stable_key.encode()).hexdigest()
        path = f"/xet-bridge-us/{repo_hash}/{file.xet}"
        self._issued[path] = Linked(f"{repo.name}/{file.path}", file.content)
        expires = str(int(self._now() + self.lifetime_s))
        name = quote(disposition(file.path.rsplit("/", 1)[-1]), safe="")
        signed = f"Expires={expires}&Signature={_signature(path, expires)}&Key-Pair-Id=SIMULATOR"
        return f"{self.base_url}{path}?response-content-disposition={name}&{signed}"

    def file(self, path: str) -> str:
        """The file that a CDN path names, or ""."""
        linked = self._issued.get(path)
        return linked.file if linked else ""

    def answer(self, path: str, raw_query: str, range_header: str) -> Answer:
        query = parse_qs(raw_query)
        expires, signature = query.get("Expires", [""])[0], query.get("Signature", [""])[0]
        linked = self._issued.get(path)
        if linked is None:
            return _denied(404, "NoSuchKey", "The specified key does not exist.")
        if not hmac.compare_digest(signature, _signature(path, expires)):
            return _denied(403, "AccessDenied", "Access denied")
        if float(expires) < self._now():
            return _denied(403, "AccessDenied", "Request has expired")
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": f'"{path.rsplit("/", 1)[-1]}"',
            "Cache-Control": "public, max-age=31536000",
        }
        if shown := query.get("response-content-disposition", [""])[0]:
            headers["Content-Disposition"] = shown
        return ranged(linked.content, range_header, headers)


def _signature(path: str, expires: str) -> str:
    return hmac.new(b"simulator signing key", f"{path} {expires}".encode(), hashlib.sha256).hexdigest()


def _denied(status: int, code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, {"Content-Type": "application/xml"}, Bytes(body.encode()))
