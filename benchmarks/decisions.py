"""First decision of a revision with 5, 500 and 3,000 files on both engines, and the remembered one."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import uvloop

from benchmarks.report import NotRun, Options, Table, percentile
from benchmarks.servers import Opa, opa_binary
from gateway.app import Core, composed
from gateway.domain.artifact import Repo, RepoType
from gateway.domain.request import HubRequest, RequestKind
from gateway.domain.subject import Client, Subject, SubjectKind
from gateway.enforcement.context import GrantedListing, RequestContext
from gateway.settings import load
from gateway.simulator.process import SimulatorProcess

FILES = {5: 100, 500: 100, 3000: 30}  # files -> decisions
REPEATS = 5_000
_COLUMNS = ("engine, files", "decisions", "p50 ms", "p99 ms", "remembered us")


def run(options: Options) -> list[Table]:
    wanted = {5: 5, 500: 3} if options.quick else FILES
    table = Table("First decision of a revision, recorded durably (facts of the revision at hand)", _COLUMNS)
    flags = [part for count in wanted for part in ("--small-files", str(count))]
    with SimulatorProcess(*flags) as hub:
        for engine in ("embedded", "opa"):
            binary = opa_binary()
            if engine == "opa" and binary is None:
                table.notes.append("NOT RUN: OPA server: `make tools` gets the opa binary into .tools/bin")
                continue
            with tempfile.TemporaryDirectory(dir=options.directory) as name:
                if engine == "embedded":
                    _rows(table, hub, engine, "", Path(name), wanted)
                else:
                    with Opa(str(binary)) as server:
                        _rows(table, hub, engine, server.url, Path(name), wanted)
    if not table.rows:
        raise NotRun("no engine could be started")
    table.notes.append("remembered: the same question again, its record written; no HTTP in any column")
    return [table]


def _rows(table: Table, hub: SimulatorProcess, engine: str, url: str, directory: Path, wanted: dict[int, int]) -> None:
    flags = {
        "state.dir": str(directory / "state"),
        "upstream.url": hub.hub_url,
        "upstream.redirect_hosts": [hub.cdn_url.removeprefix("http://")],
        "upstream.unsafe_allow_private_upstream": True,
        "policy.engine": engine,
        "policy.deadline_s": 10.0,
        "policy.opa_url": url or None,
    }

    async def measured() -> None:
        async with composed(load(None, flags, {}), "http://127.0.0.1:1") as core:
            for files, count in wanted.items():
                table.rows.append((f"{engine}, {files}", count, *(await _measure(core, files, count))))

    uvloop.run(measured())


async def _measure(core: Core, files: int, count: int) -> tuple[float, float, float]:
    repo = Repo("huggingface", RepoType.MODEL, f"bench/files-{files}")
    request = HubRequest(RequestKind.INFO, repo)
    waits = []
    for number in range(count + 1):
        seconds = await _admit(core, request, f"user-{files}-{number}")
        if number:  # the first one also fetches the facts of the revision
            waits.append(seconds * 1e3)
    begin = time.perf_counter()
    for _ in range(REPEATS):
        await _admit(core, request, f"user-{files}-{count}")
    remembered_us = (time.perf_counter() - begin) / REPEATS * 1e6
    return median(waits), percentile(waits, 0.99), remembered_us


async def _admit(core: Core, request: HubRequest, user: str) -> float:
    context = RequestContext("r-bench", "GET", Subject(user, SubjectKind.USER), Client("bench", "1"), "127.0.0.1")
    begin = time.perf_counter()
    granted = await core.admission.admit(context, request)
    seconds = time.perf_counter() - begin
    if not isinstance(granted, GrantedListing):
        raise TypeError(f"the policy did not allow the benchmark's repo: {granted}")
    return seconds
