"""The fills under way: an equal digest is fetched once, however many ask (design §6.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from cachetools import LRUCache

from gateway.domain.artifact import Artifact
from gateway.domain.errors import IntegrityError, UpstreamUnavailable
from gateway.domain.evidence import JudgedSpan
from gateway.enforcement.background import Background
from gateway.enforcement.fill import Fill
from gateway.ports import BlobStore, Upstream

MOST_FILLS = 32
MOST_SMALL = 16
MOST_OWED = 1024
WATCH_S = 60.0
LEAST_BYTES = 1024 * 1024  # that a fill brings in that time, where others wait for its turn
SMALL_BYTES = 8 * 1024 * 1024


class Fills:
    """The fills under way, by digest: an equal digest joins, whatever the repo it is asked through.

    `ended` is told of each fill that is over; `pause` waits between two tries (seconds). At most `most` run at once:
    connections to the hub must be left for questions and range reads. One that brings less than 1 MiB in `watch_s`
    while others wait gives up its turn. Files of at most 8 MiB have turns of their own: a config must not wait for
    hours behind checkpoints.
    """

    def __init__(
        self,
        store: BlobStore,
        upstream: Upstream,
        background: Background,
        ended: Callable[[Fill], Awaitable[None]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        most: int = MOST_FILLS,
        watch_s: float = WATCH_S,
    ) -> None:
        self._store = store
        self._upstream = upstream
        self._turns = _Turns(most)
        self._small_turns = _Turns(MOST_SMALL)
        self._watch_s = watch_s
        self._background = background
        self._ended = ended
        self._pause = pause
        self._running: dict[str, Fill] = {}
        self._owed: LRUCache[str, tuple[JudgedSpan, ...]] = LRUCache(MOST_OWED)

    def running(self, artifact: Artifact) -> Fill | None:
        return self._running.get(artifact.entry.identity)

    def start(self, artifact: Artifact, access: str) -> Fill:
        """The fill of this digest: the one under way, or a new one that outlives the request."""
        key = artifact.entry.identity
        fill = self._running.get(key)
        if fill is None or fill.error is not None:  # one that failed and is still being cleared away mends nothing
            owed = self._owed.pop(key, ())
            fill = Fill(artifact, access, self._store, self._upstream, self._pause, owed)
            self._running[key] = fill
            self._background.detach(self._run(key, fill), name=f"fill:{artifact.path}")
        return fill

    async def _run(self, key: str, fill: Fill) -> None:
        turns = self._small_turns if fill.size_bytes <= SMALL_BYTES else self._turns
        try:
            async with turns.one():
                await self._watched(fill, turns)
        except asyncio.CancelledError:
            fill.give_up()
            raise
        finally:
            try:
                await self._ended(fill)
            finally:
                if self._running.get(key) is fill:
                    del self._running[key]
                self._keep_owed(key, fill)

    async def _watched(self, fill: Fill, turns: _Turns) -> None:
        """Run the fill; a hub that hardly sends anything must not keep a turn that others wait for."""
        run = self._background.spawn(fill.run(), f"transfer:{fill.artifact.path}")
        try:
            written = 0
            while not (await asyncio.wait({run}, timeout=self._watch_s))[0]:
                if turns.queued and fill.written - written < LEAST_BYTES and fill.written < fill.size_bytes:
                    fill.give_up(_too_slow(fill))
                    break
                written = fill.written
            else:
                await run
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

    def _keep_owed(self, key: str, fill: Fill) -> None:
        """What clients had from the hub directly stays owed a comparison where the fill ended before it."""
        if fill.blob is not None:
            return
        owed = fill.release.owed()
        if owed and not isinstance(fill.error, IntegrityError):
            self._owed[key] = owed


class _Turns:
    """So many at once; `queued` wait for theirs."""

    def __init__(self, most: int) -> None:
        self.queued = 0
        self._semaphore = asyncio.Semaphore(most)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        self.queued += 1
        try:
            await self._semaphore.acquire()
        finally:
            self.queued -= 1
        try:
            yield
        finally:
            self._semaphore.release()


def _too_slow(fill: Fill) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        f"the hub sends {fill.artifact.path!r} too slowly, and others wait; ask again",
        timeout=True,
        code="upstream/too-slow",
    )
