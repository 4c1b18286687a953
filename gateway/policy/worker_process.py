"""The parent's end of one policy worker: start, ask under a deadline, kill."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.domain.errors import ConfigError, PolicyError

START_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """What a worker is started with: modules as (path, text), the data, and its limits."""

    modules: Sequence[tuple[str, str]]
    data: Mapping[str, Any]
    deadline_s: float
    memory_bytes: int

    def frame(self) -> bytes:
        return orjson.dumps(
            {
                "modules": self.modules,
                "data": self.data,
                "memory_bytes": self.memory_bytes,
                # Far above the deadline: it only ends a looping worker whose parent is gone.
                "cpu_s": math.ceil(self.deadline_s) + 10,
            }
        )


class WorkerDeath(Exception):
    """The worker's process ended in the middle of a question (or was killed).

    `asked` is False where the question never reached it: then no question is to blame.
    """

    def __init__(self, *, asked: bool) -> None:
        super().__init__("the policy worker died")
        self.asked = asked


class WorkerProcess:
    """One worker. Not for concurrent use: one question at a time."""

    def __init__(self, process: asyncio.subprocess.Process, engine: str) -> None:
        self._process = process
        self.engine = engine

    @classmethod
    async def start(cls, load: WorkerLoad) -> WorkerProcess:
        """Start a process and load the bundle.

        Raises ConfigError where the engine refuses the bundle, PolicyError pdp/unavailable where no process starts.
        """
        # An environment of its own: no token of ours is in it, and RUST_BACKTRACE stays unset.
        environment = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONUTF8": "1"}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-B", "-m", "gateway.policy.worker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env=environment, cwd="/",
            )  # fmt: skip
        except OSError as error:
            raise PolicyError(
                f"no policy worker could be started ({error.strerror})", code="pdp/unavailable"
            ) from error
        worker = cls(process, "")
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                answer = await worker._exchange(load.frame())
        except (TimeoutError, WorkerDeath) as error:
            await worker.kill()
            what = "did not load the policy in time" if isinstance(error, TimeoutError) else "died loading the policy"
            raise PolicyError(f"a policy worker {what}", code="pdp/unavailable") from error
        except BaseException:
            await worker.kill()
            raise
        if answer[:1] != b"R":
            await worker.kill()
            raise ConfigError(f"the policy does not load: {answer[1:].decode()}", code="config/policy")
        worker.engine = answer[1:].decode()
        return worker

    async def decide(self, input_json: bytes, deadline_s: float) -> bytes:
        """The answer frame for `data.gateway.decision`. Raises TimeoutError, WorkerDeath: then kill the worker."""
        async with asyncio.timeout(deadline_s):
            return await self._exchange(b"D" + input_json)

    async def query(self, query: str, deadline_s: float) -> bytes:
        """The answer frame for another query without input. Raises TimeoutError, WorkerDeath."""
        async with asyncio.timeout(deadline_s):
            return await self._exchange(b"Q" + query.encode())

    async def load_data(self, data: Mapping[str, Any], deadline_s: float) -> None:
        """Take other data in place of the first. Raises ConfigError, TimeoutError, WorkerDeath."""
        async with asyncio.timeout(deadline_s):
            answer = await self._exchange(b"L" + orjson.dumps(data))
        if answer[:1] != b"R":
            raise ConfigError(f"the policy data does not load: {answer[1:].decode()}", code="config/policy-data")

    @property
    def alive(self) -> bool:
        """Asked of the kernel, without reaping: the event loop may not have heard of a death yet."""
        if self._process.returncode is not None:
            return False
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    async def kill(self) -> None:
        """End the process now and reap it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _exchange(self, frame: bytes) -> bytes:
        inbox, outbox = self._process.stdin, self._process.stdout
        assert inbox is not None
        assert outbox is not None
        if inbox.is_closing():
            raise WorkerDeath(asked=False)
        try:
            inbox.write(struct.pack(">I", len(frame)))
            inbox.write(frame)
            await inbox.drain()
            (length,) = struct.unpack(">I", await outbox.readexactly(4))
            return await outbox.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise WorkerDeath(asked=True) from error


def value_of(frame: bytes) -> Any:
    """The JSON value of an answer frame, or the failure it tells."""
    status, body = frame[:1], frame[1:]
    if status == b"R":
        try:
            return orjson.loads(body)
        except ValueError as error:
            raise PolicyError("the policy's answer is not JSON", code="pdp/malformed") from error
    if status == b"U":
        raise PolicyError("the policy gives no decision: data.gateway.decision is undefined", code="pdp/undefined")
    raise PolicyError(f"the policy failed: {body.decode(errors='replace')}", code="pdp/error")
