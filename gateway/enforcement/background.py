"""Work that outlives the request that began it: kept, awaited at the end, its errors seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")
_log = structlog.get_logger("background")


class Background:
    """The home of all detached tasks of the gateway."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start `work`; an error that nobody awaits is logged, never lost."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def detach(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Start `work` where nobody waits for its end."""
        self.spawn(work, name).get_name()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("background.failed", task=task.get_name(), error=str(error), kind=type(error).__name__)

    async def settled(self) -> None:
        """Wait until nothing is under way. Raises what the work raised."""
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Cancel what is under way and wait for it to end."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class SingleFlight:
    """However many ask for one key at once, the work is done once; a waiter that leaves does not stop it."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._flights: dict[object, asyncio.Task[Any]] = {}

    async def do(self, key: object, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result (or error) of the one run under way for `key`."""
        task = self._flights.get(key)
        if task is None:
            task = self._background.spawn(work(), name=f"flight:{key}")
            self._flights[key] = task
            task.add_done_callback(lambda _: self._flights.pop(key, None))
        result: T = await asyncio.shield(task)
        return result
