"""The simulator in a thread of its own, for tests that use blocking clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from gateway.simulator.faults import Faults
from gateway.simulator.server import Simulator
from gateway.simulator.traffic import SeenRequest, Traffic
from gateway.simulator.world import World

T = TypeVar("T")


class SimulatorThread:
    """`with SimulatorThread(world) as sim:` offers what `Simulator` does, callable from any thread.

    Options are those of `Simulator`. Edit the world by `sim.edit(lambda world: …)`: no answer sees half an edit.
    """

    def __init__(self, world: World, **options: Any) -> None:
        self.simulator = Simulator(world, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hub simulator", daemon=True)

    @property
    def hub_url(self) -> str:
        return self.simulator.hub_url

    @property
    def cdn_url(self) -> str:
        return self.simulator.cdn_url

    @property
    def world(self) -> World:
        return self.simulator.world

    @property
    def faults(self) -> Faults:
        return self.simulator.faults

    @property
    def traffic(self) -> Traffic:
        return self.simulator.traffic

    @property
    def requests(self) -> list[SeenRequest]:
        return list(self.simulator.requests)

    def bytes_sent(self, path: str = "*", *, host: str = "") -> int:
        return self.simulator.bytes_sent(path, host=host)

    def clear(self) -> None:
        self.simulator.clear()

    def edit(self, change: Callable[[World], T]) -> T:
        """Run `change(world)` between two answers and return what it returns."""

        async def apply() -> T:
            return change(self.simulator.world)

        return self._run(apply())

    def up(self) -> None:
        self._run(self.simulator.up())

    def down(self, host: str = "") -> None:
        self._run(self.simulator.down(host))

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self.simulator.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)
