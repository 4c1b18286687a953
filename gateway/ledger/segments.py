"""Segment files: their names, their header, and reading one while proving each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from gateway.domain.errors import LedgerError
from gateway.ledger.frames import MAGIC, Frame, link, read_candidate

FORMAT = 1
SUFFIX = ".segment"
INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME = re.compile(rf"({INSTANCE.pattern})-w(\d{{1,6}})-(\d{{6,12}})-(\d{{6,12}})\.segment")
# Every record begins with these two numbers (encode.py); so what is left of a damaged place can still be dated.
_NUMBERS = re.compile(rb'\{"seq":(\d{1,18}),"synced":(\d{1,18}),')
_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """`{instance}-w{worker}-{boot}-{number}.segment`; sorts in the order in which one worker wrote them."""

    instance: str
    worker: int
    boot: int
    number: int

    @property
    def chain(self) -> str:
        """The name of the chain this segment belongs to: one per instance and worker."""
        return f"{self.instance}/w{self.worker}"

    def __str__(self) -> str:
        return f"{self.instance}-w{self.worker}-{self.boot:06d}-{self.number:06d}{SUFFIX}"

    def next(self) -> SegmentName:
        """The segment that the same boot writes after this one."""
        return SegmentName(self.instance, self.worker, self.boot, self.number + 1)

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """Read a file name; None where it is not a segment's."""
        match = _NAME.fullmatch(name)
        return cls(match[1], int(match[2]), int(match[3]), int(match[4])) if match else None


def list_segments(directory: Path) -> list[SegmentName]:
    """All segments in the directory, ordered by chain, boot and number. Raises LedgerError (missing, unreadable)."""
    try:
        found = [SegmentName.parse(entry.name) for entry in directory.iterdir()]
    except OSError as error:
        raise LedgerError(
            f"Cannot read the ledger directory {directory}: {error.strerror}.", code="ledger/unreadable"
        ) from error
    return sorted(name for name in found if name is not None)


@dataclass(frozen=True, slots=True)
class Header:
    """The first frame of a segment. `previous_link` binds it to all that came before, in the segment `previous`."""

    name: SegmentName
    previous: str
    previous_link: bytes
    first_seq: int
    opened: str
    machine_boot: str

    def encode(self) -> bytes:
        return orjson.dumps(
            {
                "segment": str(self.name),
                "format": FORMAT,
                "previous": self.previous,
                "previous_link": self.previous_link.hex(),
                "first_seq": self.first_seq,
                "opened": self.opened,
                "machine_boot": self.machine_boot,
            }
        )


def _decode_header(payload: bytes) -> Header | None:
    try:
        body: dict[str, Any] = orjson.loads(payload)
        name = SegmentName.parse(body["segment"])
        previous_link = bytes.fromhex(body["previous_link"])
        if name is None or body["format"] != FORMAT or len(previous_link) != 32:
            return None
        return Header(
            name, body["previous"], previous_link, int(body["first_seq"]), body["opened"], body["machine_boot"]
        )
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """Where the verified part of a segment ends.

    `unverified_bytes` counts what lies behind it up to the last byte that is not zero: 0 is a clean end, else a write
    that was cut off, or damage. `after_sync` says that some of it was written when the place at `offset` was already
    on stable storage: then neither a kill nor a power cut explains it.
    """

    offset: int
    link: bytes
    seq: int
    unverified_bytes: int
    after_sync: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two records: where the next frame begins, and the link and seq of the one before."""

    offset: int
    link: bytes
    seq: int


class SegmentReader:
    """Reads one segment; iterating yields verified record frames, in order, and stops at the first that is not.

    `header` is None where the file has no valid header: then nothing is yielded. `end` is set by a finished iteration.
    `resume` continues where an earlier reading stopped. Raises LedgerError where the file cannot be read.
    """

    def __init__(self, path: Path, *, resume: Place | None = None) -> None:
        self.path = path
        self._resume = resume
        self.end: SegmentEnd | None = None
        try:
            with path.open("rb") as stream:
                self.header, self._first, self._first_link = _read_header(stream)
        except OSError as error:
            raise unreadable(path, error) from error

    @property
    def start(self) -> Place:
        """Where the first record begins. Raises LedgerError where there is no header."""
        if self.header is None:
            raise LedgerError(f"{self.path} has no valid header.", code="ledger/corrupt")
        return Place(self._first, self._first_link, self.header.first_seq - 1)

    def __iter__(self) -> Iterator[Frame]:
        if self.header is None:
            return
        place = self._resume or self.start
        try:
            while self.end is None:
                with self.path.open("rb") as stream:
                    stream.seek(place.offset)
                    while (found := read_candidate(stream)) is not None and link(
                        place.link, found.payload
                    ) == found.link:
                        frame = Frame(place.offset, found.payload, found.link)
                        place = Place(frame.end, frame.link, seq_of(frame.payload))
                        yield frame
                    end = _end(stream, place.offset, place.link, place.seq)
                # A running writer may have gone on between the two looks; then what lies here verifies by now.
                if not end.unverified_bytes or not self._goes_on(place):
                    self.end = end
        except OSError as error:
            raise unreadable(self.path, error) from error

    def _goes_on(self, place: Place) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(place.offset)
            found = read_candidate(stream)
        return found is not None and link(place.link, found.payload) == found.link


def seq_of(payload: bytes) -> int:
    """The sequence number at the front of a record's payload. Raises LedgerError where there is none."""
    match = _NUMBERS.match(payload)
    if match is None:
        raise LedgerError("A ledger frame verifies but holds no record of a known form.", code="ledger/corrupt")
    return int(match[1])


def read_payload(path: Path, offset: int) -> bytes:
    """The payload of the frame at `offset`. Raises LedgerError where no frame lies there."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            found = read_candidate(stream)
    except OSError as error:
        raise unreadable(path, error) from error
    if found is None:
        raise LedgerError(f"No ledger frame lies at offset {offset} of {path}.", code="ledger/corrupt")
    return found.payload


def _read_header(stream: BinaryIO) -> tuple[Header | None, int, bytes]:
    if stream.read(len(MAGIC)) != MAGIC:
        return None, 0, b""
    found = read_candidate(stream)
    header = _decode_header(found.payload) if found is not None else None
    if found is None or header is None or link(header.previous_link, found.payload) != found.link:
        return None, 0, b""
    return header, Frame(len(MAGIC), found.payload, found.link).end, found.link


def remains(path: Path, seq: int) -> tuple[int, bool]:
    """What a segment without a valid header holds: its length up to the last byte that is not zero, and whether some
    of it was written when a record after `seq` was on stable storage already (so the header was, too)."""
    try:
        with path.open("rb") as stream:
            return _remains(stream, seq)
    except OSError as error:
        raise unreadable(path, error) from error


def _end(stream: BinaryIO, offset: int, head: bytes, seq: int) -> SegmentEnd:
    stream.seek(offset)
    return SegmentEnd(offset, head, seq, *_remains(stream, seq))


def _remains(stream: BinaryIO, seq: int) -> tuple[int, bool]:
    length = position = 0
    after_sync = False
    overlap = b""
    while chunk := stream.read(_CHUNK_BYTES):
        if kept := chunk.rstrip(b"\0"):
            length = position + len(kept)
            after_sync = after_sync or any(int(match[2]) > seq for match in _NUMBERS.finditer(overlap + kept))
        overlap = chunk[-64:]
        position += len(chunk)
    return length, after_sync


def unreadable(path: Path, error: OSError) -> LedgerError:
    """The error of a segment that cannot be read."""
    return LedgerError(f"Cannot read the ledger segment {path}: {error.strerror}.", code="ledger/unreadable")
