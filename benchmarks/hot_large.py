"""Hot 1 GiB GET by 1 and 8 clients: throughput and CPU against nginx (one worker, sendfile) on the very same blob."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.load import download, downloads
from benchmarks.report import NotRun, Options, Table, median_ratio
from benchmarks.servers import Gateway, Nginx, Server
from gateway.simulator.process import SimulatorProcess

Cell = tuple[float, float, float]  # GB/s, CPU seconds per GB, first byte in ms


def nginx_binary(*, may_install: bool) -> str:
    """Debian's nginx, installed where that is possible. Raises NotRun."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None and may_install and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # 1: nothing is started
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "nginx"]):
            subprocess.run(["apt-get", *command], env=quiet, check=False, stdout=subprocess.DEVNULL)
        binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        raise NotRun("nginx is not here: `apt-get install nginx` as root")
    return binary


def run(options: Options) -> list[Table]:
    binary = nginx_binary(may_install=not options.quick)
    mib = 64 if options.quick else 1024
    path = f"/bench/safetensors-{mib}/resolve/main/model.safetensors"
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        SimulatorProcess("--large-mib", str(mib)) as hub,
        Gateway(hub, Path(name) / "state") as gateway,
    ):
        download(gateway.url + path, gateway.headers)
        blob = max((Path(name) / "state/blobs/sha256").rglob("*"), key=lambda file: file.stat().st_size)
        root = Path(name) / "root"
        root.mkdir()
        (root / "model").symlink_to(blob)
        with Nginx(binary, root, Path(name)) as nginx:
            cells: dict[int, dict[str, list[Cell]]] = {1: {}, 8: {}}
            for turn in range(options.rounds + 1):
                for clients, by in cells.items():
                    pairs = [("nginx", nginx, "/model"), ("gateway", gateway, path)]
                    for kind, server, target in pairs if turn % 2 else reversed(pairs):
                        found = _measured(server, target, clients)
                        if turn:
                            by.setdefault(kind, []).append(found)
    return [_table(mib, cells)]


def _measured(server: Server, path: str, clients: int) -> Cell:
    cpu, begin = server.cpu_s(), time.perf_counter()
    done = downloads(server.url + path, clients, getattr(server, "headers", None))
    seconds = time.perf_counter() - begin
    time.sleep(0.05)  # nginx and the gateway write their logs a moment later
    size_gb = sum(each.size_bytes for each in done) / 1e9
    if {each.status for each in done} != {200}:
        raise RuntimeError(f"not every download was answered with 200: {done}")
    used_s = max(server.cpu_s() - cpu, 0.01)  # the kernel counts in ticks of 10 ms
    return size_gb / seconds, used_s / size_gb, median(each.first_byte_s for each in done) * 1e3


def _table(mib: int, cells: dict[int, dict[str, list[Cell]]]) -> Table:
    table = Table(
        f"Hot GET of {mib} MiB",
        (
            "clients",
            "nginx GB/s",
            "gateway GB/s",
            "ratio",
            "nginx CPU-s/GB",
            "gateway CPU-s/GB",
            "ratio",
            "first byte ms",
        ),
    )
    for clients, by in cells.items():
        ours, base = by["gateway"], by["nginx"]
        row: list[object] = [str(clients)]
        for column in (0, 1):
            mine, theirs = [cell[column] for cell in ours], [cell[column] for cell in base]
            row += [median(theirs), median(mine), f"{median_ratio(mine, theirs):.2f}x"]
        table.rows.append((*row, median(cell[2] for cell in ours)))
    return table
