"""The loop's half of the writer: one pwrite per loop turn, group commit by the disk thread (performance.md §3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from gateway.clock import Clock
from gateway.domain.errors import LedgerError
from gateway.ledger.disk import DiskThread, Reserve
from gateway.ledger.encode import timestamp
from gateway.ledger.files import FileLayer
from gateway.ledger.frames import LENGTH_BYTES, MAGIC, OVERHEAD_BYTES, link
from gateway.ledger.recovery import Recovered
from gateway.ledger.segments import Header, SegmentName

LATE_FLUSH_S = 1.0  # a flush older than this turns written records into durable ones
_Pending = tuple[bytes, "asyncio.Future[None]", bool]


class Appender:
    """Appends payloads to the newest segment of one chain, `name`, open at `fd`; begins the next when it is full.

    Every failed write or sync is final: `problem` is then the sentence to refuse everything with. All methods but the
    private jobs of the disk thread run on the event loop.
    """

    def __init__(
        self,
        name: SegmentName,
        fd: int,
        recovered: Recovered,
        *,
        directory: Path,
        segment_bytes: int,
        flush_interval_s: float,
        clock: Clock,
        files: FileLayer,
        reserve: Reserve,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._flush_interval_s = flush_interval_s
        self._clock = clock
        self._files = files
        self._reserve = reserve
        self._thread = DiskThread(f"ledger-sync-{name.chain}")
        self._machine_boot = files.machine_boot()
        self._name, self._fd, self._link = name, fd, recovered.link
        self._seq = self._written_seq = self._synced_seq = recovered.seq
        self._pending: list[_Pending] = []
        self._awaiting: list[asyncio.Future[None]] = []  # written, and waiting for the next sync
        self._in_flight: list[asyncio.Future[None]] = []  # covered by the sync under way
        self._turn = self._busy = self._rotate = False
        self._timer: asyncio.TimerHandle | None = None
        self._dirty_since: float | None = None  # loop time of the oldest byte that is not synced
        self._dirty_next: float | None = None  # the same, of bytes written after the sync under way began
        self.problem = ""
        self._prefix = self._header(recovered.previous)
        self._link = self._prefix[-len(self._link) :]
        self._offset = len(self._prefix)
        reserve.prepare()

    @property
    def next_seq(self) -> int:
        """The number that the next appended payload must carry."""
        return self._seq + 1

    @property
    def synced_seq(self) -> int:
        """The last number known to be on stable storage."""
        return self._synced_seq

    def append(self, payload: bytes, *, durable: bool) -> asyncio.Future[None]:
        """Queue one payload for this turn's write; the future ends when it is as durable as asked, or LedgerError."""
        self._seq += 1
        # One future each: a cancelled request must not cancel the wait of the others.
        future: asyncio.Future[None] = self._loop.create_future()
        self._pending.append((payload, future, durable or self._flush_is_late()))
        if not self._turn:
            self._turn = True
            self._loop.call_soon(self._write_turn)
        return future

    def stop(self, *, clean: bool) -> None:
        """End the threads and close the segment, its unused zeros given back if `clean`. Blocks. Raises OSError."""
        self._thread.stop()
        try:
            self._reserve.discard()
            if clean:
                self._files.truncate(self._fd, self._offset)
        finally:
            self._files.close(self._fd)

    def _flush_is_late(self) -> bool:
        return self._dirty_since is not None and self._loop.time() - self._dirty_since > LATE_FLUSH_S

    def _write_turn(self) -> None:
        self._turn = False
        if self.problem or self._rotate:
            return
        parts = [self._prefix] if self._prefix else []
        head, end = self._link, self._offset
        fitting = 0
        for payload, _, _ in self._pending:
            if end + OVERHEAD_BYTES + len(payload) > self._segment_bytes:
                self._rotate = True
                break
            head = link(head, payload)
            parts += (len(payload).to_bytes(LENGTH_BYTES, "big"), payload, head)
            end += OVERHEAD_BYTES + len(payload)
            fitting += 1
        if parts:
            data = b"".join(parts)
            try:
                self._files.pwrite(self._fd, data, end - len(data))
            except OSError as error:
                self._fail(f"Writing the ledger failed ({error.strerror or error})")
                return
            self._prefix = b""
            self._link, self._offset = head, end
            self._acknowledge(fitting)
        self._go_on()

    def _acknowledge(self, fitting: int) -> None:
        """The first `fitting` pending payloads are in the kernel now."""
        self._written_seq += fitting
        done, self._pending = self._pending[:fitting], self._pending[fitting:]
        for _, future, durable in done:
            if durable:
                self._awaiting.append(future)
            elif not future.done():
                future.set_result(None)
        if self._busy:
            if self._dirty_next is None:
                self._dirty_next = self._loop.time()
        elif self._dirty_since is None:
            self._dirty_since = self._loop.time()

    def _go_on(self) -> None:
        """Start what is due: a change of segment, a sync that someone waits for, or the timer of a later one."""
        if self._busy or self.problem:
            return
        if self._rotate:
            self._submit(self._change_segment)
        elif self._awaiting:
            self._submit(self._sync)
        elif self._dirty_since is not None and self._timer is None:
            self._timer = self._loop.call_later(self._flush_interval_s, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if not (self._busy or self.problem or self._dirty_since is None):
            self._submit(self._sync)

    def _submit(self, work: Callable[[], int]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._busy = True
        self._in_flight, self._awaiting = self._awaiting, []
        covered_seq = self._written_seq  # what is written from here on may or may not be covered
        self._thread.submit(lambda: self._run(work, covered_seq))

    def _run(self, work: Callable[[], int], covered_seq: int) -> None:
        """On the disk thread: do the work and tell the loop, once, for all that wait."""
        try:
            fd, problem = work(), ""
        except OSError as error:
            fd, problem = -1, f"{error.strerror or error}"
        try:
            self._loop.call_soon_threadsafe(self._done, fd, covered_seq, problem)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _sync(self) -> int:
        self._files.fdatasync(self._fd)
        return self._fd

    def _change_segment(self) -> int:
        """The old segment is wholly on stable storage before the next one exists, so only the newest can be torn."""
        self._files.fdatasync(self._fd)
        return self._reserve.take(self._directory / str(self._name.next()))

    def _done(self, fd: int, covered_seq: int, problem: str) -> None:
        self._busy = False
        if problem:
            # Never tried again: after a failed sync the kernel may have dropped the pages and report success next time.
            self._fail(f"Syncing the ledger or beginning its next segment failed ({problem})")
            return
        self._synced_seq = covered_seq
        self._dirty_since, self._dirty_next = self._dirty_next, None
        waiters, self._in_flight = self._in_flight, []
        for future in waiters:
            if not future.done():
                future.set_result(None)
        if fd != self._fd:
            self._enter_segment(fd)
        else:
            self._go_on()

    def _enter_segment(self, fd: int) -> None:
        previous = str(self._name)
        self._files.close(self._fd)
        self._fd, self._name, self._rotate = fd, self._name.next(), False
        self._prefix = self._header(previous)
        self._link = self._prefix[-len(self._link) :]
        self._offset = len(self._prefix)
        self._reserve.prepare()
        self._write_turn()

    def _header(self, previous: str) -> bytes:
        """The magic and the header frame, which go out with the segment's first record."""
        opened = timestamp(self._clock.now())
        header = Header(self._name, previous, self._link, self._written_seq + 1, opened, self._machine_boot)
        payload = header.encode()
        return MAGIC + len(payload).to_bytes(LENGTH_BYTES, "big") + payload + link(self._link, payload)

    def _fail(self, what: str) -> None:
        self.problem = f"{what}; nothing can be recorded, so nothing is served until the gateway is restarted."
        waiting = [future for _, future, _ in self._pending] + self._awaiting + self._in_flight
        self._pending, self._awaiting, self._in_flight = [], [], []
        for future in waiting:
            if not future.done():
                future.set_exception(LedgerError(self.problem))
