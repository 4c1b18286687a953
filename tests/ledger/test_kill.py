"""kill -9 of a real process at random moments: no acknowledged record is lost, and every chain verifies."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
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
CHILD = Path(__file__).with_name("kill_child.py")


def record_until_killed(directory: Path, prefix: str, loop: str, answers: int) -> list[str]:
    """Kill the child when it has printed that many answers, wherever it then is; return all that it printed."""
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(directory), prefix, loop], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout:
        printed = [child.stdout.readline() for _ in range(answers)]
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
    for number in range(ROUNDS):
        loop = ("asyncio", "uvloop")[number % 2]
        acknowledged += record_until_killed(directory, f"k{number}", loop, dice.randrange(1, 3000))
        [report] = verify(directory)
        assert report.problems == [], f"round {number}, seed {seed}"
        # All but the newest boot have been closed off by the boot that followed.
        assert [gap.lost for gap in report.gaps] == ["none"] * number + ["open"], f"round {number}, seed {seed}"
        found = {body["request_id"] for body in read_all(directory) if "request_id" in body}
        missing = set(acknowledged) - found
        assert not missing, f"round {number}, seed {seed}: {sorted(missing)[:5]} of {len(missing)} missing"
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=32768)
    await ledger.start()
    await ledger.close()
    with LedgerIndex(directory) as index:
        indexed = {record["request_id"] for record in find(index, Filter(kind="delivery"))}
    assert set(acknowledged) <= indexed
    assert [gap.lost for gap in verify(directory)[0].gaps] == ["none"] * ROUNDS
