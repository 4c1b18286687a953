"""The real `opa` binary for tests: found, started, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from opa_client.opa_async import AsyncOpaClient

ROOT = Path(__file__).resolve().parent.parent
HOW_TO_GET = "NOT RUN: OPA server: `make tools` gets the opa binary into .tools/bin"


def find_opa() -> str | None:
    """`.tools/bin/opa`, else the one on PATH, else where `go install` leaves it."""
    places = [ROOT / ".tools" / "bin" / "opa", Path.home() / "go" / "bin" / "opa"]
    found = [str(p) for p in places[:1] if p.is_file()] or [p for p in [shutil.which("opa")] if p]
    return next(iter(found or [str(p) for p in places[1:] if p.is_file()]), None)


def required_opa() -> str:
    """The binary. Where there is none, tests/conftest.py leaves out what is marked `opa_server` and says so last."""
    opa = find_opa()
    if opa is None:
        pytest.fail(HOW_TO_GET)
    return opa


@dataclass(frozen=True, slots=True)
class OpaServer:
    url: str
    port: int
    process: asyncio.subprocess.Process


@contextlib.asynccontextmanager
async def opa_server(*arguments: str, port: int = 0) -> AsyncIterator[OpaServer]:
    """A running server on loopback, healthy; killed at the end."""
    port = port or free_port()
    process = await asyncio.create_subprocess_exec(
        required_opa(), "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error",
        "--skip-version-check", *arguments,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with AsyncOpaClient(host="127.0.0.1", port=port, retries=0, timeout=5) as client:
            await client.wait_for_ready(timeout=30, interval=0.02)
        yield OpaServer(f"http://127.0.0.1:{port}", port, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
