"""A ledger that runs into a real limit of the kernel (RLIMIT_FSIZE): prints what it acknowledged and how it ended."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

from gateway.clock import SystemClock
from gateway.domain.errors import LedgerError
from gateway.domain.record import Durability, Record, RecordKind
from gateway.ledger.writer import SegmentLedger

SEGMENT_BYTES = 65536


async def main(directory: Path, limit_from_start: bool) -> None:
    ledger = SegmentLedger(directory, "gw", SystemClock(), segment_bytes=SEGMENT_BYTES)
    acknowledged: list[str] = []
    # Room for every byte of a segment but the last: nothing that is already allocated is out of bounds.
    limit = (SEGMENT_BYTES - 1, resource.RLIM_INFINITY)
    failure = ""
    try:
        if limit_from_start:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        await ledger.start()
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        for number in range(100_000):
            await ledger.record(Record(RecordKind.DELIVERY, f"r{number}", note="x" * 300), Durability.DURABLE)
            acknowledged.append(f"r{number}")
    except LedgerError as error:
        failure = str(error)
    outcome = {"acknowledged": acknowledged, "failure": failure, "healthy": ledger.healthy()}
    await ledger.close()
    print(json.dumps(outcome))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "from-start"))
