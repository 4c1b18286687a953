from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from gateway.domain.decision import Effect
from gateway.domain.errors import ConfigError, PolicyError
from gateway.policy.bundle import Bundle
from gateway.policy.embedded import EmbeddedEngine
from tests.contracts.policy_engine import PolicyEngineContract
from tests.policy import hostile, tiny


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny.load(tmp_path)


@pytest.fixture
async def engine(bundle: Bundle) -> AsyncIterator[EmbeddedEngine]:
    engine = await EmbeddedEngine.start(bundle, workers=1, deadline_s=20)
    yield engine
    await engine.close()


@pytest.fixture
async def hostile_engine() -> AsyncIterator[EmbeddedEngine]:
    engine = await EmbeddedEngine.start(tiny.unchecked(hostile.MODULES), workers=1, deadline_s=2)
    yield engine
    await engine.close()


class TestContract(PolicyEngineContract):
    pass


async def code_of(engine: EmbeddedEngine, repo_id: str) -> str:
    with pytest.raises(PolicyError) as caught:
        await engine.decide(tiny.question(repo_id))
    return caught.value.code


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


async def test_a_worker_that_dies_of_recursion_takes_nothing_with_it(hostile_engine: EmbeddedEngine) -> None:
    before = children()
    assert await code_of(hostile_engine, "hostile/recursion") == "pdp/crashed"
    assert (await hostile_engine.decide(tiny.question("good/repo"))).effect is Effect.ALLOW
    assert len(before - children()) == 1


async def test_an_input_that_killed_a_worker_kills_no_second_one(hostile_engine: EmbeddedEngine) -> None:
    assert await code_of(hostile_engine, "hostile/recursion") == "pdp/crashed"
    await hostile_engine.decide(tiny.question("good/repo"))
    before = children()
    assert await code_of(hostile_engine, "hostile/recursion") == "pdp/crashed"
    assert before <= children()


async def test_a_policy_that_explodes_in_memory_is_no_decision() -> None:
    small = await EmbeddedEngine.start(tiny.unchecked(hostile.MODULES), 1, 60, memory_bytes=300 * 1024 * 1024)
    try:
        assert await code_of(small, "hostile/memory") == "pdp/crashed"
        assert (await small.decide(tiny.question("good/repo"))).effect is Effect.ALLOW
    finally:
        await small.close()


@pytest.mark.parametrize("case", ["clock", "http"])
async def test_dangerous_builtins_are_shut_even_where_the_checks_are_bypassed(
    hostile_engine: EmbeddedEngine, case: str
) -> None:
    with pytest.raises(PolicyError, match="not allowed in policies") as caught:
        await hostile_engine.decide(tiny.question(f"hostile/{case}"))
    assert caught.value.code == "pdp/error"
    assert "main.rego:" in str(caught.value)


async def test_the_third_timeout_of_one_input_is_the_last_that_costs_a_worker() -> None:
    engine = await EmbeddedEngine.start(tiny.unchecked(hostile.MODULES), workers=1, deadline_s=0.5)
    try:
        for _ in range(3):
            assert await code_of(engine, "hostile/loop") == "pdp/timeout"
        await engine.decide(tiny.question("good/repo"))
        before = children()
        assert await code_of(engine, "hostile/loop") == "pdp/timeout"
        assert before <= children()
    finally:
        await engine.close()


async def test_a_worker_killed_while_idle_is_replaced_without_blame(engine: EmbeddedEngine) -> None:
    for pid in children():
        psutil.Process(pid).kill()
        with contextlib.suppress(ChildProcessError):  # the event loop may have reaped it already
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert (await engine.decide(tiny.question("good/repo"))).effect is Effect.ALLOW


async def test_a_caller_that_goes_away_costs_no_worker(engine: EmbeddedEngine) -> None:
    before = children()
    asks = [asyncio.ensure_future(engine.decide(tiny.question(f"good/{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    for ask in asks:
        ask.cancel()
    await asyncio.gather(*asks, return_exceptions=True)
    assert (await engine.decide(tiny.question("good/repo"))).effect is Effect.ALLOW
    assert children() == before


async def test_close_leaves_no_process(bundle: Bundle) -> None:
    before = children()
    engine = await EmbeddedEngine.start(bundle)
    assert len(children() - before) == 3
    await engine.close()
    assert children() == before


async def test_workers_end_with_a_gateway_that_was_killed(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from gateway.policy.embedded import EmbeddedEngine
from tests.policy import tiny

async def main():
    await EmbeddedEngine.start(tiny.load(Path(sys.argv[1])))
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert gateway.stdout is not None
    assert await gateway.stdout.readline() == b"started\n"
    workers = psutil.Process(gateway.pid).children()
    assert len(workers) == 3
    gateway.kill()
    await gateway.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, 30)
    assert alive == []


async def test_a_worker_sees_no_environment_of_ours(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_UPSTREAM_TOKEN", "hf_secret")
    before = children()
    engine = await EmbeddedEngine.start(bundle, workers=1)
    try:
        for pid in children() - before:
            assert set(psutil.Process(pid).environ()) <= {"PYTHONPATH", "PYTHONUTF8", "LC_CTYPE"}
    finally:
        await engine.close()


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({"main.rego": "package gateway\n\ndecision := {"}, "main.rego:"),
        ({"main.rego": 'package gateway\n\ndecision := "allow"'}, "pdp/malformed"),
        ({"main.rego": "package gateway\n\nother := 1"}, "pdp/undefined"),
        ({"main.rego": "package gateway\n\ndecision := nothing(1)"}, "pdp/error"),
        (
            {"main.rego": 'package gateway\n\ndecision := {"a": 1}', "b.rego": "package gateway\n\ndecision := 2"},
            "pdp/error",
        ),
        ({}, "pdp/undefined"),
    ],
)
async def test_a_bundle_that_cannot_answer_does_not_start(modules: dict[str, str], words: str) -> None:
    before = children()
    with pytest.raises(ConfigError, match=words):
        await EmbeddedEngine.start(tiny.unchecked(modules), workers=1)
    assert children() == before


async def test_data_below_the_policy_package_does_not_start() -> None:
    with pytest.raises(ConfigError):
        await EmbeddedEngine.start(
            tiny.unchecked({"main.rego": tiny.MAIN, "lib/words.rego": tiny.WORDS}, {"gateway": {"decision": {}}}),
            workers=1,
        )
