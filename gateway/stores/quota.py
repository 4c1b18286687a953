"""How many bytes the blob store may hold, and which whole blobs go first. Knows names and sizes, touches no file.

Own access order, never the file system's atime (mounted away on most servers). Methods are safe in any thread.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Limits:
    """`high_bytes`: above it blobs are evicted down to `low_bytes` (None: no quota, only the disk counts).

    `reserve_bytes` of the file system stay free for the ledger and the facts, whatever is asked.
    """

    high_bytes: int | None = None
    low_bytes: int | None = None
    reserve_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if self.high_bytes is None:
            if self.low_bytes is not None:
                raise ConfigError("a low water mark of the blob store needs a high one")
            return
        if self.high_bytes <= 0 or not 0 <= self.low_mark <= self.high_bytes:
            raise ConfigError("the water marks of the blob store must hold 0 <= low <= high, high above 0")

    @property
    def low_mark(self) -> int:
        """The low water mark, nine tenths of the high one where it is not given."""
        if self.high_bytes is None:
            return 0
        return self.low_bytes if self.low_bytes is not None else self.high_bytes * 9 // 10


@dataclass(slots=True)
class Use:
    """Size of a blob, and when it was last used (Unix seconds)."""

    size_bytes: int
    used_at_s: int


class Quota:
    """The accounts: stored blobs in order of use, pins, and bytes reserved by staging."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._uses: OrderedDict[str, Use] = OrderedDict()  # least recently used first
        self._pins: Counter[str] = Counter()
        self._stored_bytes = 0
        self._reserved_bytes = 0
        self.changes = 0  # raised by every use: tells whether the access hint on disk is old

    @property
    def stored_bytes(self) -> int:
        return self._stored_bytes

    @property
    def reserved_bytes(self) -> int:
        return self._reserved_bytes

    def size_of(self, sha256: str) -> int | None:
        use = self._uses.get(sha256)
        return None if use is None else use.size_bytes

    def add(self, sha256: str, size_bytes: int, used_at_s: int) -> None:
        """Count a blob as stored and used now."""
        with self._lock:
            self._remove(sha256)
            self._uses[sha256] = Use(size_bytes, used_at_s)
            self._stored_bytes += size_bytes
            self.changes += 1

    def touch(self, sha256: str, used_at_s: int) -> None:
        """Count a blob as used now."""
        with self._lock:
            use = self._uses.get(sha256)
            if use is not None:
                use.used_at_s = used_at_s
                self._uses.move_to_end(sha256)
                self.changes += 1

    def forget(self, sha256: str) -> None:
        """A blob that is no longer on disk."""
        with self._lock:
            self._remove(sha256)

    def pin(self, sha256: str) -> None:
        with self._lock:
            self._pins[sha256] += 1

    def unpin(self, sha256: str) -> None:
        with self._lock:
            self._pins[sha256] -= 1
            if self._pins[sha256] <= 0:
                del self._pins[sha256]

    def reserve(self, size_bytes: int) -> None:
        with self._lock:
            self._reserved_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        with self._lock:
            self._reserved_bytes -= size_bytes

    def over_high(self) -> bool:
        """Do stored and reserved bytes together stand above the high water mark?"""
        high = self.limits.high_bytes
        return high is not None and self._stored_bytes + self._reserved_bytes > high

    def over_low(self) -> bool:
        high = self.limits.high_bytes
        return high is not None and self._stored_bytes + self._reserved_bytes > self.limits.low_mark

    def evictable_bytes(self) -> int:
        """The bytes of all blobs that nobody serves."""
        with self._lock:
            pinned = (use.size_bytes for sha256 in self._pins if (use := self._uses.get(sha256)) is not None)
            return self._stored_bytes - sum(pinned)

    def take_victim(self) -> str | None:
        """Strike the least recently used blob that nobody serves off the accounts and return it; None: all pinned."""
        with self._lock:
            victim = next((sha256 for sha256 in self._uses if sha256 not in self._pins), None)
            if victim is not None:
                self._remove(victim)
            return victim

    def uses(self) -> Iterable[tuple[str, Use]]:
        """All blobs, least recently used first."""
        with self._lock:
            return list(self._uses.items())

    def _remove(self, sha256: str) -> None:
        use = self._uses.pop(sha256, None)
        if use is not None:
            self._stored_bytes -= use.size_bytes
