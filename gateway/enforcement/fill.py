"""One upstream transfer, teed to staging and to every waiting client (design §6.2, §6.5)."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from gateway.domain.artifact import Artifact
from gateway.domain.errors import (
    GatewayError,
    IntegrityError,
    StoreError,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamThrottled,
)
from gateway.domain.evidence import JudgedSpan
from gateway.enforcement.staged import equals, opened, read_at
from gateway.ports import BlobInfo, BlobStore, Staging, Upstream

HELD_TAIL_BYTES = 64 * 1024
RANGE_IGNORED = "upstream/range-ignored"
_BLOCK_BYTES = 1024 * 1024
_BLOCK_WAIT_S = 0.2
# What asking again does not mend: the hub sends us somewhere we do not go, or to something we do not take.
FINAL = frozenset({"upstream/redirect-refused", "upstream/address-refused", "upstream/too-large", "upstream/bad-token"})
_ATTEMPTS = 6
_LONGEST_PAUSE_S = 30.0
_log = structlog.get_logger("fill")


class Fill:
    """A transfer under way. Readers see `written` bytes (unverified); clients only what `wait_released` allows.

    The last 64 KiB (the whole of a smaller file) and every judged span that is not yet proven equal stay held.
    """

    def __init__(
        self,
        artifact: Artifact,
        access: str,
        store: BlobStore,
        upstream: Upstream,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.artifact = artifact
        self.size_bytes = artifact.entry.size_bytes
        self.written = 0
        self.blob: BlobInfo | None = None
        self.error: GatewayError | None = None
        self._access = access
        self._store = store
        self._upstream = upstream
        self._pause = pause
        self._fd = -1
        self._released = 0
        self._from_start = False  # the hub ignores ranges: a resumed transfer skips what is here
        self._pending: list[JudgedSpan] = []
        self._proven: set[JudgedSpan] = set()
        self._differs: IntegrityError | None = None
        self._sealed = False
        self._waiters: list[asyncio.Future[None]] = []
        self._binding = asyncio.Lock()

    @property
    def is_over(self) -> bool:
        return self.blob is not None or self.error is not None

    async def run(self) -> BlobInfo:
        """Transfer, verify and commit. Raises what ended it; the same error reaches every waiter."""
        try:
            self.blob = await self._fill()
        except GatewayError as error:
            self.error = error
            raise
        except asyncio.CancelledError:
            self.give_up()
            raise
        else:
            self._released = self.size_bytes
            return self.blob
        finally:
            if not self.is_over:  # a fault of our own: nobody may wait for ever
                self.error = StoreError("the transfer ended in a way that nobody foresaw; ask again", code="store/fill")
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            self._wake()

    def give_up(self) -> None:
        """The gateway stops: whoever waits is told."""
        if not self.is_over:
            self.error = StoreError("the gateway is stopping; ask again", code="gateway/stopping")
            self._wake()

    async def _fill(self) -> BlobInfo:
        staging = await self._store.stage(self.size_bytes)
        try:
            self._fd = opened(staging.path)
            self._wake()
            await self._transfer(staging)
            await self._seal()
            return await staging.commit(self.artifact.entry)
        except BaseException:
            await staging.discard()
            raise

    async def _transfer(self, staging: Staging) -> None:
        """Until every byte is staged: a cut transfer is resumed by range; what brings no byte 6 times is raised."""
        failures = 0
        while self.written < self.size_bytes:
            before = self.written
            try:
                await self._stream(staging)
                trouble: GatewayError = IntegrityError(
                    f"the hub sends {self.written} of {self.size_bytes} bytes of {self.artifact.path!r}"
                )
            except (UpstreamNotFound, UpstreamRefused):
                raise
            except UpstreamError as error:
                if error.code in FINAL:
                    raise
                trouble = error
                self._from_start = self._from_start or error.code == RANGE_IGNORED
            if self.written < self.size_bytes:
                failures = failures + 1 if self.written == before else 0
                if failures >= _ATTEMPTS:
                    raise trouble
                _log.info("fill.resumes", path=self.artifact.path, at_bytes=self.written, cause=str(trouble))
                await self._pause(_pause_s(trouble, failures))

    async def _stream(self, staging: Staging) -> None:
        start = 0 if self._from_start else self.written
        skip = self.written - start
        block = bytearray()
        last = time.monotonic()
        try:
            async with self._upstream.open(self.artifact, self._access, start) as chunks:
                async for chunk in chunks:
                    fresh = memoryview(chunk)[skip:]
                    skip -= len(chunk) - len(fresh)
                    block += fresh
                    if self.written + len(block) > self.size_bytes:
                        raise IntegrityError(
                            f"the hub sends more than the {self.size_bytes} bytes of {self.artifact.path!r}"
                        )
                    if len(block) >= _BLOCK_BYTES or time.monotonic() - last > _BLOCK_WAIT_S:
                        full, block = block, bytearray()
                        await self._accept(staging, full)
                        last = time.monotonic()
        except UpstreamError:
            await self._accept(staging, block)  # what came before the cut need not come again
            raise
        await self._accept(staging, block)

    async def _accept(self, staging: Staging, block: bytearray) -> None:
        if block:
            await staging.write(bytes(block))
            self.written += len(block)
            await self._advance()

    async def bind(self, spans: Iterable[JudgedSpan]) -> bool:
        """Hold these spans until they prove equal to what was judged. Raises IntegrityError where they differ.

        False: too late, the last byte is here; wait for the commit and prove the blob.
        """
        if self._sealed or self.is_over:
            return False
        known = {*self._pending, *self._proven}
        new = [span for span in spans if span not in known]
        self._pending = sorted([*self._pending, *new], key=lambda span: span.start)
        await self._advance()
        return True

    async def _advance(self) -> None:
        """Prove what can be proven and release what may leave. Raises IntegrityError, from the first mismatch on."""
        async with self._binding:
            if self._differs is not None:
                raise self._differs
            while ready := [span for span in self._pending if span.end <= self.written]:
                span = ready[0]
                if not await asyncio.to_thread(equals, self.descriptor(), span):
                    self._differs = IntegrityError(
                        f"bytes {span.start}-{span.end} of {self.artifact.path!r} differ from those that were judged"
                    )
                    raise self._differs
                self._pending.remove(span)
                self._proven.add(span)
            limit = min((span.start for span in self._pending), default=self.size_bytes)
            held = max(0, self.size_bytes - HELD_TAIL_BYTES)
            self._released = max(self._released, min(self.written, limit, held))
        self._wake()

    async def _seal(self) -> None:
        """No span may be bound from here on: each that was is proven."""
        await self._advance()
        while self._pending:
            await self._advance()
        self._sealed = True

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _may_leave(self, spans: Sequence[JudgedSpan]) -> int:
        return min([self._released, *(span.start for span in spans if span not in self._proven)])

    def has_proven(self, spans: Iterable[JudgedSpan]) -> bool:
        """Are the staged bytes of all these spans known to equal what was judged?"""
        return all(span in self._proven for span in spans)

    def descriptor(self) -> int:
        """A new descriptor of the staged bytes, which stays good when they are committed; the caller closes it.

        Raises the error of the fill, StoreError.
        """
        if self.error is not None:
            raise self.error
        if self._fd >= 0:
            return os.dup(self._fd)
        if self.blob is None:
            raise StoreError("the staged bytes are not there yet; ask again", code="store/fill")
        return opened(self.blob.path)

    async def read(self, offset: int, length: int) -> bytes:
        """Staged, unverified bytes, once they are there. Raises the error of the fill, StoreError."""
        await self.wait_written(offset + length)
        return await asyncio.to_thread(read_at, self.descriptor(), offset, length)

    async def wait_staged(self) -> None:
        """Until there is a descriptor. Raises the error of the fill."""
        while self._fd < 0 and not self.is_over:
            await self._changed()
        if self.error is not None:
            raise self.error

    async def wait_written(self, end: int) -> None:
        """Until `end` bytes are in staging. Raises the error of the fill."""
        while self.written < end and not self.is_over:
            await self._changed()
        if self.error is not None:
            raise self.error

    async def wait_released(self, offset: int, spans: Sequence[JudgedSpan] = ()) -> int:
        """Until bytes beyond `offset` may leave under a grant bound to `spans`; returns how far.

        Raises the error of the fill.
        """
        while self._may_leave(spans) <= offset and not self.is_over:
            await self._changed()
        if self.error is not None:
            raise self.error
        return self._may_leave(spans)

    async def wait_committed(self) -> BlobInfo:
        """Until the blob is verified and visible. Raises the error of the fill."""
        while not self.is_over:
            await self._changed()
        if self.blob is None:
            assert self.error is not None
            raise self.error
        return self.blob


def _pause_s(trouble: GatewayError, failures: int) -> float:
    """How long to wait before the next try: what the hub asks for, or a growing time with jitter."""
    if isinstance(trouble, UpstreamThrottled):
        return min(_LONGEST_PAUSE_S, trouble.retry_after_s)
    return min(4.0, 0.1 * 2.0**failures) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
