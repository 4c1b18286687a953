"""Fills: one upstream transfer per digest, teed to staging and to every waiting client (design §6.2, §6.5)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import structlog

from gateway.domain.artifact import Artifact
from gateway.domain.errors import GatewayError, IntegrityError, StoreError, UpstreamError, UpstreamNotFound
from gateway.domain.evidence import JudgedSpan
from gateway.enforcement.background import Background
from gateway.ports import BlobInfo, BlobStore, Staging, Upstream

HELD_TAIL_BYTES = 64 * 1024
_BLOCK_BYTES = 1024 * 1024
_BLOCK_WAIT_S = 0.2
_ATTEMPTS = 6
_log = structlog.get_logger("fill")


class Fill:
    """A transfer under way. Readers see `written` bytes (unverified); clients only what `released` allows.

    The last 64 KiB (the whole of a smaller file) and every judged span that is not yet proven equal stay held.
    """

    def __init__(self, artifact: Artifact, access: str, store: BlobStore, upstream: Upstream) -> None:
        self.artifact = artifact
        self.size_bytes = artifact.entry.size_bytes
        self.written = 0
        self.released = 0
        self.blob: BlobInfo | None = None
        self.error: GatewayError | None = None
        self.path: Path | None = None
        self._access = access
        self._store = store
        self._upstream = upstream
        self._pending: list[JudgedSpan] = []
        self._bound: set[JudgedSpan] = set()
        self._waiters: list[asyncio.Future[None]] = []
        self._binding = asyncio.Lock()

    @property
    def is_over(self) -> bool:
        return self.blob is not None or self.error is not None

    async def run(self) -> BlobInfo:
        """Transfer, verify and commit. Raises what ended it; the same error reaches every waiter."""
        try:
            staging = await self._store.stage(self.size_bytes)
            try:
                self.path = staging.path
                await self._transfer(staging)
                self.blob = await staging.commit(self.artifact.entry)
            except BaseException:
                await staging.discard()
                raise
        except GatewayError as error:
            self.error = error
            raise
        except asyncio.CancelledError:
            self.error = StoreError("the gateway is stopping; ask again", code="gateway/stopping")
            raise
        else:
            self.released = self.size_bytes
            return self.blob
        finally:
            self._wake()

    async def _transfer(self, staging: Staging) -> None:
        attempt = 0
        while self.written < self.size_bytes:
            before = self.written
            try:
                await self._stream(staging)
            except UpstreamNotFound:
                raise
            except UpstreamError as error:
                if self.written == before:
                    attempt += 1
                if attempt >= _ATTEMPTS:
                    raise
                _log.info("fill.resumes", path=self.artifact.path, at_bytes=self.written, cause=str(error))
                await asyncio.sleep(min(4.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            else:
                attempt = attempt + 1 if self.written == before else 0
                if attempt >= _ATTEMPTS:
                    raise IntegrityError(
                        f"the hub sends {self.written} of {self.size_bytes} bytes of {self.artifact.path!r}"
                    )

    async def _stream(self, staging: Staging) -> None:
        block = bytearray()
        last = time.monotonic()
        async with self._upstream.open(self.artifact, self._access, self.written) as chunks:
            async for chunk in chunks:
                block += chunk
                if self.written + len(block) > self.size_bytes:
                    raise IntegrityError(
                        f"the hub sends more than the {self.size_bytes} bytes of {self.artifact.path!r}"
                    )
                if len(block) >= _BLOCK_BYTES or time.monotonic() - last > _BLOCK_WAIT_S:
                    await self._accept(staging, block)
                    block = bytearray()
                    last = time.monotonic()
        if block:
            await self._accept(staging, block)

    async def _accept(self, staging: Staging, block: bytearray) -> None:
        await staging.write(bytes(block))
        self.written += len(block)
        await self._advance()

    async def bind(self, spans: Iterable[JudgedSpan]) -> None:
        """Hold these spans until they prove equal to what was judged. Raises IntegrityError where they differ."""
        async with self._binding:
            new = [span for span in spans if span not in self._bound]
            self._bound.update(new)
            self._pending = sorted([*self._pending, *new], key=lambda span: span.start)
        await self._advance()

    async def _advance(self) -> None:
        async with self._binding:
            while self._pending and self.path is not None and self._pending[0].end <= self.written:
                span = self._pending[0]
                if await asyncio.to_thread(_sha256_of, self.path, span) != span.sha256:
                    raise IntegrityError(
                        f"bytes {span.start}-{span.end} of {self.artifact.path!r} differ from those that were judged"
                    )
                self._pending.pop(0)
            limit = self._pending[0].start if self._pending else self.size_bytes
            held = self.size_bytes - HELD_TAIL_BYTES
            self.released = max(self.released, min(self.written, limit, max(0, held)))
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def wait_written(self, end: int) -> None:
        """Until `end` bytes are in staging. Raises the error of the fill."""
        while self.written < end and not self.is_over:
            await self._changed()
        if self.error is not None:
            raise self.error

    async def wait_released(self, offset: int) -> int:
        """Until bytes beyond `offset` may leave; returns how far. Raises the error of the fill."""
        while self.released <= offset and not self.is_over:
            await self._changed()
        if self.error is not None:
            raise self.error
        return self.released

    async def wait_committed(self) -> BlobInfo:
        """Until the blob is verified and visible. Raises the error of the fill."""
        while not self.is_over:
            await self._changed()
        if self.blob is None:
            assert self.error is not None
            raise self.error
        return self.blob


def _sha256_of(path: Path, span: JudgedSpan) -> str:
    """The sha256 of one range of the staged file, read in blocks."""
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY)
    try:
        position = span.start
        while position < span.end:
            data = os.pread(fd, min(_BLOCK_BYTES, span.end - position), position)
            if not data:
                break
            digest.update(data)
            position += len(data)
    finally:
        os.close(fd)
    return digest.hexdigest()


class Fills:
    """The fills under way, by digest: an equal digest joins, whatever the repo it is asked through."""

    def __init__(
        self,
        store: BlobStore,
        upstream: Upstream,
        background: Background,
        ended: Callable[[Fill], Awaitable[None]],
    ) -> None:
        self._store = store
        self._upstream = upstream
        self._background = background
        self._ended = ended
        self._running: dict[str, Fill] = {}

    def running(self, artifact: Artifact) -> Fill | None:
        return self._running.get(str(artifact.entry.digest))

    def start(self, artifact: Artifact, access: str) -> Fill:
        """The fill of this digest: the one under way, or a new one that outlives the request."""
        key = str(artifact.entry.digest)
        fill = self._running.get(key)
        if fill is None:
            fill = Fill(artifact, access, self._store, self._upstream)
            self._running[key] = fill
            self._background.detach(self._run(key, fill), name=f"fill:{artifact.path}")
        return fill

    async def _run(self, key: str, fill: Fill) -> None:
        try:
            await fill.run()
        finally:
            try:
                await self._ended(fill)
            finally:
                self._running.pop(key, None)
