"""Facts in SQLite: one thread owns the database, and everything that waits when it is free shares one transaction.

WAL with synchronous=FULL: what `put` returned from is on stable storage (performance.md §3, row b).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.domain.errors import ConfigError, StoreError

MAX_VALUE_BYTES = 64 << 20
MAX_KEY_BYTES = 4096
BATCH = 512
PRUNE_EVERY_MAX = 4096
WEIGH_EVERY = 32

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
    seq INTEGER PRIMARY KEY, namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, UNIQUE (namespace, key)
);
CREATE INDEX IF NOT EXISTS facts_by_age ON facts (namespace, seq);
"""
_GET = "SELECT value FROM facts WHERE namespace = ? AND key = ?"
_PUT = "INSERT OR REPLACE INTO facts (namespace, key, value) VALUES (?, ?, ?)"  # a new seq: put again is young again
_PUT_IF_ABSENT = "INSERT INTO facts (namespace, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_PRUNE = (
    "DELETE FROM facts WHERE namespace = ?1 AND seq <= "
    "(SELECT seq FROM facts WHERE namespace = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)"
)
_COUNT = "SELECT count(*) FROM facts WHERE namespace = ?"


@dataclass(slots=True)
class _Job:
    """One call on its way to the thread. `run` gives the stored bytes or None."""

    run: Callable[[sqlite3.Connection], bytes | None]
    writes: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[bytes | None]


class SqliteFacts:
    """ports.Facts in the file `path`. At most `pending` calls wait for the thread; further callers wait their turn.

    `keep` bounds a namespace to that many rows and an eighth; those whose last put is oldest go first. While more than
    `most_bytes` of the database are in use, these namespaces lose their oldest eighth: the disk is the ledger's too.
    Raises ConfigError where the database cannot be opened or is damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep: Mapping[str, int] | None = None,
        most_bytes: int | None = None,
        pending: int = 4096,
        read_only: bool = False,
    ) -> None:
        self._path = path
        self._keep = dict(keep or {})
        self._most_bytes = most_bytes
        self._puts: Counter[str] = Counter()
        self._turns = asyncio.Semaphore(pending)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        try:
            self._database = _open(path, read_only=read_only)
        except sqlite3.Error as error:
            raise ConfigError(
                f"cannot open the facts {path}: {error}; move the file away to begin with none", code="config/state"
            ) from error
        self._thread = threading.Thread(target=self._work, name="facts", daemon=True)
        self._thread.start()

    async def get(self, namespace: str, key: str) -> Any | None:
        """ports.Facts.get. Raises StoreError."""
        names = _names(namespace, key)
        found = await self._call(lambda database: _value(database.execute(_GET, names).fetchone()), writes=False)
        return None if found is None else orjson.loads(found)

    async def put(self, namespace: str, key: str, value: Any) -> None:
        """ports.Facts.put. Raises StoreError."""
        row = (*_names(namespace, key), encode(value))

        def run(database: sqlite3.Connection) -> None:
            database.execute(_PUT, row)
            self._prune(database, namespace)

        await self._call(run, writes=True)

    async def put_if_absent(self, namespace: str, key: str, value: Any) -> Any:
        """ports.Facts.put_if_absent. Raises StoreError."""
        names = _names(namespace, key)
        row = (*names, encode(value))

        def run(database: sqlite3.Connection) -> bytes | None:
            database.execute(_PUT_IF_ABSENT, row)
            stored = _value(database.execute(_GET, names).fetchone())
            self._prune(database, namespace)
            return stored

        stored = await self._call(run, writes=True)
        if stored is None:
            raise StoreError("a fact vanished while it was stored", code="store/facts")
        return orjson.loads(stored)

    async def close(self) -> None:
        """Finish what waits, then close the database. Later calls raise StoreError."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    async def _call(self, run: Callable[[sqlite3.Connection], bytes | None], *, writes: bool) -> bytes | None:
        async with self._turns:
            if self._closed:
                raise StoreError("the facts are closed", code="store/closed")
            loop = asyncio.get_running_loop()
            future: asyncio.Future[bytes | None] = loop.create_future()
            self._jobs.put(_Job(run, writes, loop, future))
            return await future

    def _work(self) -> None:
        """The thread: take all that waits, commit it together, wake everyone."""
        running = True
        while running:
            first = self._jobs.get()
            batch: list[_Job] = []
            while first is not None:
                batch.append(first)
                if len(batch) >= BATCH or self._jobs.empty():
                    break
                first = self._jobs.get()
            running = first is not None
            if batch:
                self._answer(batch)
        self._database.close()

    def _answer(self, batch: list[_Job]) -> None:
        results: list[bytes | StoreError | None] = []
        writes = any(job.writes for job in batch)
        try:
            if writes:
                self._database.execute("BEGIN IMMEDIATE")
            results.extend(job.run(self._database) for job in batch)
            if writes:
                self._database.execute("COMMIT")
        except (sqlite3.Error, MemoryError, OverflowError, ValueError) as error:
            if self._database.in_transaction:
                self._database.rollback()
            failure = StoreError(f"the facts {self._path} failed: {error}", code="store/facts")
            results = [failure] * len(batch)
        wakes: dict[asyncio.AbstractEventLoop, list[tuple[_Job, bytes | StoreError | None]]] = {}
        for job, result in zip(batch, results, strict=True):
            wakes.setdefault(job.loop, []).append((job, result))
        for loop, pairs in wakes.items():
            try:
                loop.call_soon_threadsafe(_wake, pairs)
            except RuntimeError:  # the loop has ended: nobody waits any more
                continue

    def _prune(self, database: sqlite3.Connection, namespace: str) -> None:
        limit = self._keep.get(namespace)
        if limit is not None:
            self._puts[namespace] += 1
            if self._puts[namespace] % max(1, min(PRUNE_EVERY_MAX, limit // 8)) == 0:
                database.execute(_PRUNE, (namespace, limit))
            if self._most_bytes is not None and self._puts.total() % WEIGH_EVERY == 0:
                self._lighten(database, self._most_bytes)

    def _lighten(self, database: sqlite3.Connection, most_bytes: int) -> None:
        left = 1
        while left and _used_bytes(database) > most_bytes:
            left = 0
            for namespace in self._keep:
                rows = int(database.execute(_COUNT, (namespace,)).fetchone()[0])
                if rows:
                    left += database.execute(_PRUNE, (namespace, rows - rows // 8 - 1)).rowcount


def encode(value: Any) -> bytes:
    """The JSON of a fact. Raises StoreError for what is no JSON or over 64 MiB."""
    try:
        encoded = orjson.dumps(value)
    except TypeError as error:
        raise StoreError(f"a fact cannot be stored as JSON: {error}", code="store/fact-invalid") from error
    if len(encoded) > MAX_VALUE_BYTES:
        raise StoreError(
            f"a fact of {len(encoded)} bytes is over the bound of {MAX_VALUE_BYTES}", code="store/fact-invalid"
        )
    return encoded


def _names(namespace: str, key: str) -> tuple[str, str]:
    try:
        size = len(namespace.encode()) + len(key.encode())
    except UnicodeEncodeError as error:
        raise StoreError("the key of a fact is no Unicode text", code="store/fact-invalid") from error
    if not namespace or size > MAX_KEY_BYTES:
        raise StoreError(f"the key of a fact must have 1 to {MAX_KEY_BYTES} bytes", code="store/fact-invalid")
    return namespace, key


def _open(path: Path, *, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    address = f"{path.absolute().as_uri()}?mode={mode}"
    database = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        if not read_only:
            database.execute("PRAGMA journal_mode = WAL").fetchone()
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(_SCHEMA)
            path.chmod(0o600)
        database.execute("SELECT count(*) FROM (SELECT 1 FROM facts LIMIT 1)").fetchone()
    except BaseException:
        database.close()
        raise
    return database


def _used_bytes(database: sqlite3.Connection) -> int:
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (int(database.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    return (pages - free) * size


def _value(row: tuple[bytes] | None) -> bytes | None:
    return None if row is None else row[0]


def _wake(pairs: list[tuple[_Job, bytes | StoreError | None]]) -> None:
    for job, result in pairs:
        if job.future.done():  # its caller was cancelled
            continue
        if isinstance(result, StoreError):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
