"""The hub's routes that yield bytes of files, or a page about one (hub-protocol §5, §13.2)."""

from __future__ import annotations

import html
from urllib.parse import quote

from gateway.simulator import answers
from gateway.simulator.answers import Answer
from gateway.simulator.call import Call
from gateway.simulator.cdn import Cdn
from gateway.simulator.content import Bytes, lfs_pointer
from gateway.simulator.delivery import ranged
from gateway.simulator.repo import Commit, File, Repo
from gateway.simulator.targets import Target, quoted


class HubFiles:
    """Large files lie on the CDN, small ones here. `base_url` is the hub's own origin, for absolute links."""

    def __init__(self, cdn: Cdn) -> None:
        self._cdn = cdn
        self.base_url = ""

    def resolve(self, call: Call, repo: Repo, commit: Commit) -> Answer:
        file = commit.files.get(call.target.path)
        if file is None:
            return answers.entry_missing(commit.id)
        headers = {"X-Repo-Commit": commit.id, "X-Linked-Etag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        if call.headers.get("if-none-match", "").removeprefix("W/").strip('"') == file.etag:
            return Answer(304, {"X-Repo-Commit": commit.id, "ETag": f'"{file.etag}"'})
        if not file.lfs:
            return _redirect(307, self._cache_target(call.target, repo, commit, file), headers)
        token_url = f"{self.base_url}/api/{repo.type}s/{repo.id}/xet-read-token/{commit.id}"
        cas_url = f"{self._cdn.base_url}/v1/reconstructions/{file.xet}"
        headers |= {
            "X-Linked-Size": str(file.size),
            "X-Xet-Hash": file.xet,
            "Link": f'<{token_url}>; rel="xet-auth", <{cas_url}>; rel="xet-reconstruction-info"',
            "Cache-Control": "no-store",
        }
        # Ollama follows only 307 here.
        status = 307 if call.headers.get("user-agent", "").startswith("ollama") else 302
        return _redirect(status, self._cdn.link(repo, file), headers)

    def _cache_target(self, target: Target, repo: Repo, commit: Commit, file: File) -> str:
        asked = f"/{repo.name}/resolve/{quote(target.revision, safe='')}/{file.path}"
        query = f"{quote(asked, safe='')}=&etag={quote(f'{chr(34)}{file.oid}{chr(34)}', safe='')}"
        return f"/api/resolve-cache/{repo.type}s/{repo.id}/{commit.id}/{quoted(file.path)}?{query}"

    def resolve_cache(self, call: Call, _repo: Repo, commit: Commit) -> Answer:
        file = commit.files.get(call.target.path)
        if file is None or file.lfs:
            return answers.entry_missing(commit.id)
        headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.oid}"'}
        if call.headers.get("if-none-match", "").removeprefix("W/").strip('"') == file.oid:
            return Answer(304, headers)
        name = file.path.rsplit("/", 1)[-1]
        headers |= {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Disposition": answers.disposition(name),
            "Cache-Control": "public, max-age=31536000, immutable",
        }
        return ranged(file.content, call.headers.get("range", ""), headers)

    def raw(self, call: Call, _repo: Repo, commit: Commit) -> Answer:
        """The git blob itself: of a large file, its pointer. Knows no conditions."""
        file = commit.files.get(call.target.path)
        if file is None:
            return answers.entry_missing(commit.id)
        content = Bytes(lfs_pointer(file.content)) if file.lfs else file.content
        headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.oid}"', "Content-Type": "text/plain; charset=utf-8"}
        return ranged(content, call.headers.get("range", ""), headers)

    def blob(self, call: Call, repo: Repo, commit: Commit) -> Answer:
        """The page that people see."""
        file = commit.files.get(call.target.path)
        if file is None:
            return answers.entry_missing(commit.id)
        title = html.escape(f"{file.path} - {repo.id}")
        page = Bytes(f"<!doctype html><title>{title}</title><p>{file.size} bytes, {file.etag}</p>".encode())
        return Answer(200, {"X-Repo-Commit": commit.id, "Content-Type": "text/html; charset=utf-8"}, page)


def _redirect(status: int, location: str, headers: dict[str, str]) -> Answer:
    words = {302: "Found", 307: "Temporary Redirect"}[status]
    body = Bytes(f"{words}. Redirecting to {location}".encode())
    return Answer(status, {**headers, "Location": location, "Content-Type": "text/plain; charset=utf-8"}, body)
