"""An index of the segments in SQLite: rebuilt from them at any time, brought up to date by whoever asks.

It holds where each record lies and the fields to search by; the record itself is always read from its segment. It never
stands in for the chain: `verify` does not look at it.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from gateway.ledger.files import FILE_MODE
from gateway.ledger.frames import Frame
from gateway.ledger.segments import Place, SegmentName, SegmentReader, list_segments, seq_of

INDEX_NAME = "index.sqlite3"
_VERSION = 1
_BATCH = 2000
_BUSY_S = 30.0
_SCHEMA = """
CREATE TABLE segments (
  name TEXT PRIMARY KEY, header BLOB, offset INTEGER, link BLOB, seq INTEGER, complete INTEGER) WITHOUT ROWID;
CREATE TABLE records (
  id INTEGER PRIMARY KEY, segment TEXT, offset INTEGER, seq INTEGER, time TEXT, kind TEXT, effect TEXT, subject TEXT,
  repo TEXT, path TEXT, digest TEXT, decision_id TEXT, request_id TEXT);
CREATE TABLE rules (rule TEXT, record INTEGER);
CREATE INDEX records_time ON records (time);
CREATE INDEX records_decision ON records (decision_id) WHERE decision_id != '';
CREATE INDEX records_request ON records (request_id) WHERE request_id != '';
CREATE INDEX records_digest ON records (digest) WHERE digest != '';
CREATE INDEX rules_rule ON rules (rule);
"""
_INSERT = "INSERT INTO records VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class LedgerIndex:
    """A context manager over the index of one ledger directory, current as of entering.

    Falls back to an index in memory where none can be kept (a read-only copy). Raises LedgerError where the segments
    cannot be read. `unread` names segments whose end does not verify, with the offset where reading stopped.
    `most_records` bounds how many are taken in at once (0: all); `is_current` tells whether that was all.
    """

    def __init__(self, directory: Path, *, most_records: int = 0) -> None:
        self.directory = directory
        self.is_current = False
        self._most_records = most_records
        self.unread: dict[str, int] = {}
        self.connection = sqlite3.connect(":memory:", isolation_level=None)

    def __enter__(self) -> Self:
        self.open()
        return self

    def open(self) -> None:
        """Take in what the segments hold and the index does not yet."""
        names = list_segments(self.directory)
        path = self.directory / INDEX_NAME
        try:
            self._update(path, names)
        except sqlite3.OperationalError:  # read-only or locked for long: the segments can still be read
            self._update(None, names)
        except sqlite3.DatabaseError:  # damaged, or no database at all: it is only an index
            self.connection.close()
            _drop(path)
            self._update(path, names)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    def _update(self, path: Path | None, names: list[SegmentName]) -> None:
        if path is not None and not path.exists():
            try:
                path.touch(mode=FILE_MODE)
            except OSError:
                path = None
        self.connection.close()
        self.connection = sqlite3.connect(path or ":memory:", timeout=_BUSY_S, isolation_level=None)
        if path is not None:
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            if self.connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION or not self._fits(names):
                self._clear()
        left = self._most_records or sys.maxsize
        for position, name in enumerate(names):
            followed = position + 1 < len(names) and names[position + 1].chain == name.chain
            more = True
            while more and left > 0:
                most = min(left, _BATCH)
                more = self._read_batch(name, most, followed=followed)
                left -= most
            self.is_current = not more
            if more:
                return

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _clear(self) -> None:
        tables = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            self.connection.execute(f'DROP TABLE "{table}"')
        for statement in _SCHEMA.split(";"):
            self.connection.execute(statement)
        self.connection.execute(f"PRAGMA user_version = {_VERSION}")

    def _fits(self, names: list[SegmentName]) -> bool:
        """Was this index made of these very segments?"""
        known = dict(self.connection.execute("SELECT name, header FROM segments"))
        present = {str(name) for name in names}
        if not known.keys() <= present:
            return False
        return all(_header(self.directory / name) == header for name, header in known.items())

    def _read_batch(self, name: SegmentName, most: int, *, followed: bool) -> bool:
        """Take in up to `most` records of one segment; True where there may be more.

        `followed`: a later segment existed before this one is read, so its end is final.
        """
        segment = str(name)
        with self._transaction():
            row = self.connection.execute(
                "SELECT offset, link, seq, complete FROM segments WHERE name = ?", (segment,)
            ).fetchone()
            if row is not None and row[3]:
                return False
            reader = SegmentReader(self.directory / segment, resume=Place(*row[:3]) if row else None)
            if reader.header is None:
                return False
            frames = list(islice(reader, most))
            for frame in frames:
                self._insert(segment, frame)
            more = len(frames) == most
            end = reader.end
            if end is not None and end.unverified_bytes and (followed or end.after_sync):
                self.unread[segment] = end.offset
            if frames:
                place = Place(frames[-1].end, frames[-1].link, seq_of(frames[-1].payload))
            else:
                place = Place(*row[:3]) if row else reader.start
            complete = followed and not more and segment not in self.unread
            self.connection.execute(
                "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?)",
                (segment, reader.header.encode(), place.offset, place.link, place.seq, complete),
            )
        return more

    def _insert(self, segment: str, frame: Frame) -> None:
        body: dict[str, Any] = orjson.loads(frame.payload)
        fields = [body.get(name, "") for name in _FIELDS]
        cursor = self.connection.execute(_INSERT, (segment, frame.offset, seq_of(frame.payload), *fields))
        for rule in _rules(body):
            self.connection.execute("INSERT INTO rules VALUES (?, ?)", (rule, cursor.lastrowid))


@dataclass(frozen=True, slots=True)
class Taken:
    """What an index holds of one decision, as it is found: `offsets` of its records by segment, in order, and how far
    each segment was taken in (`ends`; None: wholly)."""

    offsets: Mapping[str, list[int]] = field(default_factory=dict)
    ends: Mapping[str, int | None] = field(default_factory=dict)


def taken_in(directory: Path, decision_id: str, first: int, last: int) -> Taken:
    """The `first` and the `last` decision records of an id that the index holds now; it is not brought up to date.

    Nothing where there is no index that can be read: then every segment must be searched.
    """
    path = directory / INDEX_NAME
    query = "SELECT id, segment, offset FROM records WHERE decision_id = ? AND kind = 'decision' ORDER BY id"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as index:
            index.execute("BEGIN")  # one state for all questions
            if index.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                return Taken()
            rows = set(index.execute(f"{query} LIMIT ?", (decision_id, first)))
            rows |= set(index.execute(f"{query} DESC LIMIT ?", (decision_id, last)))
            known = index.execute("SELECT name, header, offset, complete FROM segments").fetchall()
    except sqlite3.Error:
        return Taken()
    ends = {
        name: None if complete else offset for name, header, offset, complete in known if _is(directory, name, header)
    }
    offsets: dict[str, list[int]] = {}
    for _, segment, offset in sorted(rows):
        if segment in ends:
            offsets.setdefault(segment, []).append(offset)
    return Taken(offsets, ends)


def _is(directory: Path, segment: str, header: bytes) -> bool:
    """Is the segment there, and the one that was taken in?"""
    path = directory / segment
    return path.is_file() and _header(path) == header


_FIELDS = ("time", "kind", "effect", "subject", "repo", "path", "digest", "decision_id", "request_id")


def _rules(body: dict[str, Any]) -> set[str]:
    reasons = [*body.get("reasons", ()), *body.get("warnings", ()), *body.get("dryruns", ())]
    reasons += [waived.get("reason", {}) for waived in body.get("waived", ()) if isinstance(waived, dict)]
    return {str(reason["rule"]) for reason in reasons if isinstance(reason, dict) and "rule" in reason}


def _header(path: Path) -> bytes:
    header = SegmentReader(path).header
    return header.encode() if header is not None else b""


def _drop(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
