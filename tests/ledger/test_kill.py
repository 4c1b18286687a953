"""kill -9 of a real process at random moments: no acknowledged record is lost, and every chain verifies."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.ledger.index import LedgerIndex
from gateway.ledger.queries import Filter, find
from gateway.ledger.verify import verify
from gateway.ledger.writer import SegmentLedger

Read = Callable[[Path], list[dict[str, Any]]]
ROUNDS = int(os.environ.get("GATEWAY_SOAK_ROUNDS", "20"))
ROUNDS_PER_LEDGER = 20
CHILD = Path(__file__).with_name("kill_child.py")


def record_until_killed(directory: Path, prefix: str, loop: str, answers: int, spins: int) -> list[str]:
    """Kill the child `spins` moments after it printed that many answers; return all that it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(directory), prefix, loop], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == "opening\n"
        printed = [child.stdout.readline() for _ in range(answers)]
        for _ in range(spins):
            os.sched_yield()
        child.send_signal(signal.SIGKILL)
        printed += child.stdout.readlines()
    assert child.wait() == -signal.SIGKILL
    return [line.strip() for line in printed if line.endswith("\n")]


@pytest.mark.soak
@pytest.mark.timeout(60 + 5 * ROUNDS)
async def test_nothing_acknowledged_is_lost_by_kill(directory: Path, clock: Any, read_all: Read) -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    acknowledged: list[str] = []
    home = directory
    for number in range(ROUNDS):
        if number % ROUNDS_PER_LEDGER == 0:  # all of it is read again each round
            acknowledged, home = [], directory.with_name(f"ledger-{number}")
        loop = ("asyncio", "uvloop")[number % 2]
        # Every fourth is killed while it starts, recovers or begins to write; the others in full flow.
        answers = 0 if number % 4 == 3 else dice.randrange(1, 3000)
        acknowledged += record_until_killed(home, f"k{number}", loop, answers, dice.randrange(2000))
        [report] = verify(home)
        where = f"round {number}, seed {seed}"
        assert report.problems == [], where
        assert {gap.lost for gap in report.gaps} <= {"none", "open"}, where
        found = {body["request_id"] for body in read_all(home) if "request_id" in body}
        missing = set(acknowledged) - found
        assert not missing, f"{where}: {sorted(missing)[:5]} of {len(missing)} missing"
    ledger = SegmentLedger(home, "gw", clock, segment_bytes=32768)
    await ledger.start()
    await ledger.close()
    with LedgerIndex(home) as index:
        indexed = {record["request_id"] for record in find(index, Filter(kind="delivery"))}
    assert set(acknowledged) <= indexed
    [report] = verify(home)
    assert (report.problems, {gap.lost for gap in report.gaps}) == ([], {"none"})


def test_a_ledger_in_full_flow_verifies_and_can_be_searched(directory: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(directory), "flow", "uvloop"], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    drain = threading.Thread(target=child.stdout.read)
    try:
        assert child.stdout.readline() == "opening\n"
        assert child.stdout.readline().startswith("flow-")
        drain.start()
        records = 0
        for _ in range(10):
            [report] = verify(directory)
            assert report.problems == []
            assert report.records >= records
            records = report.records
            with LedgerIndex(directory) as index:
                assert index.unread == {}
                assert next(find(index, Filter(limit=1)))["seq"] >= records
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
        drain.join()
        child.stdout.close()
