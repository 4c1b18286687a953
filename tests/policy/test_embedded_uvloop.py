"""The embedded engine on the loop that `gateway serve` runs on: its processes and pipes are another implementation."""

from __future__ import annotations

import asyncio
import contextlib
import os

import psutil
import uvloop

from gateway.domain.errors import PolicyError
from gateway.policy.embedded import EmbeddedEngine
from tests.policy import hostile, tiny

CASES = ("good/repo", "hostile/recursion", "hostile/loop", "hostile/error", "hostile/undefined", "bad/repo")


async def outcome(engine: EmbeddedEngine, repo_id: str) -> str:
    try:
        return (await engine.decide(tiny.question(repo_id))).effect.value
    except PolicyError as error:
        return error.code


async def scenario() -> list[str]:
    engine = await EmbeddedEngine.start(tiny.unchecked(hostile.MODULES), workers=1, deadline_s=2)
    try:
        seen = [await outcome(engine, case) for case in CASES]
        for child in psutil.Process().children():
            child.kill()
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        seen.append(await outcome(engine, "good/repo"))
        gone = [asyncio.ensure_future(outcome(engine, f"good/{n}")) for n in range(10)]
        await asyncio.sleep(0)
        for ask in gone:
            ask.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        seen.append(await outcome(engine, "good/repo"))
    finally:
        await engine.close()
    return seen


def test_every_outcome_on_uvloop() -> None:
    before = set(psutil.Process().children())
    assert uvloop.run(scenario()) == [
        "allow", "pdp/crashed", "pdp/timeout", "pdp/error", "pdp/undefined", "deny", "allow", "allow",
    ]  # fmt: skip
    assert set(psutil.Process().children()) == before
