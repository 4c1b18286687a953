"""Runs clients against endpoints: one driver process per pair, two at a time, and turns their lines into cells."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.cells import FAIL, NOT_RUN, PASS, Cell, normalised
from conformance.client import Client
from conformance.expected import explained
from conformance.features import FEATURES
from conformance.servers import Endpoint

AT_ONCE = 2
_LAST_WORDS = 600
# What would send a client elsewhere, or change what it does.
_UNWANTED = ("HF_", "HUGGING", "TRANSFORMERS_", "PYTHON", "VIRTUAL_ENV", "CONFORMANCE", "GIT_", "CI")


@dataclass(slots=True)
class Outcome:
    """What one client did against one endpoint."""

    client: Client
    endpoint: Endpoint
    version: str = ""
    cells: dict[str, Cell] = field(default_factory=dict)


def run_all(
    clients: Iterable[Client], endpoints: Iterable[Endpoint], only: Iterable[str], tell: Callable[[Outcome], None]
) -> list[Outcome]:
    """Every client against every endpoint; `tell` hears of each outcome as it comes. In the order of the clients."""
    places = list(endpoints)
    pairs = [(client, place) for client in clients for place in places if client.via == place.via]
    wanted = set(only)

    def one(pair: tuple[Client, Endpoint]) -> Outcome:
        outcome = run_client(*pair, wanted)
        tell(outcome)
        return outcome

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, pairs))


def run_client(client: Client, endpoint: Endpoint, only: Iterable[str] = ()) -> Outcome:
    """Run the features of one client (all, or those of `only`) against one endpoint, in a folder of its own."""
    outcome = Outcome(client, endpoint)
    missing = client.missing()
    asked = []
    for name in client.features:
        feature = FEATURES[name]
        given = set(endpoint.repos) | ({"token"} if endpoint.token else set())
        lost = [role for role in feature.needs if role not in given]
        if (only and name not in only) or (feature.gateway_only and endpoint.kind == "direct"):
            continue
        if missing or lost:
            outcome.cells[name] = Cell(NOT_RUN, missing or f"not given: {', '.join(lost)}")
        else:
            asked.append(name)
    if asked:
        folder = Path(tempfile.mkdtemp(prefix=f"conformance-{client.name}-"))
        try:
            _drive(outcome, asked, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _drive(outcome: Outcome, asked: list[str], folder: Path) -> None:
    client, endpoint = outcome.client, outcome.endpoint
    scratch = folder / "scratch"
    scratch.mkdir()
    plan = {
        "client": client.name, "endpoint": endpoint.url, "kind": endpoint.kind, "token": endpoint.token,
        "repos": endpoint.repos, "features": asked, "scratch": str(scratch),
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    said, words = _run(client, _environment(client, endpoint, folder), folder)
    names = {
        endpoint.url: "<endpoint>",
        str(folder): "<folder>",
        str(Path.home()): "<home>",
        str(client.python.parent.parent): "<venv>",
    }
    for line in said:
        if "version" in line:
            outcome.version = str(line["version"])
        elif line.get("feature") in asked:
            detail = normalised(str(line.get("detail", "")), names)
            cell = Cell(PASS, detail) if line.get("ok") else Cell(FAIL, detail or "failed without a word")
            outcome.cells[line["feature"]] = explained(cell, client.name, line["feature"], endpoint.kind)
    for name in asked:
        if name not in outcome.cells:
            outcome.cells[name] = Cell(FAIL, normalised(f"the driver ended before it: {words}", names))


def _environment(client: Client, endpoint: Endpoint, folder: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(_UNWANTED) and "proxy" not in k.lower()}
    clean |= {
        "HOME": str(folder), "HF_HOME": str(folder / "hf"), "HF_ENDPOINT": endpoint.url, "TMPDIR": str(folder / "scratch"),
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "DISABLE_SAFETENSORS_CONVERSION": "1",
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "CONFORMANCE_PLAN": str(folder / "plan.json"),
        "COLUMNS": "200", "NO_COLOR": "1", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    if endpoint.token:
        clean["HF_TOKEN"] = endpoint.token
    if endpoint.has_no_cas:
        clean["HF_HUB_DISABLE_XET"] = "1"
    if endpoint.authority:
        names = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        clean |= dict.fromkeys(names, endpoint.authority)
    if client.also:
        clean["CONFORMANCE_ALSO"] = str(
            next((client.python.parents[2] / client.also / "lib").glob("python3*/site-packages"))
        )
    return clean | client.env


def _run(client: Client, environment: dict[str, str], folder: Path) -> tuple[list[dict[str, Any]], str]:
    """The JSON lines of the driver, and its last words with how it ended."""
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        process = subprocess.Popen(
            client.command(sys.executable), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, cwd=folder / "scratch",
            start_new_session=True,
        )  # fmt: skip
        try:
            ended = f"exit code {process.wait(client.limit_s)}"
        except subprocess.TimeoutExpired:
            ended = f"ended after {client.limit_s:.0f} s"
        finally:
            _end_group(process)
        out.seek(0)
        err.seek(0)
        written, complaints = out.read(), err.read()
    if os.environ.get("CONFORMANCE_SHOW"):
        sys.stderr.write(complaints)
    said = []
    for line in written.splitlines():
        if line.startswith("{"):
            try:
                said.append(json.loads(line))
            except ValueError:
                continue
    return said, f"{ended}; {complaints[-_LAST_WORDS:]}"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the driver and whatever it started and left behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(30)
