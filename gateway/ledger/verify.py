"""Proves every chain from its segments alone: what was removed, altered or reordered, where, and which gaps there are.

Needs no index, no running gateway and no key. What it cannot see alone: records cut off at the very end of a chain.
For that it compares with heads that were kept elsewhere.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from gateway.domain.errors import LedgerError
from gateway.ledger.frames import GENESIS, Frame
from gateway.ledger.heads import Head
from gateway.ledger.segments import (
    Header,
    SegmentEnd,
    SegmentName,
    SegmentReader,
    list_segments,
    remains,
    seq_of,
    unreadable,
)

_RUINED = "its header does not verify though it had reached stable storage"
# A file system that cannot sync at all holds a copy, not a ledger that is being written.
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.EROFS, errno.ENOTSUP})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that no kill and no power cut explains. `offset` is in bytes from the segment's beginning."""

    segment: str
    offset: int
    what: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A boot without a clean end. `lost`: "none", "repeats" (see docs/ledger.md), "damage", "unknown", or "open" for
    the newest boot: it runs, or ended without another start."""

    segment: str
    from_offset: int
    to_offset: int
    lost: str


@dataclass(slots=True)
class ChainReport:
    """What one chain holds. `head` is the link of its last record; "" where it has none."""

    chain: str
    segments: int = 0
    records: int = 0
    first_time: str = ""
    last_time: str = ""
    last_seq: int = 0
    head: str = ""
    gaps: list[Gap] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def verify(directory: Path, kept: Mapping[str, Iterable[Head]] | None = None) -> list[ChainReport]:
    """Read every segment and report each chain, in order of its name; `kept` are heads kept elsewhere, by chain.

    Raises LedgerError where the directory or a file cannot be read.
    """
    heads = {chain: list(of_chain) for chain, of_chain in (kept or {}).items()}
    reports = []
    for chain, names in groupby(list_segments(directory), key=lambda name: name.chain):
        reports.append(_ChainWalk(directory, chain, heads.pop(chain, [])).walk(list(names)))
    for chain, missing in heads.items():
        if missing:
            gone = Problem("", 0, f"the whole chain is gone; a head was kept at seq {max(h.seq for h in missing)}")
            reports.append(ChainReport(chain, problems=[gone]))
    return reports


class _ChainWalk:
    def __init__(self, directory: Path, chain: str, kept: list[Head]) -> None:
        self._directory = directory
        self._kept = {head.seq: head for head in kept}
        self._report = ChainReport(chain)
        self._link = GENESIS
        self._name = ""
        self._broken = False  # what comes next cannot continue the chain, and that is reported already
        self._end: SegmentEnd | None = None  # of the segment `_name`
        self._headless: list[str] = []
        self._seq = 0
        self._clean = False

    def walk(self, names: list[SegmentName]) -> ChainReport:
        self._report.segments = len(names)
        for name in names:
            reader = SegmentReader(self._directory / str(name))
            if reader.header is None:
                self._headless.append(str(name))
            else:
                self._enter(name, reader.header)
                for frame in reader:
                    self._take(str(name), frame)
                if reader.end is not None:
                    self._leave(str(name), reader.end)
        self._finish(names)
        return self._report

    def _enter(self, name: SegmentName, header: Header) -> None:
        if header.name != name:
            self._problem(str(name), 0, f"the file was renamed: its header says {header.name}")
        if not self._broken and (header.previous, header.previous_link) != (self._name, self._link):
            if header.previous == self._name:
                what = f"it does not continue {self._name or 'an empty ledger'}: records at the end of that were cut"
            elif not self._name:
                what = f"the segments before it are missing: it continues {header.previous}"
            else:
                what = f"it continues {header.previous or 'an empty ledger'}, not {self._name}: segments were removed, "
                what += "added or reordered"
            self._problem(str(name), 0, what)
        elif header.first_seq != self._seq + 1 and not self._broken:
            self._problem(str(name), 0, f"its header begins at seq {header.first_seq}, not {self._seq + 1}")
        self._broken = False
        self._link, self._seq = b"", header.first_seq - 1

    def _take(self, segment: str, frame: Frame) -> None:
        report = self._report
        body = _body(segment, frame)
        seq = seq_of(frame.payload)
        if seq != self._seq + 1:
            self._problem(segment, frame.offset, f"the record has seq {seq} where {self._seq + 1} must follow")
        if body.get("kind") == "event" and body.get("extra", {}).get("event") == "gap":
            self._take_gap(segment, frame.offset, body["extra"]["gap"])
        elif self._end is not None or self._headless:
            self._take_no_gap()
        self._clean = body.get("kind") == "event" and body.get("extra", {}).get("event") == "end"
        self._seq = report.last_seq = seq
        report.records += 1
        report.first_time = report.first_time or body["time"]
        report.last_time = body["time"]
        report.head = f"sha256:{frame.link.hex()}"
        head = self._kept.pop(seq, None)
        if head is not None and head.link != report.head:
            self._problem(segment, frame.offset, f"the head kept at seq {seq} is another one: history was rewritten")

    def _take_gap(self, segment: str, offset: int, gap: Mapping[str, Any]) -> None:
        headless, self._headless = self._headless, []
        for name in headless:
            if remains(self._directory / name, self._seq)[1]:
                self._problem(name, 0, _RUINED)
        end, self._end = self._end, None
        bounds = (self._name, end.offset, end.offset + end.unverified_bytes) if end is not None else ("", 0, 0)
        recorded = (gap.get("segment", ""), gap.get("from_offset", 0), gap.get("to_offset", 0))
        self._report.gaps.append(Gap(*recorded, lost=gap["lost"]))
        if recorded != bounds or gap["headless"] != headless:
            self._problem(segment, offset, f"the gap recorded here does not fit what now ends {self._name or 'before'}")

    def _leave(self, segment: str, end: SegmentEnd) -> None:
        self._link, self._name, self._end = end.link, segment, end
        if end.after_sync:
            what = f"{end.unverified_bytes} bytes from here on do not verify though they had reached stable storage: "
            self._problem(segment, end.offset, what + f"altered or damaged after seq {end.seq}")
            self._broken = True

    def _take_no_gap(self) -> None:
        """A record follows that is no gap record: then all before it must be whole."""
        end, self._end = self._end, None
        headless, self._headless = self._headless, []
        for name in headless:
            self._problem(name, 0, "the segment has no valid header, and no gap was recorded for it")
        if end is not None and end.unverified_bytes and not end.after_sync:
            what = f"{end.unverified_bytes} bytes from here on do not verify, and no gap was recorded for them"
            self._problem(self._name, end.offset, what)

    def _finish(self, names: list[SegmentName]) -> None:
        end = self._end
        if end is not None and not end.after_sync and (end.unverified_bytes or not self._clean):
            self._report.gaps.append(Gap(self._name, end.offset, end.offset + end.unverified_bytes, "open"))
        for name in self._headless:
            length, after_sync = remains(self._directory / name, self._seq)
            if SegmentReader(self._directory / name).header is not None:
                continue  # a running writer began it while this was read
            if after_sync:
                self._problem(name, 0, _RUINED)
            elif length:  # a kill or power cut between its beginning and its first sync
                self._report.gaps.append(Gap(name, 0, length, "open"))
        for head in self._kept.values():
            what = f"a head was kept at seq {head.seq}, but the chain has no such record: its end was cut off"
            self._problem(self._name, 0, what)
        if names:
            _settle(self._directory / str(names[-1]))

    def _problem(self, segment: str, offset: int, what: str) -> None:
        self._report.problems.append(Problem(segment, offset, what))


def _body(segment: str, frame: Frame) -> dict[str, Any]:
    try:
        body: dict[str, Any] = orjson.loads(frame.payload)
    except ValueError as error:
        raise LedgerError(
            f"The record at offset {frame.offset} of {segment} verifies but is no JSON.", code="ledger/corrupt"
        ) from error
    return body


def _settle(path: Path) -> None:
    """A head that is kept elsewhere must be on stable storage here, or a power cut would look like tampering."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise unreadable(path, error) from error
