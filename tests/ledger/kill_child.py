"""The process that test_kill.py kills: prints "opening", then each request id after its record returned, without end."""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

import uvloop

from gateway.clock import SystemClock
from gateway.domain.record import Durability, Record, RecordKind
from gateway.ledger.writer import SegmentLedger

SEGMENT_BYTES = 32768
TASKS = 16


async def main(directory: Path, prefix: str) -> None:
    ledger = SegmentLedger(directory, "gw", SystemClock(), segment_bytes=SEGMENT_BYTES, flush_interval_s=0.005)
    os.write(1, b"opening\n")
    await ledger.start()

    async def work(task: int) -> None:
        for number in count():
            request_id = f"{prefix}-{task}-{number}"
            record = Record(RecordKind.DELIVERY, request_id, effect="allow", note="x" * (number * 37 % 500))
            await ledger.record(record, list(Durability)[(task + number) % 2])
            os.write(1, f"{request_id}\n".encode())

    await asyncio.gather(*(work(task) for task in range(TASKS)))


if __name__ == "__main__":
    if sys.argv[3] == "uvloop":
        uvloop.run(main(Path(sys.argv[1]), sys.argv[2]))
    else:
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
