"""A client under way: a driver that stays up and is asked line by line, or a program that is started each time."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Protocol

from conformance.client import DRIVERS, ROOT
from conformance.refusals_clients import Asker

Ask = dict[str, Any]
Answer = dict[str, Any]
LONGEST_S = 200.0
_UNWANTED = ("HF_", "HUGGING", "TRANSFORMERS_", "PYTHON", "VIRTUAL_ENV", "CONFORMANCE", "GIT_", "CI")


class Asking(Protocol):
    """What the runner needs of a client."""

    def ask(self, ask: Ask) -> Answer: ...

    def end(self) -> None: ...


def begin(asker: Asker, endpoint: str, home: Path, authority: Path) -> Asking:
    """Start a client that is pointed at `endpoint` and trusts `authority` (PEM)."""
    home.mkdir(parents=True)
    env = environment(endpoint, home, authority) | asker.env
    if asker.also:
        env["CONFORMANCE_ALSO"] = str(next((ROOT / f".venvs/{asker.also}/lib").glob("python3*/site-packages")))
    if asker.kind == "python":
        return Driver([str(ROOT / f".venvs/{asker.venv}/bin/python"), str(DRIVERS / "refusals.py")], env, home)
    if asker.kind == "node":
        return Driver(["node", str(ROOT / "conformance/node/refusals.mjs"), asker.venv], env, home)
    return Program(asker.name, endpoint, env, authority)


def environment(endpoint: str, home: Path, authority: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(_UNWANTED) and "proxy" not in k.lower()}
    trust = dict.fromkeys(
        ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), str(authority)
    )
    return clean | trust | {
        "HOME": str(home), "HF_HOME": str(home / "hf"), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1", "DISABLE_SAFETENSORS_CONVERSION": "1", "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "20000", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSL_CAINFO": str(authority), "NO_PROXY": "*",
    }  # fmt: skip


class Driver:
    """One line of JSON there, one line back. A driver that is silent for too long, or gone, is an answer too."""

    def __init__(self, command: list[str], env: dict[str, str], home: Path) -> None:
        self._said = (home / "driver.log").open("w")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, env=env, cwd=home, text=True,
            start_new_session=True,
        )  # fmt: skip

    def ask(self, ask: Ask) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(ask) + "\n")
            self._process.stdin.flush()
        except OSError:
            return failed("the driver is gone")
        ready, _, _ = select.select([self._process.stdout], [], [], LONGEST_S)
        if not ready:
            self._kill()
            return failed(f"no answer within {LONGEST_S:.0f} s")
        line = self._process.stdout.readline()
        found: Answer = json.loads(line) if line else failed("the driver ended")
        return found

    def end(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._kill()
        self._said.close()

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(30)


def failed(why: str) -> Answer:
    return {"ok": False, "top": f"DRIVER: {why}", "chain": "", "seconds": 0.0, "files": []}


class Program:
    """curl, wget, aria2c, git and git-lfs, as a person calls them. What they print is what the user reads."""

    def __init__(self, name: str, endpoint: str, env: dict[str, str], authority: Path) -> None:
        self._name, self._endpoint, self._env, self._authority = name, endpoint, env, authority

    def end(self) -> None:
        pass

    def ask(self, ask: Ask) -> Answer:
        folder = Path(ask["cache"])
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / Path(ask["path"]).name
        if ask.get("resume") and target.exists():
            os.truncate(target, target.stat().st_size // 2)
        before = target.stat().st_size if target.exists() else -1
        started = time.monotonic()
        done = subprocess.run(
            self._command(ask, folder, target), capture_output=True, text=True, errors="replace",
            env={**self._env, "LFS_POINTER": ask.get("pointer", "")},
            timeout=LONGEST_S, check=False, cwd=folder,
        )  # fmt: skip
        seconds = time.monotonic() - started
        printed = done.stderr + done.stdout
        names = [target.name] if target.exists() and target.stat().st_size > before and done.returncode == 0 else []
        return {
            "ok": done.returncode == 0, "top": "" if done.returncode == 0 else printed, "chain": printed,
            "seconds": round(seconds, 2), "files": names, "code": done.returncode,
        }  # fmt: skip

    def _command(self, ask: Ask, folder: Path, target: Path) -> list[str]:
        url = f"{self._endpoint}/{ask['repo']}/resolve/main/{ask['path']}"
        header = f"Authorization: Bearer {ask['token']}" if ask.get("token") else ""
        ca = str(self._authority)
        if self._name == "curl":
            auth = ["-H", header] if header else []
            if ask["op"] == "shown":
                return ["curl", "-sSL", "--fail-with-body", "--cacert", ca, *auth, url]
            return ["curl", "-fsSL", "--cacert", ca, *auth, "-C", "-", "-o", str(target), url]
        auth = [f"--header={header}"] if header else []
        if self._name == "wget":
            common = ["wget", "-nv", "--tries=1", f"--ca-certificate={ca}", *auth]
            return [*common, "--content-on-error", "-O", "-", url] if ask["op"] == "shown" else [*common, "-c", url]
        if self._name == "aria2c":
            quiet = [
                "--console-log-level=error",
                "--summary-interval=0",
                "--max-tries=1",
                "--show-console-readout=false",
                "--download-result=hide",
            ]
            place = ["-d", str(folder), "-o", target.name]
            return ["aria2c", *quiet, "-c", "-x16", "-s16", f"--ca-certificate={ca}", *auth, *place, url]
        return [
            "sh",
            "-c",
            _GIT_LFS if self._name == "git-lfs" else _GIT,
            "sh",
            self._endpoint,
            ask["repo"],
            ask["path"],
            header,
        ]


_GIT = 'git ${4:+-c "http.extraHeader=$4"} clone -q "$1/$2" cloned'
# A checkout with a pointer, whose bytes git-lfs is to get: what a clone from elsewhere would have left.
_GIT_LFS = """set -e
git init -q -b main .
printf '*.safetensors filter=lfs -text\\n*.bin filter=lfs -text\\n' >.gitattributes
printf '%s' "$LFS_POINTER" >"$3"
git add .
git -c user.name=c -c user.email=c@example.org commit -q -m pointers
git lfs install --local >/dev/null
git config lfs.url "$1/$2.git/info/lfs"
git config lfs.transfer.maxretries 1
git remote add origin "$1/$2"
[ -z "$4" ] || git config "http.$1/.extraHeader" "$4"
exec git lfs pull"""


def plain(text: str) -> str:
    """Without the colours of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
