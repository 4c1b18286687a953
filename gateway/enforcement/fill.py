"""One upstream transfer, teed to staging and to every waiting client (design §6.2, §6.5)."""

from __future__ import annotations

import asyncio
import math
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
from gateway.enforcement.release import Release
from gateway.enforcement.staged import equals, opened, read_at
from gateway.enforcement.takers import Takers
from gateway.ports import BlobInfo, BlobStore, Staging, Upstream

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
        promised: Iterable[JudgedSpan] = (),
    ) -> None:
        """`promised`: what an earlier fill of these bytes still had to compare."""
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
        self._begun_s: float | None = None
        self.release = Release(artifact.path, self.size_bytes, self._equals, promised)
        self.takers = Takers()
        self.parts = 0  # ranges that are being read of it now
        self._from_start = False  # the hub ignores ranges: a resumed transfer skips what is here
        self._waiters: list[asyncio.Future[None]] = []

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
            self.release.all()
            return self.blob
        finally:
            if not self.is_over:  # a fault of our own: nobody may wait for ever
                self.error = StoreError("the transfer ended in a way that nobody foresaw; ask again", code="store/fill")
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            self._wake()

    def give_up(self, why: GatewayError | None = None) -> None:
        """The transfer is not waited for any longer, or the gateway stops: whoever waits is told."""
        if not self.is_over:
            self.error = why or StoreError("the gateway is stopping; ask again", code="gateway/stopping")
            self._wake()

    async def _fill(self) -> BlobInfo:
        staging = await self._store.stage(self.size_bytes)
        try:
            self._fd = opened(staging.path)
            self._begun_s = time.monotonic()
            self._wake()
            await self._transfer(staging)
            await self.release.seal()
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
            await self.release.advance(self.written)
            self._wake()

    async def bind(self, spans: Iterable[JudgedSpan]) -> bool:
        """Hold these spans until they prove equal to what was judged. Raises IntegrityError where they differ.

        False: too late, the last byte is here; wait for the commit and prove the blob.
        """
        if self.release.sealed or self.is_over:
            return False
        await self.release.bind(spans)
        self._wake()
        return True

    async def _equals(self, span: JudgedSpan) -> bool:
        return await asyncio.to_thread(equals, self.descriptor(), span)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

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

    def due_in_s(self, position: int) -> float:
        """When the fill comes to `position` at the rate that it has had; a fill younger than a second is given one."""
        age_s = 0.0 if self._begun_s is None else time.monotonic() - self._begun_s
        if age_s < 1.0:
            return 1.0 - age_s
        if self.written == 0:
            return math.inf
        return max(0.0, (position - self.written) * age_s / self.written)

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
        while self.release.may_leave(spans) <= offset and not self.is_over:
            await self._changed()
        if self.error is not None:
            raise self.error
        return self.release.may_leave(spans)

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
