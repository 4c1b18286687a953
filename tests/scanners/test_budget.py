"""Pages, read-ahead and budgets."""

from __future__ import annotations

import random

import pytest

from gateway.scanners.budget import MAX_REQUEST_BYTES, PAGE_BYTES, InflateBudget, InflateBudgetExceeded, PagedReader
from gateway.scanners.reader import BytesReader, ReadBudgetExceeded


class Asked(BytesReader):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.requests: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.requests.append((offset, length))
        return super().read(offset, length)


def test_any_read_gives_what_the_file_has() -> None:
    data = random.Random(1).randbytes(5 * PAGE_BYTES + 123)
    rng = random.Random(2)
    paged = PagedReader(BytesReader(data), budget_bytes=1 << 40, cached_pages=16)
    for _ in range(3000):
        offset, length = rng.randrange(-5, len(data) + 50), rng.randrange(-2, 3 * PAGE_BYTES)
        expected = data[offset : offset + length] if offset >= 0 and length > 0 else b""
        assert paged.read(offset, length) == expected


def test_requests_are_whole_pages_within_the_file_and_bounded() -> None:
    inner = Asked(bytes(100 * PAGE_BYTES + 5))
    paged = PagedReader(inner)
    for offset in range(0, inner.size, 1000):
        paged.read(offset, 1000)
    paged.read(0, inner.size)
    for offset, length in inner.requests:
        assert offset % PAGE_BYTES == 0
        assert length <= MAX_REQUEST_BYTES
        assert offset + length <= inner.size
    assert len(inner.requests) < 40


def test_one_look_at_each_end_costs_two_pages() -> None:
    inner = Asked(bytes(1000 * PAGE_BYTES))
    paged = PagedReader(inner)
    paged.read(0, 100)
    paged.read(inner.size - 22, 22)
    paged.read(50, 1000)
    assert [length for _, length in inner.requests] == [PAGE_BYTES, PAGE_BYTES]


def test_past_the_budget_nothing_is_read() -> None:
    inner = Asked(bytes(10 * PAGE_BYTES))
    paged = PagedReader(inner, budget_bytes=2 * PAGE_BYTES)
    paged.read(0, 10)
    paged.read(5 * PAGE_BYTES, 10)
    with pytest.raises(ReadBudgetExceeded):
        paged.read(8 * PAGE_BYTES, 10)
    with pytest.raises(ReadBudgetExceeded):
        paged.read(0, 5 * PAGE_BYTES)
    assert len(inner.requests) == 2


def test_inflating_is_bounded_in_total_ratio_and_levels() -> None:
    budget = InflateBudget(total_bytes=10_000_000, ratio=200)
    assert budget.allowance(10) == 1024 * 1024
    assert budget.allowance(10_000) == 2_000_000
    budget.spend(9_999_999)
    assert budget.allowance(10_000) == 1
    budget.spend(1)
    with pytest.raises(InflateBudgetExceeded):
        budget.allowance(10_000)
    with pytest.raises(InflateBudgetExceeded):
        InflateBudget(level=4).allowance(1)
