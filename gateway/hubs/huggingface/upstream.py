"""The network end of the Hugging Face hub: anonymous first, the gateway's token only where that does not open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from aiohttp.abc import AbstractResolver

from gateway.clock import Clock, SystemClock
from gateway.domain.artifact import Artifact, RefKind, Repo, RepoType, Span
from gateway.domain.errors import UpstreamNotFound, UpstreamRefused
from gateway.domain.evidence import Reachable, Snapshot
from gateway.domain.objects import Manifest
from gateway.hubs.huggingface.backoff import SharedBackoff, Sleep
from gateway.hubs.huggingface.config import UpstreamConfig
from gateway.hubs.huggingface.content import Content
from gateway.hubs.huggingface.entries import Listing
from gateway.hubs.huggingface.limits import malformed
from gateway.hubs.huggingface.manifests import manifest_of
from gateway.hubs.huggingface.metadata import Metadata
from gateway.hubs.huggingface.names import is_commit
from gateway.hubs.huggingface.network import ANONYMOUS, GATEWAY_TOKEN, Network
from gateway.hubs.huggingface.revision import (
    History,
    canonical_repo,
    commit_of,
    gate_of,
    is_default,
    kind_by_refs,
    kind_by_text,
    snapshot_of,
    under_ref,
)
from gateway.hubs.huggingface.search import asked_of_hub, page_of
from gateway.ports import FoundPage, KnownCommit, Resolved

T = TypeVar("T")

# The keys by which `forward` is told where to look; they are no parameters of the hub.
COMMIT, PATH = "commit", "path"


class HuggingFaceUpstream:
    """Implements `ports.Upstream`, `ports.Catalog` and `ports.Registry`. Call `start` in the running loop, `close`
    at the end.

    `hub` is the configured name of the hub, as in `Repo.hub`.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        *,
        hub: str = "huggingface",
        clock: Clock | None = None,
        resolver: AbstractResolver | None = None,
        backoff: SharedBackoff | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._hub = hub
        self._network = Network(config, resolver=resolver, backoff=backoff, sleep=sleep)
        self._metadata = Metadata(config, self._network)
        self._content = Content(config, self._network, clock or SystemClock())

    async def start(self) -> None:
        await self._network.start()

    async def close(self) -> None:
        await self._network.close()

    def circuits(self) -> Mapping[str, str]:
        """The upstream hosts that are asked by a probe only, and why."""
        return self._network.circuits.open_hosts()

    async def resolve(self, repo: Repo, ref: str) -> Resolved:
        """Where `ref` points now ("" = default branch), and what opened it. A full commit id is verified to exist.

        Raises UpstreamError: NotFound (repo or revision), Refused, Unavailable, Throttled.
        """
        info, access = await self._opened(lambda access: self._metadata.info(repo, ref, access))
        commit = commit_of(info)
        if is_commit(ref) and commit != ref:
            raise malformed("The hub answered for another commit than the one asked for.")
        return Resolved(commit, access)

    async def snapshot(
        self, repo: Repo, ref: str, commit: str, access: str, known: KnownCommit | None = None
    ) -> Snapshot:
        """All facts of one revision. `RepoFacts.repo` is the canonical repo, after a rename.

        `RepoFacts.access` tells what opens the *bytes*: of a gated repo whose listings are public, only the token does.
        Of a `known` commit the tree, its time and that the default branch holds it are not asked for again.
        Raises UpstreamError.
        """
        if known is not None and known.is_fresh:
            return under_ref(known.snapshot, ref, await self._kind(repo, ref, access))
        params = {"blobs": ("true",), "securityStatus": ("true",)}
        earlier = known.snapshot if known is not None else None
        info, listing, history, kind = await _together(
            self._metadata.info(repo, commit, access, params),
            self._listing(repo, commit, access, earlier),
            self._history(repo, ref, commit, access, earlier),
            self._kind(repo, ref, access),
        )
        if commit_of(info) != commit:
            raise malformed("The hub answered for another commit than the one asked for.")
        if gate_of(info) != "no" and self._network.has_token():
            access = GATEWAY_TOKEN
        return snapshot_of(canonical_repo(repo, info), ref, kind, info, listing, history, access)

    async def _listing(self, repo: Repo, commit: str, access: str, earlier: Snapshot | None) -> Listing:
        if earlier is not None and earlier.revision.files_complete:
            files = tuple(file.entry for file in earlier.revision.files)
            return Listing(files, earlier.tree, complete=True, unroutable=earlier.revision.unroutable)
        return await self._metadata.tree(repo, commit, access)

    async def _history(self, repo: Repo, ref: str, commit: str, access: str, earlier: Snapshot | None) -> History:
        if earlier is not None and earlier.revision.reachable is Reachable.YES and earlier.revision.committed_at:
            return History(earlier.revision.committed_at, Reachable.YES)
        return await self._metadata.history(repo, commit, access, is_head=is_default(ref))

    async def read_range(self, artifact: Artifact, span: Span, access: str) -> bytes:
        """Exactly one range of a file, pinned to its commit, digest, size and ETag.

        Raises UpstreamError, IntegrityError; UpstreamUnavailable with code `upstream/range-ignored` where the hub
        cannot serve ranges.
        """
        return await self._content.read_range(artifact, span, access)

    def open(
        self, artifact: Artifact, access: str, start: int = 0
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Stream the file from `start` to its end. Raises UpstreamError and IntegrityError, also between chunks."""
        return self._content.open(artifact, access, start)

    async def forward(self, repo: Repo, name: str, query: Mapping[str, tuple[str, ...]], access: str) -> Any:
        """The JSON of `refs`, `info`, `tree` or `paths_info`, unfiltered, or a page of `commits`. `query["commit"]` and
        `query["path"]` say which revision and folder; every other key goes to the hub. Raises UpstreamError."""
        commit, path = (query.get(key, ("",))[0] for key in (COMMIT, PATH))
        params = {key: values for key, values in query.items() if key not in (COMMIT, PATH)}
        match name:
            case "refs":
                return await self._metadata.refs(repo, access, params)
            case "info":
                return await self._metadata.info(repo, commit, access, params)
            case "tree":
                rows, complete = await self._metadata.tree_rows(repo, commit, path, access, params)
                if not complete:
                    raise malformed("The hub's tree is too large to be forwarded whole.")
                return rows
            case "commits":
                return await self._metadata.commits(repo, commit, access, params)
            case "paths_info":
                return await self._metadata.paths_info(repo, commit, access, params)
            case _:
                raise ValueError(f"there is no upstream route {name!r}")

    async def manifest(self, repo: Repo, tag: str, access: str) -> Manifest:
        """What a tag of the `/v2/` registry names. Raises UpstreamError."""
        return manifest_of(await self._metadata.manifest(repo, tag, access))

    async def search(self, kind: RepoType, query: Mapping[str, tuple[str, ...]]) -> FoundPage:
        """One page of a search, asked as a stranger. Raises UpstreamError."""
        answer = await self._metadata.search(kind, asked_of_hub(query))
        return page_of(self._hub, kind, answer.value, answer.size_bytes, answer.next_url)

    async def _opened(self, ask: Callable[[str], Awaitable[T]]) -> tuple[T, str]:
        """Ask as a stranger; with the token only where a stranger is told of no repo or refused."""
        try:
            return await ask(ANONYMOUS), ANONYMOUS
        except UpstreamNotFound as error:
            if error.what != "repo" or not self._network.has_token():
                raise
        except UpstreamRefused:
            if not self._network.has_token():
                raise
        return await ask(GATEWAY_TOKEN), GATEWAY_TOKEN

    async def _kind(self, repo: Repo, ref: str, access: str) -> RefKind:
        return kind_by_text(ref) or kind_by_refs(ref, await self._metadata.refs(repo, access))


async def _together(
    info: Awaitable[T], tree: Awaitable[Listing], history: Awaitable[History], kind: Awaitable[RefKind]
) -> tuple[T, Listing, History, RefKind]:
    """Four reads at once. Where some fail, the info's error is raised first: it knows best what is missing."""
    answers = await asyncio.gather(info, tree, history, kind, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers  # type: ignore[return-value]  # none of them is an exception
