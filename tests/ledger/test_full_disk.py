"""A real kernel limit in a real process: refused in time, and whole again after a restart with room."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.domain.record import Durability
from gateway.ledger.verify import verify
from gateway.ledger.writer import SegmentLedger
from tests.contracts.ledger import delivery

Read = Callable[[Path], list[dict[str, Any]]]
CHILD = Path(__file__).with_name("full_disk_child.py")


def run_child(directory: Path, when: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(CHILD), str(directory), when], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


async def restart(directory: Path, clock: Any) -> None:
    ledger = SegmentLedger(directory, "gw", clock, segment_bytes=65536)
    await ledger.start()
    await ledger.record(delivery("after"), Durability.DURABLE)
    await ledger.close()


async def test_a_disk_that_fills_up_stops_the_ledger_between_records(
    directory: Path, clock: Any, read_all: Read
) -> None:
    outcome = run_child(directory, "later")
    assert "File too large" in outcome["failure"]
    assert outcome["healthy"] is False
    assert len(outcome["acknowledged"]) > 50
    found = [body["request_id"] for body in read_all(directory) if "request_id" in body]
    assert found == outcome["acknowledged"]
    await restart(directory, clock)
    [report] = verify(directory)
    assert report.problems == []
    assert [gap.to_offset - gap.from_offset for gap in report.gaps] == [0]
    assert read_all(directory)[-2]["request_id"] == "after"


async def test_a_full_disk_at_the_start_is_refused_and_leaves_nothing_half_made(directory: Path, clock: Any) -> None:
    outcome = run_child(directory, "from-start")
    assert "File too large" in outcome["failure"]
    assert outcome["acknowledged"] == []
    assert [path.name for path in directory.iterdir() if not path.name.endswith(".lock")] == []
    await restart(directory, clock)
    assert verify(directory)[0].problems == []
