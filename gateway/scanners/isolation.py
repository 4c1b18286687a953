"""One scanner worker process as the gateway sees it: start, feed, watch, kill.

The gateway is the one that limits: wall time (waiting for the source does not count), CPU time, resident memory and
length of the answer. Past a limit the whole process group is killed; what remains is a cause, never a silence.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from gateway.domain.errors import GatewayError, IntegrityError
from gateway.ports import RangeSource
from gateway.scanners.budget import MAX_REQUEST_BYTES, PAGE_BYTES, READ_BYTES
from gateway.scanners.spans import SpanRecorder
from gateway.scanners.wire import DATA, HEADER, LOST, OUTCOME, RANGE, READ, READY, TASK, frame

_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
_MEMORY_ALARM = 0.8


@dataclass(frozen=True, slots=True)
class Limits:
    """What one scan may use. Times in seconds; `overall_s` includes waiting for the source."""

    wall_s: float = 20.0
    cpu_s: float = 15.0
    overall_s: float = 600.0
    start_s: float = 30.0
    memory_bytes: int = 1024 * 1024 * 1024
    output_bytes: int = 1024 * 1024
    read_bytes: int = READ_BYTES
    watch_every_s: float = 0.05


class WorkerFailure(Exception):
    """The worker gave no usable answer; `cause` goes into Coverage. The worker is dead."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class SourceFailure(Exception):
    """The source raised `error`; the worker is fit for the next task."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(str(error))
        self.error = error


class Worker:
    """A process that judges one file at a time. Use `start`, then `ask` as often as it is `alive`, then `kill`."""

    def __init__(self, entry: str, limits: Limits, python_path: tuple[str, ...] = ()) -> None:
        self._entry = entry
        self._limits = limits
        self._python_path = python_path
        self._process: asyncio.subprocess.Process | None = None
        self._killed_for = ""
        self._handed_bytes = 0
        self._receiving = False
        self._ended = False

    @property
    def alive(self) -> bool:
        return not self._ended and self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start and wait until it has imported everything. Raises WorkerFailure("crashed" or "timeout")."""
        path = os.pathsep.join((_PACKAGE_PARENT, *self._python_path))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-s", "-P", "-B", "-m", "gateway.scanners.worker",
            self._entry, str(self._limits.memory_bytes),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": path, "LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}, cwd="/", start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._limits.start_s):
                kind, _ = await self._receive()
        except TimeoutError:
            await self.kill()
            raise WorkerFailure("timeout") from None
        except asyncio.IncompleteReadError:
            await self.kill()
            raise WorkerFailure("crashed") from None
        except BaseException:
            await self.kill()
            raise
        if kind != READY:
            await self.kill()
            raise WorkerFailure("crashed")

    async def ask(self, source: RangeSource, path: str, recorder: SpanRecorder) -> object:
        """The worker's answer on one file, as JSON. Raises WorkerFailure, SourceFailure; when cancelled it kills."""
        watch = asyncio.ensure_future(self._watch())
        try:
            async with asyncio.timeout(self._limits.overall_s):
                answer = await self._converse(source, path, recorder)
        except TimeoutError:
            await self.kill()
            raise WorkerFailure("source-timeout") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            cause = self._killed_for or await self._death_cause()
            await self.kill()
            raise WorkerFailure(cause) from None
        except SourceFailure:
            raise
        except BaseException:
            await self.kill()
            raise
        finally:
            watch.cancel()
            await asyncio.wait([watch])
        if not watch.cancelled() and watch.exception() is not None:
            self._killed_for = "unwatched"
        if self._killed_for:
            await self.kill()
            raise WorkerFailure(self._killed_for)
        peak = answer.get("peak_bytes") if isinstance(answer, dict) else None
        if not isinstance(peak, int) or peak > self._limits.memory_bytes * _MEMORY_ALARM:
            await self.kill()
            raise WorkerFailure("oom")
        if peak > self._limits.memory_bytes // 2:
            await self.kill()  # a grown heap would count against the next file
        return answer

    async def kill(self) -> None:
        """End the process group and reap it."""
        process = self._process
        self._ended = True
        if process is None:
            return
        if process.returncode is None:
            _kill_group(process.pid)
        if process.stdin is not None:
            process.stdin.close()
        await self._drain(process)
        await process.wait()

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        """Read what a dead worker left in its pipe: asyncio reaps only once the pipe is empty."""
        if process.stdout is None or self._receiving:
            return  # whoever is receiving empties it
        self._receiving = True
        try:
            while await process.stdout.read(PAGE_BYTES):
                pass
        finally:
            self._receiving = False

    async def _converse(self, source: RangeSource, path: str, recorder: SpanRecorder) -> object:
        limits, loop = self._limits, asyncio.get_running_loop()
        task = {
            "path": path,
            "size_bytes": source.size_bytes,
            "read_budget_bytes": limits.read_bytes,
            "cpu_s": limits.cpu_s,
        }
        self._handed_bytes = 0
        await self._send(TASK, json.dumps(task).encode())
        wall_left, failure = limits.wall_s, None
        while True:
            asked = loop.time()
            try:
                async with asyncio.timeout(max(wall_left, 0.0)):
                    kind, payload = await self._receive()
            except TimeoutError:
                raise WorkerFailure("timeout") from None
            wall_left -= loop.time() - asked
            if kind == OUTCOME:
                if failure is not None:
                    raise SourceFailure(failure)
                return self._parse(payload)
            failure = await self._answer_read(kind, payload, source, recorder) or failure

    async def _answer_read(
        self, kind: bytes, payload: bytes, source: RangeSource, recorder: SpanRecorder
    ) -> GatewayError | None:
        """Hand out one range; a failure of the source is told to the worker and given back."""
        if kind != READ or len(payload) != RANGE.size:
            raise WorkerFailure("crashed")
        offset, length = RANGE.unpack(payload)
        self._handed_bytes += length
        if offset % PAGE_BYTES or length > MAX_REQUEST_BYTES or self._handed_bytes > self._limits.read_bytes:
            raise WorkerFailure("read-budget")
        try:
            data = await source.read(offset, length)
            if len(data) != max(min(length, source.size_bytes - offset), 0):
                raise IntegrityError(f"The source ended at offset {offset + len(data)}; it was longer before.")
            recorder.add(offset, data)
        except GatewayError as error:
            await self._send(LOST)
            return error
        await self._send(DATA, data)
        return None

    def _parse(self, payload: bytes) -> object:
        try:
            answer: object = json.loads(payload)
        except (ValueError, RecursionError):
            return None
        return answer

    async def _send(self, kind: bytes, payload: bytes = b"") -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(frame(kind, payload))
        await self._process.stdin.drain()

    async def _receive(self) -> tuple[bytes, bytes]:
        if self._ended:
            raise WorkerFailure("crashed")
        self._receiving = True
        try:
            return await self._receive_frame()
        finally:
            self._receiving = False

    async def _receive_frame(self) -> tuple[bytes, bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        kind, length = HEADER.unpack(await self._process.stdout.readexactly(HEADER.size))
        if length > self._limits.output_bytes:
            raise WorkerFailure("output-limit")
        return kind, await self._process.stdout.readexactly(length)

    async def _watch(self) -> None:
        """Kill past the limit of resident memory or CPU time, or where they cannot be seen. Ends with the process."""
        assert self._process is not None
        child, limits = self._process, self._limits
        try:
            process = psutil.Process(child.pid)
            before = process.cpu_times()
            while True:
                if process.memory_info().rss > limits.memory_bytes:
                    self._killed_for = "oom"
                    break
                now = process.cpu_times()
                if now.user + now.system - before.user - before.system > limits.cpu_s:
                    self._killed_for = "timeout"
                    break
                await asyncio.sleep(limits.watch_every_s)
        except psutil.NoSuchProcess:  # also a zombie's: its end is seen on the pipe
            return
        except psutil.Error:
            self._killed_for = "unwatched"
        if child.returncode is None:
            _kill_group(child.pid)

    async def _death_cause(self) -> str:
        """Why a worker that nobody here killed is gone: the kernel's CPU limit, or a crash."""
        assert self._process is not None
        code = await self._process.wait() if self._process.returncode is None else self._process.returncode
        return "timeout" if code == -signal.SIGXCPU else "crashed"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
