"""`snapshot_download` of 60 files by a real client: through the gateway and through olah, cold and hot, to the hub itself."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import NotRun, Options, Table, median_ratio
from benchmarks.servers import ROOT, Gateway, Olah, Server, olah_program
from gateway.simulator.process import SimulatorProcess

LATENCY_MS = 50  # of huggingface.co, from a company network near it
BANDWIDTH_MB_S = 100
FILES = 60
CLIENT = ROOT / ".venvs/hub-2/bin/python"
_DOWNLOAD = """
import json, sys, tempfile, time
from pathlib import Path
from huggingface_hub import snapshot_download
with tempfile.TemporaryDirectory(dir=sys.argv[2]) as cache:
    begin = time.perf_counter()
    folder = snapshot_download(sys.argv[1], cache_dir=cache)
    seconds = time.perf_counter() - begin
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    print(json.dumps([seconds, len(files), sum(path.stat().st_size for path in files)]))
"""


@dataclass
class _Way:
    """One way to the files: seconds per round; of the last one, the questions to the hub and the server's CPU seconds."""

    seconds: list[float] = field(default_factory=list)
    requests: int = 0
    cpu_s: float = 0.0


def run(options: Options) -> list[Table]:
    """Every round: direct, then each server cold (a state of its own) and hot; each with an empty client cache."""
    if not CLIENT.is_file():
        raise NotRun("the client's environment is missing: make clients")
    count = 6 if options.quick else FILES
    names = ["direct", "gateway cold", "gateway hot"]
    if olah_program() is not None:
        names += ["olah cold", "olah hot"]
    ways = {name: _Way() for name in names}
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        SimulatorProcess(
            "--latency-ms", str(LATENCY_MS), "--bandwidth-mb-s", str(BANDWIDTH_MB_S), "--small-files", str(count)
        ) as hub,
    ):
        _snapshot(hub.hub_url, count, Path(name))  # warms up: byte code, the simulator
        for number in range(options.rounds):
            _round(hub, count, Path(name) / str(number), ways)
    table = Table(
        f"snapshot_download of {count} files by huggingface_hub, hub {LATENCY_MS} ms away",
        ("way", "seconds", "to direct", "requests to the hub", "CPU-s of the server"),
    )
    base = ways["direct"].seconds
    for way, seen in ways.items():
        ratio = "1.00x" if way == "direct" else f"{median_ratio(seen.seconds, base):.2f}x"
        cpu = "-" if way == "direct" else seen.cpu_s
        table.rows.append((way, median(seen.seconds), ratio, seen.requests, cpu))
    if "olah hot" in ways:
        ratio = median_ratio(ways["gateway hot"].seconds, ways["olah hot"].seconds)
        table.notes.append(f"gateway hot to olah hot: {ratio:.2f}x")
    else:
        table.notes.append("olah: NOT RUN, its environment is missing: make .venvs/bench-olah.stamp")
    table.notes.append("each time with an empty client cache; hot: the second time through the same server")
    return [table]


def _round(hub: Any, count: int, directory: Path, ways: dict[str, _Way]) -> None:
    directory.mkdir()
    _measured(hub, "direct", hub.hub_url, count, directory, ways)
    with Gateway(hub, directory / "state") as own:
        _cold_and_hot(hub, own, "gateway", count, directory, ways)
    if "olah hot" in ways:
        with Olah(hub, directory / "olah") as other:
            _cold_and_hot(hub, other, "olah", count, directory, ways)


def _cold_and_hot(hub: Any, server: Server, name: str, count: int, directory: Path, ways: dict[str, _Way]) -> None:
    token = server.token if isinstance(server, Gateway) else ""
    for state in ("cold", "hot"):
        used_s = server.cpu_s()
        _measured(hub, f"{name} {state}", server.url, count, directory, ways, token)
        ways[f"{name} {state}"].cpu_s = server.cpu_s() - used_s


def _measured(
    hub: Any, name: str, url: str, count: int, directory: Path, ways: dict[str, _Way], token: str = ""
) -> None:
    hub.clear()
    ways[name].seconds.append(_snapshot(url, count, directory, token))
    ways[name].requests = len(hub.requests())


def _snapshot(url: str, count: int, directory: Path, token: str = "") -> float:
    """Seconds of one call in a process of its own, without its start. Raises where not every file came."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    clean |= {"HF_ENDPOINT": url, "HF_HOME": str(directory / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    clean |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}  # the simulated hub has no Xet to download by
    if token:
        clean["HF_TOKEN"] = token
    done = subprocess.run(
        [str(CLIENT), "-c", _DOWNLOAD, f"bench/files-{count}", str(directory)],
        capture_output=True, text=True, timeout=120, env=clean, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"the client failed at {url}: {done.stderr[-2000:]}")
    seconds, files, _ = json.loads(done.stdout)
    if files != count:
        raise RuntimeError(f"{files} of {count} files came from {url}")
    return float(seconds)
