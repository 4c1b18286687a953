"""From the start of `hf download` of a refused file to its exit, against the hub's own refusal."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.report import NotRun, Options, Table
from benchmarks.servers import ROOT, Gateway
from gateway.simulator.process import SimulatorProcess

HF = ROOT / ".venvs/hub-2/bin/hf"


def run(options: Options) -> list[Table]:
    if not HF.is_file():
        raise NotRun("the client environment is not here: `make test` or `make .venvs/hub-2.stamp` builds it")
    turns = 1 if options.quick else options.rounds
    ways: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=options.directory) as name, SimulatorProcess() as hub:
        for turn in range(turns):
            home = Path(name) / str(turn)
            with Gateway(hub, home / "state") as gateway:
                asked = (
                    ("hf version (start of the program)", hub.hub_url, "", ["version"]),
                    ("no such repo, from the hub itself", hub.hub_url, "", ["download", "demo/nothing"]),
                    ("hostile pickle, first time", gateway.url, gateway.token, _FILE),
                    ("hostile pickle, again", gateway.url, gateway.token, _FILE),
                    ("whole repo with a hostile pickle", gateway.url, gateway.token, ["download", "demo/evil-pickle"]),
                )
                for what, url, token, arguments in asked:
                    ways.setdefault(what, []).append(_seconds(url, token, home, arguments))
    table = Table("Denial to exit of `hf download` (huggingface_hub 2)", ("what", "median s", "slowest s"))
    table.rows += [(what, median(seconds), max(seconds)) for what, seconds in ways.items()]
    return [table]


_FILE = ["download", "demo/evil-pickle", "pytorch_model.bin"]


def _seconds(url: str, token: str, home: Path, arguments: list[str]) -> float:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    clean |= {"HF_ENDPOINT": url, "HF_HOME": str(home / "hf")} | ({"HF_TOKEN": token} if token else {})
    begin = time.perf_counter()
    done = subprocess.run([str(HF), *arguments], env=clean, capture_output=True, text=True, timeout=120, check=False)
    seconds = time.perf_counter() - begin
    if (done.returncode == 0) != (arguments == ["version"]):
        raise RuntimeError(f"hf {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}")
    return seconds
