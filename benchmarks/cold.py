"""Cold fetches against the hub itself: small files behind 20 ms, a 2 GiB torch checkpoint behind 100 MB/s as well,
and 32 clients on one cold file."""

from __future__ import annotations

import http.client
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from benchmarks.load import Download, download, downloads
from benchmarks.report import Options, Table, percentile
from benchmarks.servers import Gateway
from gateway.simulator.process import SimulatorProcess

LATENCY_MS = 20
BANDWIDTH_MB_S = 100


class _Asking:
    """One keep-alive connection that asks in sequence."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = dict(headers or {})

    def ms(self, method: str, path: str) -> float:
        begin = time.perf_counter()
        status, target = self._ask(method, path)
        while status in (301, 302, 307, 308):  # the hub sends clients from a name to a cached copy on the same host
            parts = urlsplit(target)
            status, target = self._ask(method, parts._replace(scheme="", netloc="").geturl())
        if status != 200:
            raise RuntimeError(f"{method} {path} was answered with {status}")
        return (time.perf_counter() - begin) * 1e3

    def _ask(self, method: str, path: str) -> tuple[int, str]:
        self._connection.request(method, path, headers=self._headers)
        response = self._connection.getresponse()
        response.read()
        return response.status, response.headers.get("Location", "")


def small_files(options: Options) -> list[Table]:
    """One client: each file of a revision by HEAD, then GET; the first file of a revision apart."""
    count = 5 if options.quick else 60
    repo = f"/bench/files-{count + 1}/resolve/main"
    first = ["good-safetensors", "good-torch", "good-gguf", "pickle-with-twin", "pull-request"]
    ways: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        SimulatorProcess("--latency-ms", str(LATENCY_MS), "--small-files", str(count + 1)) as hub,
        Gateway(hub, Path(name) / "state") as gateway,
    ):
        for kind, asking in (("direct", _Asking(hub.hub_url)), ("gateway", _Asking(gateway.url, gateway.headers))):
            asking.ms("HEAD", f"{repo}/README.md")
            for sample in first:
                ways.setdefault(f"{kind} first", []).append(
                    asking.ms("HEAD", f"/demo/{sample}/resolve/main/config.json")
                )
            for number in range(count):
                for method in ("HEAD", "GET"):
                    ways.setdefault(f"{kind} {method}", []).append(asking.ms(method, f"{repo}/part-{number:05d}.txt"))
    table = Table(
        f"Cold small files, hub {LATENCY_MS} ms away",
        ("request", "direct p50 ms", "gateway p50 ms", "p99 ms", "added ms"),
    )
    for kind, what in (("first", "HEAD, first of its revision"), ("HEAD", "HEAD, next file"), ("GET", "GET after it")):
        ours, base = ways[f"gateway {kind}"], ways[f"direct {kind}"]
        table.rows.append((what, median(base), median(ours), percentile(ours, 0.99), median(ours) - median(base)))
    table.notes.append("first: resolve, facts and file list, decision, fetch, scan, decision, two disk syncs")
    return [table]


def large(options: Options) -> list[Table]:
    """A torch checkpoint: what is read before the first byte leaves, and the whole, against the hub itself."""
    mib = 64 if options.quick else 2048
    path = f"/bench/torch-{mib}/resolve/main/pytorch_model.bin"
    rounds = 1 if options.quick else 2
    rows: dict[str, list[Download]] = {"direct": [], "gateway": []}
    before: list[tuple[int, int]] = []
    cpu: list[float] = []
    with SimulatorProcess(
        "--latency-ms", str(LATENCY_MS), "--bandwidth-mb-s", str(BANDWIDTH_MB_S), "--large-mib", str(mib)
    ) as hub:
        for _ in range(rounds):
            rows["direct"].append(download(hub.hub_url + path))
            hub.clear()
            with tempfile.TemporaryDirectory(dir=options.directory) as name, Gateway(hub, Path(name) / "state") as own:
                used = own.cpu_s()

                def seen() -> None:
                    requests = hub.requests()
                    before.append((len(requests), sum(int(each["bytes_sent"]) for each in requests)))

                rows["gateway"].append(download(own.url + path, own.headers, seen))
                cpu.append((own.cpu_s() - used) / (mib << 20) * 1e9)
    table = Table(
        f"Cold torch checkpoint of {mib} MiB, hub {LATENCY_MS} ms away at {BANDWIDTH_MB_S} MB/s",
        ("way", "first byte ms", "total s", "total ratio", "requests before", "MB read before", "CPU-s/GB"),
    )
    base = median(each.total_s for each in rows["direct"])
    table.rows.append(
        ("direct", median(each.first_byte_s for each in rows["direct"]) * 1e3, base, "1.00x", "-", "-", "-")
    )
    total = median(each.total_s for each in rows["gateway"])
    first = median(each.first_byte_s for each in rows["gateway"]) * 1e3
    requests, size = (median(each[index] for each in before) for index in (0, 1))
    table.rows.append(("gateway", first, total, f"{total / base:.3f}x", requests, size / 1e6, median(cpu)))
    if any(each.status != 200 for each in rows["gateway"]):
        raise RuntimeError(f"the gateway refused the checkpoint: {rows['gateway']}")
    return [table]


def many(options: Options) -> list[Table]:
    """32 clients ask for one cold file at once: the hub's bytes, and how long the clients wait."""
    mib, clients = (8, 8) if options.quick else (256, 32)
    path = f"/bench/safetensors-{mib}/resolve/main/model.safetensors"
    with (
        tempfile.TemporaryDirectory(dir=options.directory) as name,
        SimulatorProcess(
            "--latency-ms", str(LATENCY_MS), "--bandwidth-mb-s", str(BANDWIDTH_MB_S), "--large-mib", str(mib)
        ) as hub,
        Gateway(hub, Path(name) / "state") as gateway,
    ):
        alone = download(hub.hub_url + path)
        hub.clear()
        done = downloads(gateway.url + path, clients, gateway.headers)
        fetched = sum(int(each["bytes_sent"]) for each in hub.requests() if each["host"] == "cdn")
        peak = gateway.peak_bytes()
    size = done[0].size_bytes
    if {(each.status, each.size_bytes) for each in done} != {(200, alone.size_bytes)}:
        raise RuntimeError(f"not every client got the file: {done}")
    table = Table(
        f"{clients} clients, one cold file of {size / 1e6:.0f} MB",
        ("upstream bytes / size", "p50 first byte ms", "slowest total s", "one client direct s", "peak RSS MiB"),
    )
    first, slowest = median(each.first_byte_s for each in done) * 1e3, max(each.total_s for each in done)
    table.rows.append((f"{fetched / size:.4f}", first, slowest, alone.total_s, peak / 2**20))
    return [table]
