"""SegmentLedger: the ledger of one worker, as the port asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.clock import Clock
from gateway.domain.errors import ConfigError, LedgerError
from gateway.domain.record import Durability, Record, RecordKind
from gateway.ledger.appender import Appender
from gateway.ledger.disk import Reserve
from gateway.ledger.encode import Encoder, timestamp
from gateway.ledger.files import DIRECTORY_MODE, FileLayer, PosixFiles
from gateway.ledger.frames import MAX_PAYLOAD_BYTES, OVERHEAD_BYTES
from gateway.ledger.lock import ChainLock
from gateway.ledger.recovery import CLEAN_END, Recovered, recover
from gateway.ledger.segments import INSTANCE, SegmentName

MIN_SEGMENT_BYTES = 4096
_HEADER_ROOM_BYTES = 1024
_NOT_STARTED = "The ledger is not started."
_CLOSED = "The ledger is closed."


class SegmentLedger:
    """Implements `ports.Ledger` on hash-chained segment files.

    `directory` is `<state>/ledger/`; `instance` names this gateway (letters, digits, `._-`), `worker` its process.
    `durability` is "two-class" or "all". `masks` are JSON pointers of values that are never written.
    The constructor raises ConfigError. A failed write or sync is final: from then on `record` raises LedgerError.
    """

    def __init__(
        self,
        directory: Path,
        instance: str,
        clock: Clock,
        *,
        worker: int = 0,
        segment_bytes: int = 64 * 2**20,
        durability: str = "two-class",
        flush_interval_s: float = 0.1,
        masks: Sequence[str] = (),
        files: FileLayer | None = None,
    ) -> None:
        if not INSTANCE.fullmatch(instance):
            raise ConfigError(f"The instance name {instance!r} must be 1-64 letters, digits, '.', '_' or '-'.")
        if durability not in {"two-class", "all"}:
            raise ConfigError(f"ledger.durability is {durability!r}; it must be 'two-class' or 'all'.")
        if segment_bytes < MIN_SEGMENT_BYTES:
            raise ConfigError(f"A ledger segment needs at least {MIN_SEGMENT_BYTES} bytes, not {segment_bytes}.")
        self._directory = directory
        self._instance = instance
        self._worker = worker
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._flush_interval_s = flush_interval_s
        self._limit = min(MAX_PAYLOAD_BYTES, segment_bytes - _HEADER_ROOM_BYTES - OVERHEAD_BYTES)
        self._all_durable = durability == "all"
        self._files: FileLayer = files or PosixFiles()
        self._encoder = Encoder(instance, worker, masks)
        self._own_encoder = Encoder(instance, worker)  # the ledger's own events carry nothing to mask
        self._reserve = Reserve(directory / f".{instance}-w{worker}.reserve", segment_bytes, self._files)
        self._lock = ChainLock(directory, instance, worker)
        self._appender: Appender | None = None
        self._shut = _NOT_STARTED

    async def record(self, record: Record, durability: Durability) -> None:
        """Append one record; returns when it is as durable as asked. Raises LedgerError."""
        await self._append(self._encoder, record, durable=self._all_durable or durability is Durability.DURABLE)

    def healthy(self) -> bool:
        """True from a finished `start` until a failure or `close`."""
        return not self._shut and self._appender is not None and not self._appender.problem

    @property
    def reserve_problem(self) -> str:
        """Why room for the next segment could not be made, else ""; records still fit into this segment."""
        return self._reserve.problem

    async def start(self) -> None:
        """Recover, begin a new segment, record the gap of an unclean end and the start. Raises LedgerError."""
        try:
            name, fd, recovered = await asyncio.to_thread(self._open)
        except OSError as error:
            self._lock.release()
            raise LedgerError(f"Cannot open the ledger in {self._directory}: {error.strerror or error}.") from error
        except LedgerError:
            self._lock.release()
            raise
        self._appender = Appender(
            name,
            fd,
            recovered,
            directory=self._directory,
            segment_bytes=self._segment_bytes,
            flush_interval_s=self._flush_interval_s,
            clock=self._clock,
            files=self._files,
            reserve=self._reserve,
        )
        self._shut = ""
        try:
            await self._record_start(name, recovered)
        except LedgerError:
            await self.close()
            raise

    async def _record_start(self, name: SegmentName, recovered: Recovered) -> None:
        if recovered.gap is not None:
            await self._event("The earlier boot has no clean end.", {"event": "gap", "gap": recovered.gap})
        await self._event("The ledger was opened.", {"event": "start", "boot": name.boot})

    async def close(self) -> None:
        """Flush, record a clean end, stop. A failed ledger is only stopped. Raises LedgerError where the end fails."""
        appender = self._appender
        if appender is None or self._shut:
            return
        try:
            if not appender.problem:
                end = self._event("The ledger was closed.", {"event": CLEAN_END})
                self._shut = _CLOSED  # nothing may follow the clean end
                await end
        finally:
            self._shut = _CLOSED
            try:
                await asyncio.to_thread(appender.stop, clean=not appender.problem)
            except OSError as error:
                raise LedgerError(f"The ledger could not be closed: {error.strerror or error}.") from error
            finally:
                self._lock.release()

    def _open(self) -> tuple[SegmentName, int, Recovered]:
        if not self._directory.is_dir():
            self._directory.mkdir(mode=DIRECTORY_MODE, parents=True)
            self._files.sync_directory(self._directory.parent)
        self._lock.acquire()
        recovered = recover(self._directory, self._instance, self._worker, self._files.machine_boot())
        name = SegmentName(self._instance, self._worker, recovered.boot, 1)
        return name, self._reserve.take(self._directory / str(name)), recovered

    def _event(self, note: str, extra: dict[str, Any]) -> asyncio.Future[None]:
        event = Record(kind=RecordKind.EVENT, request_id="", effect="event", note=note, extra=extra)
        return self._append(self._own_encoder, event, durable=True)

    def _append(self, encoder: Encoder, record: Record, *, durable: bool) -> asyncio.Future[None]:
        appender = self._appender
        if appender is None or self._shut or appender.problem:
            problem = appender.problem if appender is not None else ""
            raise LedgerError(problem or self._shut or _NOT_STARTED)
        payload = encoder.encode(record, appender.next_seq, appender.synced_seq, timestamp(self._clock.now()))
        if len(payload) > self._limit:
            raise LedgerError(
                f"A record of {len(payload)} bytes is over the ledger's bound of {self._limit} bytes.",
                code="ledger/record-too-large",
            )
        return appender.append(payload, durable=durable)
