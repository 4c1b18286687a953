"""What one scan may spend: bytes read, bytes inflated, levels of nesting. Past a budget nothing is judged clean."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.scanners.reader import ReadBudgetExceeded, Reader

PAGE_BYTES = 64 * 1024

# scanning.md §5.6 rule 6: inflate within 256 MiB and 200:1, three levels.
INFLATE_BYTES = 256 * 1024 * 1024
INFLATE_RATIO = 200
INFLATE_LEVELS = 3
# A short member may compress far better than 200:1 without being a bomb.
RATIO_FLOOR_BYTES = 1024 * 1024

READ_BYTES = 512 * 1024 * 1024
_CACHED_PAGES = 512
_READ_AHEAD_PAGES = 16
MAX_REQUEST_BYTES = _READ_AHEAD_PAGES * PAGE_BYTES


class InflateBudgetExceeded(Exception):
    """Decompression asked for more than the budget: Coverage `partial`, cause "inflate-budget"."""


@dataclass(slots=True)
class InflateBudget:
    """Counts what one scan inflates. `level` is the depth of containers around the bytes being inflated."""

    total_bytes: int = INFLATE_BYTES
    ratio: int = INFLATE_RATIO
    levels: int = INFLATE_LEVELS
    level: int = 1
    used_bytes: int = 0

    def allowance(self, compressed_bytes: int) -> int:
        """How many bytes `compressed_bytes` may become. Raises InflateBudgetExceeded where nothing is left."""
        if self.level > self.levels:
            raise InflateBudgetExceeded(f"more than {self.levels} levels of compression")
        room = min(self.total_bytes - self.used_bytes, max(compressed_bytes * self.ratio, RATIO_FLOOR_BYTES))
        if room <= 0:
            raise InflateBudgetExceeded(f"more than {self.total_bytes} bytes of inflated data")
        return room

    def spend(self, inflated_bytes: int) -> None:
        self.used_bytes += inflated_bytes


class PagedReader:
    """Turns any reads into whole 64 KiB pages, keeps recent pages, and counts what was fetched.

    Sequential reading fetches up to 16 pages at once, so a file read from start to end costs few questions.
    Raises ReadBudgetExceeded past `budget_bytes`; whatever the inner reader raises passes unchanged.
    """

    def __init__(self, inner: Reader, budget_bytes: int = READ_BYTES, cached_pages: int = _CACHED_PAGES) -> None:
        self._inner = inner
        self._budget_bytes = budget_bytes
        self._cached_pages = max(cached_pages, _READ_AHEAD_PAGES)
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._next_page = -1
        self._run = 0
        self.size = inner.size
        self.fetched_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        if offset < 0 or length <= 0 or offset >= self.size:
            return b""
        end = min(offset + length, self.size)
        if end - offset > self._budget_bytes:
            raise ReadBudgetExceeded(f"one read of {end - offset} bytes")
        first, last = offset // PAGE_BYTES, (end - 1) // PAGE_BYTES
        if first == last:
            page = self._page(first, last)
            return page[offset - first * PAGE_BYTES : end - first * PAGE_BYTES]
        parts = [self._page(index, last) for index in range(first, last + 1)]
        joined = b"".join(parts)
        start = offset - first * PAGE_BYTES
        return joined[start : start + end - offset]

    def _page(self, index: int, wanted_last: int) -> bytes:
        page = self._pages.get(index)
        if page is None:
            self._fetch(index, wanted_last)
            page = self._pages[index]
        else:
            self._pages.move_to_end(index)
        return page

    def _fetch(self, index: int, wanted_last: int) -> None:
        """Fetch page `index` and what is sure to follow: the rest of this read, and more once reading is in order."""
        self._run = self._run + 1 if index == self._next_page else 0
        ahead = min(2**self._run, _READ_AHEAD_PAGES) if self._run > 1 else 1
        count = max(min(wanted_last - index + 1, _READ_AHEAD_PAGES), ahead)
        start = index * PAGE_BYTES
        length = min(count * PAGE_BYTES, self.size - start)
        self.fetched_bytes += length
        if self.fetched_bytes > self._budget_bytes:
            raise ReadBudgetExceeded(f"more than {self._budget_bytes} bytes read")
        data = self._inner.read(start, length)
        self._next_page = index + -(-length // PAGE_BYTES)
        for at in range(0, len(data), PAGE_BYTES):
            self._pages[index + at // PAGE_BYTES] = data[at : at + PAGE_BYTES]
            self._pages.move_to_end(index + at // PAGE_BYTES)
        while len(self._pages) > self._cached_pages:
            self._pages.popitem(last=False)
