"""The embedded PDP: regorus in killable worker processes behind the PolicyEngine port (rego.md §4).

Every way in which an engine can fail has its code; none allows. A worker that is late is killed (pdp/timeout), one
that dies takes nothing with it (pdp/crashed), and a warm spare stands in while the next is started.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import replace
from time import perf_counter
from typing import Any

from gateway.domain.decision import Decision, Query
from gateway.domain.errors import ConfigError, PolicyError
from gateway.policy import answer, canary, document
from gateway.policy.bundle import Bundle
from gateway.policy.worker_process import WorkerDeath, WorkerLoad, WorkerProcess, value_of

# An address-space limit: a policy that explodes dies alone. 10,000-entry lists and 5,000 files need under 200 MiB.
WORKER_MEMORY_BYTES = 1024 * 1024 * 1024

# A question waits this long for a free worker, then the gateway says "overloaded" instead of piling up.
QUEUE_S = 10.0

# Late once may be a busy machine; late this often is the input, and each try costs a worker.
TIMEOUTS_REMEMBERED = 3
REMEMBERED = 10_000
RESTART_PAUSE_S = 0.5


class EmbeddedEngine:
    """N workers at work and one warm spare. `Decision.id` is left to the caller."""

    def __init__(self, bundle: Bundle, load: WorkerLoad, workers: int) -> None:
        self.policy_digest = bundle.policy_digest
        self.data_digest = bundle.data_digest
        self._load = load
        self._turns = asyncio.Semaphore(workers)  # first come, first served
        self._idle: asyncio.Queue[WorkerProcess] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._killers: OrderedDict[str, int] = OrderedDict()  # input digest -> late this often; -1: killed a worker
        self._closed = False
        self._trouble = ""

    @classmethod
    async def start(
        cls,
        bundle: Bundle,
        workers: int = 2,
        deadline_s: float = 2.0,
        memory_bytes: int = WORKER_MEMORY_BYTES,
    ) -> EmbeddedEngine:
        """Start the workers and put a question of each scope to the policy.

        Raises ConfigError where the bundle does not load or cannot answer them, PolicyError where no worker starts.
        """
        load = WorkerLoad([(m.path, m.text) for m in bundle.modules], bundle.data, deadline_s, memory_bytes)
        engine = cls(bundle, load, workers)
        try:
            starts = (WorkerProcess.start(load) for _ in range(workers + 1))
            started = await asyncio.gather(*starts, return_exceptions=True)
            for worker in (w for w in started if isinstance(w, WorkerProcess)):
                engine._idle.put_nowait(worker)
            for failure in (f for f in started if isinstance(f, BaseException)):
                raise failure  # noqa: TRY301 - the same clean-up as for a canary that fails
            await canary.ask(engine)
        except PolicyError as error:
            await engine.close()
            raise ConfigError(
                f"the policy cannot answer a plain question: {error} [{error.code}]", code="config/policy"
            ) from error
        except BaseException:
            await engine.close()
            raise
        return engine

    async def decide(self, query: Query) -> Decision:
        """Evaluate `data.gateway.decision`. Raises PolicyError (pdp/timeout, crashed, error, undefined, malformed,
        unavailable)."""
        return await self.evaluate(document.build(query))

    async def evaluate(self, question: document.Document) -> Decision:
        """`decide` for a document that exists already (replay, samples)."""
        started = perf_counter()
        self._refuse_killer(question.digest)
        # The evaluation goes on when the caller is gone: a cut connection must not cost a worker.
        frame, engine = await asyncio.shield(self._background(self._evaluate(question)))
        return replace(
            answer.parse(value_of(frame), question.value),
            engine=engine,
            policy_digest=self.policy_digest,
            data_digest=self.data_digest,
            input_digest=question.digest,
            duration_ms=(perf_counter() - started) * 1000,
        )

    async def ready(self) -> str:
        """An empty text when a worker can be asked now."""
        if self._closed:
            return "the policy engine is closed"
        return self._trouble

    async def close(self) -> None:
        """Let running evaluations end (each within its deadline), then end every worker."""
        self._closed = True
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._idle.empty():
            await self._idle.get_nowait().kill()

    def _background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # Where the caller went away, nobody else looks at the outcome; what it cost is accounted for already.
        if not task.cancelled():
            task.exception()

    async def _evaluate(self, question: document.Document) -> tuple[bytes, str]:
        try:
            await asyncio.wait_for(self._turns.acquire(), QUEUE_S)
        except TimeoutError:
            raise PolicyError("the policy workers are all busy; try again shortly", code="pdp/unavailable") from None
        try:
            while True:
                worker = await self._worker()
                try:
                    return await self._ask(worker, question), worker.engine
                except WorkerDeath as death:
                    if death.asked:
                        self._remember(question.digest, late=False)
                        raise PolicyError("the policy worker died on this question", code="pdp/crashed") from None
        finally:
            self._turns.release()

    async def _ask(self, worker: WorkerProcess, question: document.Document) -> bytes:
        """Ask one worker; it is idle again afterwards, or replaced. Raises PolicyError pdp/timeout, WorkerDeath."""
        try:
            frame = await worker.decide(question.json, self._load.deadline_s)
        except TimeoutError:
            await self._replace(worker)
            self._remember(question.digest, late=True)
            raise PolicyError(
                f"the policy did not decide within {self._load.deadline_s:g} s", code="pdp/timeout"
            ) from None
        except BaseException:
            await self._replace(worker)
            raise
        self._idle.put_nowait(worker)
        return frame

    async def _worker(self) -> WorkerProcess:
        """An idle worker that lives; one that died while idle is replaced without blame on any input."""
        while True:
            if self._closed:
                raise PolicyError("the policy engine is closed", code="pdp/unavailable")
            try:
                worker = await asyncio.wait_for(self._idle.get(), QUEUE_S)
            except TimeoutError:
                raise PolicyError("no policy worker could be started yet", code="pdp/unavailable") from None
            if worker.alive:
                return worker
            await self._replace(worker)

    async def _replace(self, worker: WorkerProcess) -> None:
        await worker.kill()
        if not self._closed:
            _ = self._background(self._restart())

    async def _restart(self) -> None:
        while not self._closed:
            try:
                worker = await WorkerProcess.start(self._load)
            except (ConfigError, PolicyError) as error:
                if self._idle.empty():
                    self._trouble = str(error)
                await asyncio.sleep(RESTART_PAUSE_S)
                continue
            self._trouble = ""
            self._idle.put_nowait(worker)
            return

    def _remember(self, digest: str, *, late: bool) -> None:
        self._killers[digest] = self._killers.get(digest, 0) + 1 if late else -1
        self._killers.move_to_end(digest)
        if len(self._killers) > REMEMBERED:
            self._killers.popitem(last=False)

    def _refuse_killer(self, digest: str) -> None:
        times = self._killers.get(digest, 0)
        if times < 0:
            raise PolicyError("this question made a policy worker die; it waits for another bundle", code="pdp/crashed")
        if times >= TIMEOUTS_REMEMBERED:
            raise PolicyError(
                f"this question was too slow {times} times; it waits for another bundle", code="pdp/timeout"
            )
