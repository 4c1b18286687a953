"""The hub's JSON reads: info, tree, refs, commits; addressed by the decoded tuple, never by a client's spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from yarl import URL

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.errors import UpstreamNotFound, UpstreamUnavailable
from gateway.domain.evidence import Reachable
from gateway.hubs.huggingface.answers import absent
from gateway.hubs.huggingface.commits import page_of
from gateway.hubs.huggingface.config import UpstreamConfig
from gateway.hubs.huggingface.entries import Listing, listing_of
from gateway.hubs.huggingface.limits import malformed
from gateway.hubs.huggingface.manifests import MANIFEST_BYTES, MANIFEST_TYPES, unknown_tag
from gateway.hubs.huggingface.network import ANONYMOUS, JsonAnswer, Network
from gateway.hubs.huggingface.revision import History, commit_of, time_text

Params = Mapping[str, tuple[str, ...]]


class Metadata:
    """Each method may raise UpstreamError."""

    def __init__(self, config: UpstreamConfig, network: Network) -> None:
        self._config = config
        self._network = network

    async def info(self, repo: Repo, ref: str, access: str, params: Params | None = None) -> dict[str, Any]:
        """The info of a revision, `ref` "" for the default branch."""
        route = f"revision/{quote(ref, safe='')}" if ref else ""
        url = self._url(repo, route, params or {})
        answer = await self._network.get_json(url, access, missing="revision" if ref else "repo")
        if not isinstance(answer.value, dict):
            raise malformed("The hub's info answer is no JSON object.")
        return answer.value

    async def refs(self, repo: Repo, access: str, params: Params | None = None) -> Any:
        answer = await self._network.get_json(self._url(repo, "refs", params or {}), access, missing="repo")
        return answer.value

    async def tree(self, repo: Repo, commit: str, access: str) -> Listing:
        """The whole recursive tree. Past the page or size bound it is incomplete, and says so."""
        rows, complete = await self.tree_rows(repo, commit, "", access, {"recursive": ("true",)})
        return listing_of(rows, complete=complete)

    async def tree_rows(
        self, repo: Repo, commit: str, path: str, access: str, params: Params
    ) -> tuple[list[Any], bool]:
        """The raw rows of all pages, and whether that is all."""
        folder = f"/{quote(path, safe='')}" if path else ""
        url = self._url(repo, f"tree/{quote(commit, safe='')}{folder}", params)
        rows: list[Any] = []
        left_bytes = self._config.listing_bytes
        for _ in range(self._config.tree_pages):
            try:
                answer = await self._network.get_json(url, access, missing="entry", max_bytes=left_bytes)
            except UpstreamUnavailable as error:
                if rows and error.code == "upstream/too-large":
                    return rows, False
                raise
            if not isinstance(answer.value, list):
                raise malformed("The hub's tree is no JSON list.")
            rows += answer.value
            left_bytes -= answer.size_bytes
            if not answer.next_url:
                return rows, True
            url = URL(answer.next_url)
        return rows, False

    async def paths_info(self, repo: Repo, commit: str, access: str, params: Params) -> Any:
        """The entries of `params["paths"]`: a read, though the hub has it as a POST of a form."""
        url = self._url(repo, f"paths-info/{quote(commit, safe='')}", {})
        answer = await self._network.get_json(url, access, missing="revision", form=_encoded(params))
        return answer.value

    async def commits(self, repo: Repo, commit: str, access: str, params: Params) -> dict[str, Any]:
        """One page of the log of a revision, as `rows` and the parameters of the `next` page."""
        asked = {"expand[]" if name == "expand" else name: values for name, values in params.items()}
        url = self._url(repo, f"commits/{quote(commit, safe='')}", asked)
        answer = await self._network.get_json(url, access, missing="revision")
        return page_of(answer.value, answer.next_url)

    async def search(self, kind: RepoType, params: Params) -> JsonAnswer:
        """One page of `/api/{models|datasets|spaces}`, asked as a stranger."""
        query = _encoded(params)
        url = URL(f"{self._config.base_url}/api/{kind.api}" + (f"?{query}" if query else ""), encoded=True)
        return await self._network.get_json(url, ANONYMOUS, missing="repo", max_bytes=self._config.search_bytes)

    async def manifest(self, repo: Repo, tag: str, access: str) -> Any:
        """The manifest of a tag. A hub without a registry, or without this tag, has no such entry."""
        url = URL(f"{self._config.base_url}/v2/{repo.id}/manifests/{quote(tag, safe='')}", encoded=True)
        accept = ", ".join(MANIFEST_TYPES)
        try:
            answer = await self._network.get_json(url, access, missing="entry", max_bytes=MANIFEST_BYTES, accept=accept)
        except UpstreamUnavailable as error:
            if unknown_tag(error):
                raise absent("entry") from None
            raise
        return answer.value

    async def history(self, repo: Repo, commit: str, access: str, *, is_head: bool = False) -> History:
        """When the revision was committed, and whether the default branch's history holds it (`is_head`: the branch
        was just seen to point at it). The walk is capped: past the cap the answer is "unknown"."""
        head = commit if is_head else commit_of(await self.info(repo, "", access))
        try:
            committed_at, reachable = await self._walk(repo, head, commit, access)
            if not committed_at:
                committed_at = await self._date(repo, commit, access)
        except UpstreamNotFound:
            # A hub without a commit log cannot say when; equality of the ids still says where.
            return History("", Reachable.YES if head == commit else Reachable.UNKNOWN)
        return History(committed_at, reachable)

    async def _walk(self, repo: Repo, head: str, commit: str, access: str) -> tuple[str, Reachable]:
        if head == commit:
            return "", Reachable.YES
        url = self._url(repo, f"commits/{head}", {})
        for _ in range(self._config.commit_pages):
            answer = await self._network.get_json(url, access, missing="revision")
            for row in _rows(answer.value):
                if row.get("id") == commit:
                    return time_text(row.get("date")), Reachable.YES
            if not answer.next_url:
                return "", Reachable.NO
            url = URL(answer.next_url)
        return "", Reachable.UNKNOWN

    async def _date(self, repo: Repo, commit: str, access: str) -> str:
        url = self._url(repo, f"commits/{commit}", {"limit": ("1",)})
        rows = _rows((await self._network.get_json(url, access, missing="revision")).value)
        return time_text(rows[0].get("date")) if rows and rows[0].get("id") == commit else ""

    def _url(self, repo: Repo, route: str, params: Params) -> URL:
        path = f"/api/{repo.type.api}/{repo.id}" + (f"/{route}" if route else "")
        query = _encoded(params)
        return URL(f"{self._config.base_url}{path}" + (f"?{query}" if query else ""), encoded=True)


def _encoded(params: Params) -> str:
    """A query string, or a form body."""
    return "&".join(
        f"{quote(key, safe='')}={quote(value, safe='')}" for key, values in params.items() for value in values
    )


def _rows(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise malformed("The hub's commit log is no JSON list.")
    return [row for row in value if isinstance(row, dict)]
