"""What of a running fill may leave: judged spans are proven equal first, the tail is held (design §6.2, §6.3)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

from gateway.domain.errors import IntegrityError
from gateway.domain.evidence import JudgedSpan

HELD_TAIL_BYTES = 64 * 1024
MOST_PROMISED = 4096

Equals = Callable[[JudgedSpan], Awaitable[bool]]


class Release:
    """The rule of one fill of `size_bytes`. `equals` compares a span, once it is written, with the staged bytes.

    Bound spans hold back what follows them until they are proven. Promised ones are bytes that a client had straight
    from the hub, before the fill came to them: they hold nothing back, but one that differs ends the fill as well.
    """

    def __init__(self, path: str, size_bytes: int, equals: Equals, promised: Iterable[JudgedSpan] = ()) -> None:
        self.sealed = False
        self._path = path
        self._size_bytes = size_bytes
        self._equals = equals
        self._written = 0
        self._released = 0
        self._pending: list[JudgedSpan] = []
        self._proven: set[JudgedSpan] = set()
        self._promised: list[JudgedSpan] = list(promised)
        self._differs: IntegrityError | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def promised(self) -> tuple[JudgedSpan, ...]:
        """What clients had from the hub directly and the fill has not reached: still owed a comparison."""
        return tuple(self._promised)

    def owed(self) -> tuple[JudgedSpan, ...]:
        """The fill is over before its end: what it owes is for the next one, and nothing more is promised here."""
        self.sealed = True
        return self.promised

    async def bind(self, spans: Iterable[JudgedSpan]) -> None:
        """Hold these spans until they prove equal to what was judged. Raises IntegrityError where they differ."""
        known = {*self._pending, *self._proven}
        new = [span for span in spans if span not in known]
        self._pending = sorted([*self._pending, *new], key=lambda span: span.start)
        await self.advance(self._written)

    async def promise(self, start: int, data: bytes) -> bool:
        """Bytes of the hub are about to leave from `start` on: compare them when the fill comes there.

        False: they must not leave, the fill is at its end or owes too many comparisons. Raises IntegrityError where it
        came there already, and they differ."""
        digest = await asyncio.to_thread(hashlib.sha256, data)
        if self.sealed or len(self._promised) >= MOST_PROMISED:
            return False
        self._promised.append(JudgedSpan(start, start + len(data), digest.hexdigest()))
        await self.advance(self._written)
        return True

    async def advance(self, written: int) -> None:
        """Prove what can be proven and release what may leave. Raises IntegrityError, from the first mismatch on."""
        async with self._one_at_a_time:
            if self._differs is not None:
                raise self._differs
            self._written = max(self._written, written)
            while ready := [span for span in self._pending if span.end <= self._written]:
                await self._check(ready[0], "that were judged")
                self._pending.remove(ready[0])
                self._proven.add(ready[0])
            while reached := [span for span in self._promised if span.end <= self._written]:
                await self._check(reached[0], "that the hub gave a client before")
                self._promised.remove(reached[0])
            limit = min((span.start for span in self._pending), default=self._size_bytes)
            held = max(0, self._size_bytes - HELD_TAIL_BYTES)
            self._released = max(self._released, min(self._written, limit, held))

    async def _check(self, span: JudgedSpan, what: str) -> None:
        if not await self._equals(span):
            self._differs = IntegrityError(f"bytes {span.start}-{span.end} of {self._path!r} differ from those {what}")
            raise self._differs

    async def seal(self) -> None:
        """No span may be bound or promised from here on: each that was is proven."""
        await self.advance(self._written)
        while self._pending or self._promised:
            await self.advance(self._written)
        self.sealed = True

    def all(self) -> None:
        """Everything may leave: the blob is committed."""
        self._released = self._size_bytes

    def may_leave(self, spans: Sequence[JudgedSpan]) -> int:
        """How far a client may read under a grant bound to `spans`."""
        return min([self._released, *(span.start for span in spans if span not in self._proven)])

    def has_proven(self, spans: Iterable[JudgedSpan]) -> bool:
        """Are the staged bytes of all these spans known to equal what was judged?"""
        return all(span in self._proven for span in spans)
