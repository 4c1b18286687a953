"""Runs the real gateway as its own process before a simulated hub, and real clients against it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = {"hub-0.36": ROOT / ".venvs/hub-0.36", "hub-1": ROOT / ".venvs/hub-1", "hub-2": ROOT / ".venvs/hub-2"}
MORE_CLIENTS = {name: ROOT / ".venvs" / name for name in ("hub-0.24", "hub-0.30", "hub-1.0", "models")}


class GatewayProcess:
    """`gateway serve` on a free port; `url` once it is ready."""

    def __init__(self, hub, state: Path, *flags: str, env: dict | None = None, config: str = "") -> None:
        self.hub = hub
        self.state = state
        self.flags = list(flags)
        self.env = env or {}
        self.config = config
        self.url = ""
        self.log: list[str] = []
        self.process = None
        self.start()

    def command(self) -> list[str]:
        command = [sys.executable, "-m", "gateway", "serve", "--state", str(self.state)]
        if not any(f == "--listen" for f in self.flags):
            command += ["--listen", "127.0.0.1:0"]
        if self.hub is not None:
            command += [
                "--upstream", self.hub.hub_url,
                "--redirect-host", self.hub.cdn_url.removeprefix("http://"),
                "--unsafe-allow-private-upstream",
            ]  # fmt: skip
        if self.config:
            path = self.state.parent / f"{self.state.name}.toml"
            path.write_text(self.config)
            command += ["--config", str(path)]
        return command + self.flags

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.env},
            start_new_session=True,
        )
        self._drain = threading.Thread(target=self._read_log, daemon=True)
        self._drain.start()
        line = self.process.stdout.readline()
        match = re.search(r"serving on (\S+)", line)
        if match is None:
            self.process.wait(30)
            self._drain.join(10)
            raise AssertionError(f"the gateway did not start: {line!r} {''.join(self.log)[-4000:]}")
        self.url = match[1]

    def _read_log(self) -> None:
        for line in self.process.stderr:
            self.log.append(line)

    def kill(self) -> None:
        """kill -9, the whole process group: nothing gets a last word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self._reap()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(40)
        self._reap()
        return code

    def _reap(self) -> None:
        self.process.wait(10)
        self._drain.join(10)
        self.process.stdout.close()
        self.process.stderr.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def records(self, *filters: str) -> list[dict]:
        """The ledger as `gateway audit list --json` prints it."""
        done = cli("audit", "list", "--state", str(self.state), "--json", "--limit", "100000", *filters)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def verify(self) -> subprocess.CompletedProcess:
        return cli("audit", "verify", "--state", str(self.state))

    def get(self, path: str, method: str = "GET", headers: dict | None = None, data: bytes | None = None) -> "Answer":
        return fetch(self.url + path, method, headers, data)


class Answer:
    def __init__(self, status: int, headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def fetch(url: str, method: str = "GET", headers: dict | None = None, data: bytes | None = None) -> Answer:
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, method=method, headers=headers or {}, data=data)
    try:
        with opener.open(request, timeout=60) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def cli(*arguments: str, env: dict | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
    )


class ClientRun:
    def __init__(self, done: subprocess.CompletedProcess, seconds: float) -> None:
        self.code, self.out, self.err, self.seconds = done.returncode, done.stdout, done.stderr, seconds

    @property
    def text(self) -> str:
        return self.out + self.err


def run_client(
    name: str, url: str, home: Path, script: str | list[str], token: str = "", *, timeout_s: float = 120, **env: str
) -> ClientRun:
    """Run Python code, or the `hf` / another command (list), in a client's own environment, with only HF_ENDPOINT set."""
    venv = (CLIENTS | MORE_CLIENTS)[name]
    program = [str(venv / "bin" / script[0]), *script[1:]] if isinstance(script, list) else [
        str(venv / "bin/python"), "-c", script,
    ]  # fmt: skip
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    clean |= {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **env}
    if token:
        clean["HF_TOKEN"] = token
    started = time.monotonic()
    done = subprocess.run(program, capture_output=True, text=True, timeout=timeout_s, env=clean, check=False)
    return ClientRun(done, time.monotonic() - started)


def curl(*arguments: str) -> subprocess.CompletedProcess:
    assert shutil.which("curl"), "curl is needed"
    return subprocess.run(["curl", "-sS", "--noproxy", "*", *arguments], capture_output=True, timeout=60, check=False)
