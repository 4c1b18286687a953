"""Hot HEAD and hot GET of 1-20 KB at 1, 16 and 64 keep-alive clients: CPU per request against a bare aiohttp handler."""

from __future__ import annotations

import tempfile
import urllib.request
from pathlib import Path
from statistics import median

from benchmarks.load import Load, small
from benchmarks.report import Options, Table, median_ratio
from benchmarks.servers import Bare, Gateway, Server
from gateway.simulator.process import SimulatorProcess

FILES = 20
REPO_FILES = 1901  # the simulator's files grow with their number, up to 20 KB
COUNTS = {1: 2_000, 16: 8_000, 64: 8_000}
_OWN_HEADERS = {"date", "server", "x-request-id", "content-length", "content-type"}


def run(options: Options) -> list[Table]:
    counts = {1: 50, 16: 160} if options.quick else COUNTS
    repo = f"bench/files-{REPO_FILES}"
    gets = [f"/{repo}/resolve/main/part-{90 * n:05d}.txt" for n in range(1, FILES + 1)]
    heads = ["/demo/good-safetensors/resolve/main/model.safetensors"]
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        SimulatorProcess("--small-files", str(REPO_FILES)) as hub,
        Gateway(hub, Path(name) / "state") as gateway,
    ):
        files = {path: _fetched(gateway, path) for path in [*heads, *gets]}
        with Bare(files, Path(name)) as bare:
            table = _measured(options, gateway, bare, {"HEAD": heads, "GET": gets}, counts)
    sizes = sorted(len(files[path][1]) for path in gets)
    table.notes.append(
        f"GET: {FILES} files of {sizes[0]} to {sizes[-1]} bytes; the bare handler sends the same headers"
    )
    return [table]


def _measured(
    options: Options, gateway: Gateway, bare: Bare, paths: dict[str, list[str]], counts: dict[int, int]
) -> Table:
    cells: dict[tuple[str, int], dict[str, list[tuple[float, Load]]]] = {}
    for turn in range(options.rounds + 1):  # the first round warms up
        for method, wanted in paths.items():
            for clients, count in counts.items():
                for kind, server in (("bare", bare), ("gateway", gateway)):
                    found = _cpu_us(server, wanted, method, clients, count)
                    if turn:
                        cells.setdefault((method, clients), {}).setdefault(kind, []).append(found)
    table = Table(
        "Hot small requests (gateway: token identity, limits, decision memory, ledger, metrics and log on)",
        ("request, clients", "bare us CPU", "gateway us CPU", "ratio", "bare p50 ms", "p50 ms", "p99 ms", "requests/s"),
    )
    for (method, clients), by in cells.items():
        ours, base = by["gateway"], by["bare"]
        table.rows.append(
            (
                f"{method}, {clients}",
                median(cpu for cpu, _ in base),
                median(cpu for cpu, _ in ours),
                f"{median_ratio([c for c, _ in ours], [c for c, _ in base]):.2f}x",
                median(load.p50_ms for _, load in base),
                median(load.p50_ms for _, load in ours),
                median(load.p99_ms for _, load in ours),
                median(load.requests / load.seconds for _, load in ours),
            )
        )
    return table


def _cpu_us(server: Server, paths: list[str], method: str, clients: int, count: int) -> tuple[float, Load]:
    headers = getattr(server, "headers", None)
    before = server.cpu_s()
    load = small(server.url, paths, method=method, clients=clients, count=count, headers=headers)
    used_s = max(server.cpu_s() - before, 0.01)  # the kernel counts in ticks of 10 ms
    return used_s / load.requests * 1e6, load


def _fetched(gateway: Gateway, path: str) -> tuple[dict[str, str], bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(gateway.url + path, headers=gateway.headers), timeout=60) as answer:
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN_HEADERS}
        return headers | {"Content-Type": answer.headers["Content-Type"]}, answer.read()
