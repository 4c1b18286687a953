"""The bytes of a segment, searched without an index: the start of the very frame, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.errors import LedgerError
from gateway.ledger.frames import LENGTH_BYTES, LINK_BYTES
from gateway.ledger.raw_search import offsets_of


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload + bytes(LINK_BYTES)


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    return tmp_path / "segment"


def test_each_frame_that_holds_the_text_is_named_once(segment: Path) -> None:
    frames = [frame(b'{"seq":%d,"x":"%s"}' % (n, b"needle needle" if n % 2 else b"hay")) for n in range(9)]
    segment.write_bytes(b"MAGIC" + b"".join(frames) + bytes(5000))
    starts = [5 + sum(map(len, frames[:n])) for n in range(9)]
    assert list(offsets_of(segment, b"needle")) == [starts[n] for n in (1, 3, 5, 7)]
    assert list(offsets_of(segment, b"needle", starts[4])) == [starts[5], starts[7]]
    assert list(offsets_of(segment, b"nothing")) == []


def test_what_looks_like_the_front_of_a_record_inside_one_misleads_nobody(segment: Path) -> None:
    payload = b'{"seq":1,"x":{"seq":' + b"\0\0\0\x09" + b'{"seq":' * 9000 + b'"needle"}'
    segment.write_bytes(frame(b'{"seq":0}') + frame(payload))
    assert list(offsets_of(segment, b"needle")) == [len(frame(b'{"seq":0}'))]


def test_bytes_that_belong_to_no_frame_are_no_hit(segment: Path) -> None:
    segment.write_bytes(b"needle" + frame(b'{"seq":0}') + b"needle torn" + bytes(100))
    assert list(offsets_of(segment, b"needle")) == []


@pytest.mark.parametrize("shift", range(-12, 3))
def test_a_hit_across_the_edge_of_a_block_is_found(segment: Path, shift: int) -> None:
    first = frame(b'{"seq":0,"x":"' + b"y" * (2**20 - 80 + shift) + b'"}')
    segment.write_bytes(first + frame(b'{"seq":1,"needle":1}'))
    assert list(offsets_of(segment, b'"needle"')) == [len(first)]


def test_a_missing_segment_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        list(offsets_of(tmp_path / "none", b"x"))
