"""Bytes of files: pinned range reads and whole streams, each held against what the listing said."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from cachetools import LRUCache
from yarl import URL

from gateway.clock import Clock
from gateway.domain.artifact import Artifact, Span
from gateway.domain.errors import IntegrityError, UpstreamUnavailable
from gateway.hubs.huggingface.answers import DELIVERY_REFUSED, PassingTrouble
from gateway.hubs.huggingface.backoff import Patience
from gateway.hubs.huggingface.config import UpstreamConfig
from gateway.hubs.huggingface.manifests import blob_path, is_made_by_hub
from gateway.hubs.huggingface.network import ANONYMOUS, GATEWAY_TOKEN, Answer, Network, translated
from gateway.hubs.huggingface.signatures import expires_at_s

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,16})-(\d{1,16})/(\d{1,16})")
_HEX_ETAG: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
REMEMBERED_PLACES: Final = 4096


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the bytes of an artifact lie for a while, and the ETag that they have there."""

    url: URL
    etag: str
    expires_at_s: float


class Content:
    """Reads at a commit. A body under another ETag, size or commit than before is an IntegrityError, never bytes."""

    def __init__(self, config: UpstreamConfig, network: Network, clock: Clock) -> None:
        self._config = config
        self._network = network
        self._clock = clock
        self._places: LRUCache[tuple[Artifact, str], _Place] = LRUCache(REMEMBERED_PLACES)

    async def read_range(self, artifact: Artifact, span: Span, access: str) -> bytes:
        """Exactly the bytes of the span. Raises UpstreamError, IntegrityError."""
        self._check_size(artifact)
        if not 0 <= span.start <= span.end <= artifact.entry.size_bytes:
            raise ValueError("the span lies outside the file")
        if span.length == 0:
            return b""

        async def once(patience: Patience) -> bytes:
            answer = await self._ask(artifact, access, span, patience)
            body = bytearray()
            try:
                async with aclosing(translated(answer.response)) as chunks:
                    async for chunk in chunks:
                        body += chunk
                        if len(body) > span.length:
                            raise IntegrityError("The hub sent more bytes than the range holds.")
            finally:
                answer.response.close()
            if len(body) != span.length:
                raise PassingTrouble("The hub's answer was cut short.")
            return bytes(body)

        return await self._network.retried(once)

    @asynccontextmanager
    async def open(self, artifact: Artifact, access: str, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes from `start` to the end, in chunks of at most 1 MiB. Raises UpstreamError, IntegrityError."""
        self._check_size(artifact)
        span = Span(start, artifact.entry.size_bytes)
        if not 0 <= span.start <= span.end:
            raise ValueError("the start lies outside the file")
        if span.length == 0 and start > 0:
            yield _nothing()
            return
        answer = await self._network.retried(lambda patience: self._ask(artifact, access, span, patience))
        try:
            async with aclosing(_exactly(answer, span.length)) as chunks:
                yield chunks
        finally:
            answer.response.close()

    async def _ask(self, artifact: Artifact, access: str, span: Span, patience: Patience) -> Answer:
        """The response that holds exactly the span; a remembered place that no longer answers is asked for anew."""
        place = self._places.get((artifact, access))
        if place is None or place.expires_at_s <= self._clock.now().timestamp():
            return await self._ask_hub(artifact, access, span, patience)
        try:
            answer = await self._send(place.url, ANONYMOUS, artifact, span, place.etag, patience)
        except UpstreamUnavailable as error:
            if error.code != DELIVERY_REFUSED:
                raise
            # The signature ran out early: only the hub can say whether the file is still there for us.
            self._places.pop((artifact, access), None)
            return await self._ask_hub(artifact, access, span, patience)
        return self._checked(answer, artifact, span, place.etag)

    async def _ask_hub(self, artifact: Artifact, access: str, span: Span, patience: Patience) -> Answer:
        known = self._places.get((artifact, access))
        etag = known.etag if known else ""
        answer = await self._send(self._url(artifact), access, artifact, span, etag, patience)
        try:
            for headers in answer.own_headers:
                _check_names(artifact, headers)
            if self._network.guard.is_own(answer.url):
                _check_etag(artifact, answer.response.headers)
        except IntegrityError:
            answer.response.close()
            raise
        checked = self._checked(answer, artifact, span, etag)
        self._remember(artifact, access, answer)
        return checked

    async def _send(
        self, url: URL, access: str, artifact: Artifact, span: Span, etag: str, patience: Patience
    ) -> Answer:
        headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
        if span != Span(0, artifact.entry.size_bytes):
            headers["Range"] = f"bytes={span.start}-{span.end - 1}"
            if etag and not etag.startswith("W/"):
                headers["If-Range"] = etag
        return await self._network.send(
            url, access, headers, patience, bucket="resolvers", own_only=False, missing="entry"
        )

    def _checked(self, answer: Answer, artifact: Artifact, span: Span, known_etag: str) -> Answer:
        """Raises before any byte is used, closes the response, and forgets the place: the next read starts anew."""
        try:
            _check_body(answer, artifact, span, known_etag)
        except (IntegrityError, UpstreamUnavailable):
            answer.response.close()
            for access in (ANONYMOUS, GATEWAY_TOKEN):
                self._places.pop((artifact, access), None)
            raise
        return answer

    def _remember(self, artifact: Artifact, access: str, answer: Answer) -> None:
        """Keep a place on another host until shortly before its signature ends; the hub itself is asked each time."""
        etag = answer.response.headers.get("ETag", "")
        now_s = self._clock.now().timestamp()
        if self._network.guard.is_own(answer.url):
            place = _Place(answer.url, etag, 0.0)
        else:
            place = _Place(answer.url, etag, expires_at_s(answer.url, now_s))
        self._places[artifact, access] = place

    def _check_size(self, artifact: Artifact) -> None:
        if not artifact.entry.is_lfs and artifact.entry.size_bytes > self._config.small_file_bytes:
            raise UpstreamUnavailable(
                f"A file that the hub names only by its git id is larger than {self._config.small_file_bytes} bytes.",
                code="upstream/too-large",
            )

    def _url(self, artifact: Artifact) -> URL:
        repo = artifact.repo
        path = f"/{repo.type.prefix}{repo.id}/resolve/{artifact.commit}/{quote(artifact.path)}"
        if is_made_by_hub(artifact.entry):
            path = blob_path(repo, artifact.entry.digest.value)
        return URL(f"{self._config.base_url}{path}", encoded=True)


def _check_names(artifact: Artifact, headers: Mapping[str, str]) -> None:
    """What the hub says of the file must be what its listing said (hub-protocol §5, §9.3)."""
    commit = headers.get("X-Repo-Commit")
    etag = headers.get("X-Linked-Etag")
    size = headers.get("X-Linked-Size")
    if commit is not None and commit != artifact.commit:
        raise IntegrityError("The hub answered for another commit than the one asked for.")
    if etag is not None and _plain(etag) != artifact.entry.digest.value:
        raise IntegrityError("The hub names other bytes for this file than its listing does.")
    if size is not None and size != str(artifact.entry.size_bytes):
        raise IntegrityError("The hub names another size for this file than its listing does.")


def _check_etag(artifact: Artifact, headers: Mapping[str, str]) -> None:
    """On the hub itself the ETag is the digest; a CDN has ETags of its own."""
    etag = _plain(headers.get("ETag", ""))
    is_same_kind = _HEX_ETAG.fullmatch(etag) and len(etag) == len(artifact.entry.digest.value)
    if "X-Linked-Etag" not in headers and is_same_kind and etag != artifact.entry.digest.value:
        raise IntegrityError("The hub's ETag is not the digest that its listing names.")


def _check_body(answer: Answer, artifact: Artifact, span: Span, known_etag: str) -> None:
    headers, status, size = answer.response.headers, answer.response.status, artifact.entry.size_bytes
    if headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise UpstreamUnavailable("The hub encoded the body of a file.", code="upstream/malformed")
    if known_etag and headers.get("ETag", known_etag) != known_etag:
        raise IntegrityError("The file has another ETag than when it was first read.")
    is_whole = span == Span(0, size)
    if not is_whole and status == 200:
        raise UpstreamUnavailable("The hub ignored a range and sent the whole file.", code="upstream/range-ignored")
    if status != (200 if is_whole else 206):
        raise UpstreamUnavailable(f"The hub answered {status} for a file.", code="upstream/unexpected-status")
    length = headers.get("Content-Length")
    if length is not None and length != str(span.length):
        raise IntegrityError("The hub's body has another length than its listing names.")
    if not is_whole:
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if not found or tuple(map(int, found.groups())) != (span.start, span.end - 1, size):
            raise IntegrityError("The hub sent another range than the one asked for, or of a file of another size.")


def _plain(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


async def _exactly(answer: Answer, length: int) -> AsyncGenerator[bytes, None]:
    """The body; raises where it ends early or goes on too long."""
    left = length
    async with aclosing(translated(answer.response)) as chunks:
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                raise IntegrityError("The hub sent more bytes than the file has.")
            yield chunk
    if left:
        raise PassingTrouble("The hub's answer was cut short.")


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
