"""A file layer that drops what was not synced: never a durable record missing, and the loss is a recorded gap."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.record import Durability
from gateway.ledger.verify import verify
from gateway.ledger.writer import SegmentLedger
from tests.contracts.ledger import delivery
from tests.ledger.volatile import VolatileFiles

Read = Callable[[Path], list[dict[str, Any]]]
SEGMENT_BYTES = 8192


class LyingFiles(VolatileFiles):
    """A disk that says "done" and keeps nothing of it."""

    def fdatasync(self, fd: int) -> None:
        os.fstat(fd)


async def run_and_cut(
    files: VolatileFiles, source: Path, target: Path, clock: Any, seed: int, prefix: str = ""
) -> tuple[set[str], int]:
    """Record from eight tasks, cut the power after a random number of answers; return the durable ones before."""
    dice = random.Random(seed)
    cut_after = dice.randrange(1, 400)
    ledger = SegmentLedger(source, "gw", clock, segment_bytes=SEGMENT_BYTES, flush_interval_s=0.001, files=files)
    await ledger.start()
    durable: set[str] = set()
    answered = 0

    async def work(task: int) -> None:
        nonlocal answered
        for number in range(60):
            request_id = f"{prefix}{task}-{number}"
            durability = dice.choice(list(Durability))
            await ledger.record(delivery(request_id, note="x" * dice.randrange(300)), durability)
            if answered == cut_after:
                return
            answered += 1
            if durability is Durability.DURABLE:
                durable.add(request_id)
            if answered == cut_after:
                files.cut_power(source, target, dice)

    await asyncio.gather(*(work(task) for task in range(8)))
    await ledger.close()
    return durable, answered


@pytest.mark.parametrize("seed", range(40))
async def test_no_durable_record_is_missing_after_a_power_cut(
    directory: Path, tmp_path: Path, clock: Any, read_all: Read, seed: int
) -> None:
    target = tmp_path / "after"
    durable, _ = await run_and_cut(VolatileFiles(), directory, target, clock, seed)
    again = SegmentLedger(target, "gw", clock, segment_bytes=SEGMENT_BYTES, files=VolatileFiles(boot="boot-2"))
    await again.start()
    await again.record(delivery("after"), Durability.DURABLE)
    await again.close()
    bodies = read_all(target)
    found = [body["request_id"] for body in bodies if "request_id" in body]
    assert durable <= set(found)
    assert len(found) == len(set(found))
    assert found[-1] == "after"
    [gap] = [body["extra"]["gap"] for body in bodies if body.get("extra", {}).get("event") == "gap"]
    assert gap["lost"] == "repeats"
    [report] = verify(target)
    assert report.problems == []


@pytest.mark.parametrize("seed", range(8))
async def test_a_machine_that_keeps_losing_power_keeps_every_durable_record(
    tmp_path: Path, clock: Any, read_all: Read, seed: int
) -> None:
    source = tmp_path / "0"
    durable: set[str] = set()
    for cut in range(5):
        target = tmp_path / str(cut + 1)
        files = VolatileFiles(boot=f"boot-{cut}")
        if source.is_dir():
            files.adopt(source)
        found, _ = await run_and_cut(files, source, target, clock, seed * 100 + cut, prefix=f"{cut}-")
        durable |= found
        [report] = verify(target)
        assert report.problems == []
        # "open" are the newest end and, where the cut fell on a change of segment, one that was just begun.
        assert [gap.lost for gap in report.gaps if gap.lost != "open"] == ["repeats"] * cut
        assert durable <= {body["request_id"] for body in read_all(target) if "request_id" in body}
        source = target


async def test_the_layer_can_tell_a_disk_that_lies(directory: Path, tmp_path: Path, clock: Any, read_all: Read) -> None:
    """The test above must be able to fail: without real syncs durable records are missing."""
    lost = 0
    for seed in range(5):
        target = tmp_path / f"after-{seed}"
        durable, _ = await run_and_cut(LyingFiles(), directory / str(seed), target, clock, seed)
        found = {body["request_id"] for body in read_all(target) if "request_id" in body}
        lost += len(durable - found)
    assert lost
