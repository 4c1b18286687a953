"""Attacks on a finished ledger: what an attacker with a text editor, and one who can recompute hashes, can hide."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.domain.errors import LedgerError
from gateway.domain.record import Durability
from gateway.ledger.frames import LENGTH_BYTES, MAGIC, Frame, link
from gateway.ledger.heads import head_line, read_heads
from gateway.ledger.segments import SegmentReader, list_segments
from gateway.ledger.verify import ChainReport, verify
from gateway.ledger.writer import SegmentLedger
from tests.contracts.ledger import delivery

SEGMENT_BYTES = 4096


async def write(directory: Path, clock: Any, records: int = 60, boots: int = 2) -> None:
    for boot in range(boots):
        ledger = SegmentLedger(directory, "gw", clock, segment_bytes=SEGMENT_BYTES)
        await ledger.start()
        for number in range(records):
            await ledger.record(delivery(f"r{boot}-{number}", subject="alice"), Durability.DURABLE)
        await ledger.close()


@pytest.fixture
async def whole(directory: Path, clock: Any) -> Path:
    await write(directory, clock)
    [report] = verify(directory)
    assert report.problems == []
    assert report.segments > 6
    return directory


def paths(directory: Path) -> list[Path]:
    return [directory / str(name) for name in list_segments(directory)]


def frames(path: Path) -> list[Frame]:
    return list(SegmentReader(path))


def encode(payload: bytes, chain: bytes) -> bytes:
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload + chain


def problems(directory: Path) -> list[tuple[str, int]]:
    return [(problem.segment, problem.offset) for problem in verify(directory)[0].problems]


def offsets_of(path: Path) -> Iterator[tuple[str, int, int]]:
    """(what, offset of a byte, offset of the frame it belongs to) of a frame in the middle of a segment."""
    frame = frames(path)[3]
    yield "length", frame.offset + 2, frame.offset
    yield "seq", frame.offset + LENGTH_BYTES + 8, frame.offset
    yield "payload", frame.offset + LENGTH_BYTES + 60, frame.offset
    yield "link", frame.end - 5, frame.offset


@pytest.mark.parametrize("what", ["length", "seq", "payload", "link"])
@pytest.mark.parametrize("where", [0, 2, -1])
def test_one_changed_byte_is_found_at_its_place(whole: Path, what: str, where: int) -> None:
    path = paths(whole)[where]
    at, frame_at = next((at, frame) for name, at, frame in offsets_of(path) if name == what)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert (path.name, frame_at) in problems(whole)


def test_every_single_byte_of_a_chain_is_covered(directory: Path, clock: Any) -> None:
    asyncio.run(write(directory, clock, records=1, boots=1))
    [path] = paths(directory)
    content = path.read_bytes()
    [before] = verify(directory)
    kept = {"gw/w0": [read_head(before)]}
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 0x20
        path.write_bytes(changed)
        assert verify(directory, kept)[0].problems, f"byte {at} can be changed"


def read_head(report: ChainReport) -> Any:
    from gateway.ledger.heads import Head

    return Head(report.last_seq, report.head)


@pytest.mark.parametrize("position", [0, 1, 3])
def test_a_removed_segment_is_found(whole: Path, position: int) -> None:
    gone = paths(whole)[position]
    after = paths(whole)[position + 1]
    gone.unlink()
    assert problems(whole)[0] == (after.name, 0)


def test_exchanged_records_are_found(whole: Path) -> None:
    path = paths(whole)[1]
    one, two = frames(path)[2:4]
    content = path.read_bytes()
    swapped = encode(two.payload, two.link) + encode(one.payload, one.link)
    path.write_bytes(content[: one.offset] + swapped + content[two.end :])
    assert (path.name, one.offset) in problems(whole)


def test_a_removed_record_is_found(whole: Path) -> None:
    path = paths(whole)[1]
    frame = frames(path)[2]
    content = path.read_bytes()
    path.write_bytes(content[: frame.offset] + content[frame.end :])
    assert (path.name, frame.offset) in problems(whole)


def test_exchanged_segments_are_found(whole: Path) -> None:
    one, two = paths(whole)[1:3]
    one.rename(whole / "aside")
    two.rename(one)
    (whole / "aside").rename(two)
    assert {segment for segment, _ in problems(whole)} >= {one.name, two.name}


def test_a_copied_segment_is_found(whole: Path) -> None:
    one = paths(whole)[2]
    shutil.copy(one, whole / "gw-w0-000009-000001.segment")
    assert ("gw-w0-000009-000001.segment", 0) in problems(whole)


def test_a_cut_inside_the_history_is_found(whole: Path) -> None:
    path = paths(whole)[1]
    frame = frames(path)[4]
    path.write_bytes(path.read_bytes()[: frame.offset])
    assert problems(whole)


def test_an_overwritten_header_is_found(whole: Path) -> None:
    path = paths(whole)[2]
    path.write_bytes(bytes(len(MAGIC)) + path.read_bytes()[len(MAGIC) :])
    assert problems(whole)


def test_a_wiped_segment_is_found(whole: Path) -> None:
    path = paths(whole)[2]
    path.write_bytes(bytes(path.stat().st_size))
    assert problems(whole)


def heads_file(directory: Path, target: Path) -> Path:
    target.write_text("# kept\n" + "".join(head_line(r.chain, r.last_seq, r.head) + "\n" for r in verify(directory)))
    return target


def cut_tail(directory: Path) -> None:
    path = paths(directory)[-1]
    frame = frames(path)[-3]
    path.write_bytes(path.read_bytes()[: frame.offset])


def cut_last_segment(directory: Path) -> None:
    paths(directory)[-1].unlink()


def cut_everything(directory: Path) -> None:
    for path in paths(directory):
        path.unlink()


def rewrite_history(directory: Path) -> None:
    """An attacker who knows the format: alters a record and recomputes all links after it."""
    chain: bytes | None = None
    for path in paths(directory):
        reader = SegmentReader(path)
        assert reader.header is not None
        header = orjson.loads(reader.header.encode())
        if chain is not None:
            header["previous_link"] = chain.hex()
        payload = orjson.dumps(header)
        chain = link(bytes.fromhex(header["previous_link"]), payload)
        out = MAGIC + encode(payload, chain)
        for frame in reader:
            payload = frame.payload.replace(b'"alice"', b'"mallo"')
            chain = link(chain, payload)
            out += encode(payload, chain)
        path.write_bytes(out)


@pytest.mark.parametrize("attack", [cut_tail, cut_last_segment, cut_everything, rewrite_history])
def test_what_a_chain_cannot_show_alone_is_found_by_a_kept_head(
    whole: Path, tmp_path: Path, attack: Callable[[Path], None]
) -> None:
    kept = read_heads(heads_file(whole, tmp_path / "heads"))
    assert verify(whole, kept)[0].problems == []
    attack(whole)
    assert not any(report.problems for report in verify(whole))  # the honest limit, as docs/ledger.md says
    assert verify(whole, kept)[0].problems


async def test_a_cut_that_a_later_start_covered_is_found_by_a_kept_head(
    whole: Path, tmp_path: Path, clock: Any
) -> None:
    kept = read_heads(heads_file(whole, tmp_path / "heads"))
    cut_tail(whole)
    await write(whole, clock, boots=1)
    [report] = verify(whole)
    assert len(report.gaps) == 1
    assert verify(whole, kept)[0].problems


async def test_an_old_head_still_fits_when_the_chain_went_on(whole: Path, tmp_path: Path, clock: Any) -> None:
    kept = read_heads(heads_file(whole, tmp_path / "heads"))
    await write(whole, clock, boots=1)
    assert verify(whole, kept)[0].problems == []


async def test_damage_that_a_later_start_recorded_stays_a_problem(whole: Path, clock: Any) -> None:
    path = paths(whole)[-1]
    frame = frames(path)[2]
    content = bytearray(path.read_bytes())
    content[frame.offset + 40] ^= 1
    path.write_bytes(content)
    await write(whole, clock, boots=1)
    [report] = verify(whole)
    assert [(p.segment, p.offset) for p in report.problems] == [(path.name, frame.offset)]
    assert [(g.segment, g.from_offset, g.lost) for g in report.gaps] == [(path.name, frame.offset, "damage")]


async def test_a_running_ledger_verifies(directory: Path, clock: Any) -> None:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=SEGMENT_BYTES)
    await ledger.start()
    for number in range(50):
        await ledger.record(delivery(f"r{number}"), Durability.WRITTEN)
        [report] = verify(directory)
        assert report.problems == []
        assert [gap.lost for gap in report.gaps] == ["open"]
        assert report.last_seq == number + 2
    await ledger.close()


def test_a_missing_ledger_is_an_error_not_an_empty_answer(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        verify(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "# only this\n", "gw/w0 12\n", "gw/w0 12 sha256:12\n", "{", '{"chains": 5}'])
def test_a_heads_file_that_holds_no_head_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "heads").write_text(text)
    with pytest.raises(LedgerError):
        read_heads(tmp_path / "heads")


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_ruined_header_of_the_newest_segment_is_no_crash(whole: Path, clock: Any, restarted: bool) -> None:
    path = paths(whole)[-1]
    content = bytearray(path.read_bytes())
    content[len(MAGIC) + 20] ^= 1
    path.write_bytes(content)
    if restarted:
        await write(whole, clock, boots=1)
    assert (path.name, 0) in problems(whole)


def test_the_verifier_printed_in_the_manual_works(whole: Path, tmp_path: Path) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")
    script = manual.split("```python\n")[1].split("```")[0]
    [report] = verify(whole)

    def run() -> str:
        done = subprocess.run([sys.executable, "-c", script, str(whole)], capture_output=True, text=True, check=True)
        return done.stdout

    assert run() == f"head {report.head.removeprefix('sha256:')}\n"
    path = paths(whole)[1]
    frame = frames(path)[2]
    content = bytearray(path.read_bytes())
    content[frame.offset + 40] ^= 1
    path.write_bytes(content)
    assert f"{path.name}: does not verify from offset {frame.offset} on" in run()
