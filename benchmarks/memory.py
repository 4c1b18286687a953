"""Peak memory (RSS) of the serving process after one cold and one hot GET: a 4 GiB file against small ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.load import download
from benchmarks.report import Options, Table
from benchmarks.servers import Gateway
from gateway.simulator.process import SimulatorProcess


def run(options: Options) -> list[Table]:
    sizes = (64, 128) if options.quick else (64, 4096)
    repos = ("demo/good-safetensors", *(f"bench/safetensors-{mib}" for mib in sizes))
    table = Table("Peak memory of the serving process", ("file", "size MiB", "peak RSS MiB"))
    peaks = []
    with SimulatorProcess(*(part for mib in sizes for part in ("--large-mib", str(mib)))) as hub:
        for repo in repos:
            with (
                tempfile.TemporaryDirectory(dir=options.directory) as name,
                Gateway(hub, Path(name) / "state") as gateway,
            ):
                url = f"{gateway.url}/{repo}/resolve/main/model.safetensors"
                done = [download(url, gateway.headers) for _ in ("cold", "hot")]
                peaks.append(gateway.peak_bytes() / 2**20)
            table.rows.append((repo, done[0].size_bytes / 2**20, peaks[-1]))
    table.notes.append(f"the largest file takes {peaks[-1] - peaks[0]:.1f} MiB more than the smallest")
    return [table]
