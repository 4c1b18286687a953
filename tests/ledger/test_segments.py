"""Reading segments that are being written, and names that are no segment's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.ledger.frames import LENGTH_BYTES, MAGIC, link
from gateway.ledger.segments import Header, SegmentName, SegmentReader, list_segments
from gateway.ledger.verify import verify

NAME = SegmentName("gw", 0, 1, 1)
HEADER = Header(NAME, "", bytes(32), 1, "2026-11-24T10:00:00.000000Z", "boot")


def frame(payload: bytes, chain: bytes) -> bytes:
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload + chain


def content(records: int) -> bytes:
    payload = HEADER.encode()
    chain = link(bytes(32), payload)
    data = MAGIC + frame(payload, chain)
    for seq in range(1, records + 1):
        filler = "x" * 200
        payload = f'{{"seq":{seq},"synced":{seq - 1},"time":"t","kind":"delivery","note":"{filler}"}}'.encode()
        chain = link(chain, payload)
        data += frame(payload, chain)
    return data.ljust(65536, b"\0")


def test_what_is_written_while_a_reader_stands_at_the_end_is_read_and_no_damage(tmp_path: Path) -> None:
    path = tmp_path / str(NAME)
    path.write_bytes(content(3))
    reader = SegmentReader(path)
    frames = iter(reader)
    assert [next(frames).payload[:8] for _ in range(3)] == [b'{"seq":1', b'{"seq":2', b'{"seq":3']
    with path.open("r+b") as stream:  # many more than the reader holds in its buffer
        stream.write(content(150))
    assert len(list(frames)) == 147
    assert reader.end is not None
    assert (reader.end.seq, reader.end.unverified_bytes, reader.end.after_sync) == (150, 0, False)


def test_a_segment_that_gets_its_header_while_it_is_looked_at_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / str(NAME)
    path.write_bytes(bytes(65536))
    first = path.open

    def write_after_the_first_look(*args: str) -> object:
        stream = first(*args)
        monkeypatch.undo()
        data = stream.read()
        path.write_bytes(content(150))
        stream.close()
        (tmp_path / "before").write_bytes(data)
        return (tmp_path / "before").open("rb")

    monkeypatch.setattr(type(path), "open", lambda self, *args: write_after_the_first_look(*args))
    [report] = verify(tmp_path)
    assert report.problems == []


@pytest.mark.parametrize(
    "name",
    [
        "gw-w0-1-1.segment",
        "gw-w0-000001-000001.segment.bak",
        "-w0-000001-000001.segment",
        "gw-000001-000001.segment",
        "",
    ],
)
def test_other_names_are_no_segments(name: str) -> None:
    assert SegmentName.parse(name) is None


def test_segments_are_listed_as_they_were_written(tmp_path: Path) -> None:
    names = [SegmentName("gw", worker, boot, number) for worker in (2, 10) for boot in (1, 12) for number in (9, 11)]
    for name in reversed(names):
        (tmp_path / str(name)).touch()
    (tmp_path / "index.sqlite3").touch()
    assert list_segments(tmp_path) == names
