"""The gateway's own scanner: strict readers in a pool of isolated worker processes."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from gateway import __version__
from gateway.domain.evidence import Coverage, ScanReport, Surface
from gateway.ports import RangeSource
from gateway.scanners.isolation import Limits, SourceFailure, Worker, WorkerFailure
from gateway.scanners.reader import Inspection
from gateway.scanners.spans import SpanRecorder
from gateway.scanners.wire import MalformedOutcome, inspection_of, report_of

ENTRY = "gateway.scanners.registry:inspect"
_START_ATTEMPTS = 3


class OwnScanner:
    """A Scanner over `workers` processes. `start` saves the first scans the start of a process; `close` after the last.

    `entry` names what a worker runs (`module:function`) and `python_path` where it may be found besides the package.
    """

    name = "own"

    def __init__(
        self,
        workers: int = 2,
        limits: Limits | None = None,
        entry: str = ENTRY,
        python_path: tuple[str, ...] = (),
    ) -> None:
        self.version = f"{__version__}+{ruleset_hash()[:12]}"
        self._limits = limits or Limits()
        self._entry = entry
        self._python_path = python_path
        self._idle: asyncio.Queue[Worker | None] = asyncio.Queue()  # None: a place whose worker has yet to start
        for _ in range(workers):
            self._idle.put_nowait(None)
        self._all: set[Worker] = set()
        self._closed = False

    async def start(self) -> None:
        """Start every worker. One that does not come up is tried again at its next scan."""
        places = [self._idle.get_nowait() for _ in range(self._idle.qsize())]
        for worker in await asyncio.gather(*(self._spawn() for _ in places)):
            self._idle.put_nowait(worker)

    async def close(self) -> None:
        """Kill every worker, busy ones too: their scans end as "crashed"."""
        self._closed = True
        await asyncio.gather(*(worker.kill() for worker in list(self._all)))
        self._all.clear()

    async def scan(self, source: RangeSource, path: str) -> ScanReport:
        """Judge one file. Waits for a free worker; errors of `source` propagate, everything else is Coverage."""
        worker = await self._idle.get()
        try:
            if worker is None or not worker.alive:
                if worker is not None:
                    await self._bury(worker)
                worker = None
                worker = await self._spawn()
            if worker is None:
                return self._failed("worker-unavailable", SpanRecorder(source.size_bytes))
            return await self._judge(worker, source, path)
        finally:
            if worker is not None and not worker.alive:
                self._all.discard(worker)
                worker = None
            self._idle.put_nowait(worker)

    async def _judge(self, worker: Worker, source: RangeSource, path: str) -> ScanReport:
        recorder = SpanRecorder(source.size_bytes)
        try:
            seen = inspection_of(await worker.ask(source, path, recorder))
        except SourceFailure as failure:
            raise failure.error from None
        except WorkerFailure as failure:
            return self._failed(failure.cause, recorder)
        except MalformedOutcome:
            await worker.kill()
            return self._failed("crashed", recorder)
        return report_of(seen, self.name, self.version, recorder.spans(), recorder.whole)

    async def _spawn(self) -> Worker | None:
        """A running worker, None where three attempts failed."""
        for _ in range(0 if self._closed else _START_ATTEMPTS):
            worker = Worker(self._entry, self._limits, self._python_path)
            self._all.add(worker)
            try:
                await worker.start()
            except WorkerFailure:
                self._all.discard(worker)
                continue
            except BaseException:
                self._all.discard(worker)
                raise
            return worker
        return None

    async def _bury(self, worker: Worker) -> None:
        self._all.discard(worker)
        await worker.kill()

    def _failed(self, cause: str, recorder: SpanRecorder) -> ScanReport:
        seen = Inspection("unknown", Coverage(Surface.FAILED, False, cause))
        return report_of(seen, self.name, self.version, recorder.spans(), whole=False)


def ruleset_hash() -> str:
    """SHA-256 over every source and table of the scanners: other rules, other version."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
