"""What was judged is bound to its bytes."""

from __future__ import annotations

import hashlib

import pytest

from gateway.domain.errors import IntegrityError
from gateway.scanners.budget import PAGE_BYTES
from gateway.scanners.spans import SpanRecorder


def page(fill: int, length: int = PAGE_BYTES) -> bytes:
    return bytes([fill]) * length


def test_contiguous_pages_merge_and_others_do_not() -> None:
    recorder = SpanRecorder(10 * PAGE_BYTES)
    recorder.add(0, page(1) + page(2))
    recorder.add(2 * PAGE_BYTES, page(3))
    recorder.add(8 * PAGE_BYTES, page(9))
    first, last = recorder.spans()
    assert (first.start, first.end) == (0, 3 * PAGE_BYTES)
    assert first.sha256 == hashlib.sha256(page(1) + page(2) + page(3)).hexdigest()
    assert (last.start, last.end) == (8 * PAGE_BYTES, 9 * PAGE_BYTES)
    assert not recorder.whole


def test_a_page_read_again_counts_once_and_must_be_the_same() -> None:
    recorder = SpanRecorder(2 * PAGE_BYTES)
    recorder.add(0, page(1))
    recorder.add(0, page(1))
    recorder.add(PAGE_BYTES, page(2))
    assert recorder.whole
    (span,) = recorder.spans()
    assert span.end == 2 * PAGE_BYTES
    with pytest.raises(IntegrityError):
        recorder.add(0, page(7))


def test_pages_out_of_order_are_all_covered() -> None:
    recorder = SpanRecorder(3 * PAGE_BYTES + 5)
    recorder.add(3 * PAGE_BYTES, page(4, 5))
    recorder.add(0, page(1))
    recorder.add(PAGE_BYTES, page(2) + page(3))
    assert recorder.whole
    assert [(s.start, s.end) for s in recorder.spans()] == [
        (0, 3 * PAGE_BYTES),
        (3 * PAGE_BYTES, 3 * PAGE_BYTES + 5),
    ]


def test_an_empty_file_is_whole() -> None:
    recorder = SpanRecorder(0)
    assert recorder.whole
    assert recorder.spans() == ()
