"""Microseconds per ledger record: written and durable, at 1, 16 and 64 concurrent tasks.

Cells are interleaved round by round; each prints the median of its rounds. CPU is that of the whole process (loop and
sync thread). `bare` is the same loop with a future that the next turn resolves: what waiting costs without a ledger.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvloop

from benchmarks.report import Options, Table
from gateway.clock import SystemClock
from gateway.domain.record import Durability, Record, RecordKind
from gateway.ledger.encode import Encoder
from gateway.ledger.frames import link
from gateway.ledger.verify import verify
from gateway.ledger.writer import SegmentLedger

TASKS = (1, 16, 64)
RECORDS = {1: 2_000, 16: 16_000, 64: 32_000}


def sample(number: int) -> Record:
    """A repeat of a HEAD as admission records it: about 800 bytes of JSON."""
    return Record(
        kind=RecordKind.DECISION,
        request_id=f"0198f3c0-7d1e-7aaa-bbbb-{number:012d}",
        decision_id="0198f3c0-7d1e-7aaa-bbbb-0123456789ab",
        subject="alice@example.com",
        subject_kind="user",
        groups=("ml-platform", "research"),
        client="huggingface_hub/1.30.0",
        address="10.20.30.40",
        action="fetch",
        route="resolve",
        repo="example-org/some-model-7b",
        ref="main",
        commit="c" * 40,
        path="model-00001-of-00004.safetensors",
        digest="sha256:" + "d" * 64,
        size_bytes=4_976_698_672,
        effect="allow",
        engine="embedded",
        policy_digest="sha256:" + "e" * 64,
        data_digest="sha256:" + "f" * 64,
        scanner_set="sha256:" + "a" * 64,
        input_digest="sha256:" + "b" * 64,
        remembered=True,
    )


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(write: Callable[[Record], Awaitable[None]], tasks: int, share: int) -> dict[str, float]:
    """CPU and wall microseconds per record, and the wait of one record in milliseconds (p50, p99)."""
    each = RECORDS[tasks] // tasks // share
    records = [sample(number) for number in range(each)]
    waits: list[float] = []

    async def work() -> None:
        for record in records:
            begin = time.perf_counter()
            await write(record)
            waits.append(time.perf_counter() - begin)

    cpu, wall = cpu_s(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(tasks)))
    cpu, wall = cpu_s() - cpu, time.perf_counter() - wall
    waits.sort()
    count = each * tasks
    return {
        "cpu_us": cpu / count * 1e6,
        "wall_us": wall / count * 1e6,
        "p50_ms": waits[len(waits) // 2] * 1e3,
        "p99_ms": waits[len(waits) * 99 // 100] * 1e3,
    }


async def bare(_: Record) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.call_soon(future.set_result, None)
    await future


async def cells(directory: Path, rounds: int, share: int = 1) -> dict[str, dict[str, float]]:
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        ledger = SegmentLedger(directory / str(number), "bench", SystemClock())
        await ledger.start()
        for tasks in TASKS:
            for durability in Durability:
                write = partial(ledger.record, durability=durability)
                found.setdefault(f"{durability.value} / {tasks}", []).append(await measure(write, tasks, share))
            found.setdefault(f"bare / {tasks}", []).append(await measure(bare, tasks, share))
        await ledger.close()
    return {
        name: {key: statistics.median(each[key] for each in measured) for key in measured[0]}
        for name, measured in found.items()
    }


def steps(directory: Path) -> dict[str, float]:
    """Microseconds of single steps, and of verifying one record."""
    encoder, record, count = Encoder("bench", 0), sample(1), 50_000
    begin = time.perf_counter()
    for number in range(count):
        payload = encoder.encode(record, number, number, "2026-11-24T10:00:00.000000Z")
    encode_us = (time.perf_counter() - begin) / count * 1e6
    head, begin = bytes(32), time.perf_counter()
    for _ in range(count):
        head = link(head, payload)
    link_us = (time.perf_counter() - begin) / count * 1e6
    begin = time.perf_counter()
    verified = sum(report.records for report in verify(directory / "0"))
    verify_us = (time.perf_counter() - begin) / verified * 1e6
    return {"payload_bytes": len(payload), "encode_us": encode_us, "link_us": link_us, "verify_us": verify_us}


def run(options: Options) -> list[Table]:
    """One row per durability class and number of tasks."""
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        found = uvloop.run(cells(Path(name), options.rounds, share=100 if options.quick else 1))
        notes = ", ".join(f"{key} {value:.2f}" for key, value in steps(Path(name)).items())
    table = Table("Ledger records", ("class / tasks", "CPU us", "wall us", "p50 ms", "p99 ms"), notes=[notes])
    table.rows += [
        (cell, value["cpu_us"], value["wall_us"], value["p50_ms"], value["p99_ms"]) for cell, value in found.items()
    ]
    return [table]
