"""The servers that are compared, each a process of its own: the gateway, a bare aiohttp handler, nginx, olah, OPA."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

ROOT = Path(__file__).resolve().parent.parent
# The limits stay on and count every request; they are only too high to be reached.
UNLIMITED = "[limits]\naddress_rate = 1e6\naddress_burst = 1000000\nsubject_rate = 1e6\nsubject_burst = 1000000\n"


@dataclass(frozen=True, slots=True)
class Hub:
    """Where a hub answers, and where its files do."""

    hub_url: str
    cdn_url: str


class Server:
    """A child process that listens. CPU and memory are read from the kernel."""

    url: str
    process: subprocess.Popen[str]

    def cpu_s(self) -> float:
        """User and system seconds of the process and all its children, ended ones included."""
        total = 0.0
        root = psutil.Process(self.process.pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def peak_bytes(self) -> int:
        """The largest resident size that the serving process itself has had (VmHWM of proc(5))."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) * 1024

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Gateway(Server):
    """`gateway serve` before `hub`, with a token of its own, its log in a file: all that is on by default is on."""

    def __init__(self, hub: Any, state: Path, *flags: str, config: str = UNLIMITED) -> None:
        state.mkdir(parents=True, exist_ok=True)
        added = _gateway("token", "add", "bench", "--group", "ml", "--state", str(state), "--json")
        self.token = str(json.loads(added)["token"])
        self.headers = {"Authorization": f"Bearer {self.token}"}
        file = state.parent / f"{state.name}.toml"
        file.write_text(config)
        command = [
            sys.executable, "-m", "gateway", "serve", "--config", str(file), "--listen", "127.0.0.1:0",
            "--upstream", hub.hub_url, "--redirect-host", hub.cdn_url.removeprefix("http://"),
            "--unsafe-allow-private-upstream", "--state", str(state), *flags,
        ]  # fmt: skip
        self.log = state.parent / f"{state.name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        match = re.search(r"serving on (\S+)", self.process.stdout.readline())
        if match is None:
            raise RuntimeError(f"the gateway did not start: {self.log.read_text()[-2000:]}")
        self.url = match[1]


class Bare(Server):
    """aiohttp's Application, router and web.Response on uvloop; `files` maps a path to its headers and body."""

    def __init__(self, files: Mapping[str, tuple[Mapping[str, str], bytes]], directory: Path) -> None:
        listing = directory / "bare.json"
        listing.write_text(json.dumps({path: [dict(h), body.hex()] for path, (h, body) in files.items()}))
        command = [sys.executable, "-m", "benchmarks.bare", str(listing)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()


class Nginx(Server):
    """One nginx worker with sendfile and a buffered access log that serves the folder `root`."""

    def __init__(self, binary: str, root: Path, directory: Path) -> None:
        port = free_port()
        home = directory / "nginx"
        home.mkdir()
        config = home / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        places = " ".join(
            f"{kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config.write_text(
            f"daemon off; {user} worker_processes 1; pid {home}/pid; error_log {home}/error.log;\n"
            f"events {{ worker_connections 1024; }}\n"
            f"http {{ {places} access_log {home}/access.log combined buffer=64k flush=1s; sendfile on; tcp_nopush on;\n"
            f"keepalive_requests 1000000;\n"
            f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
        )
        self.process = subprocess.Popen([binary, "-p", str(home), "-c", str(config)], text=True)
        self.url = f"http://127.0.0.1:{port}"
        wait_for(self.url)


class Opa(Server):
    """`opa run --server`, empty: the gateway pushes its policy."""

    def __init__(self, binary: str) -> None:
        port = free_port()
        self.process = subprocess.Popen(
            [binary, "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error", "--skip-version-check"],
            text=True,
            stderr=subprocess.DEVNULL,
        )
        self.url = f"http://127.0.0.1:{port}"
        wait_for(f"{self.url}/health")


class Olah(Server):
    """olah, a caching mirror without policy, in an environment of its own."""

    def __init__(self, hub: Any, directory: Path) -> None:
        directory.mkdir()
        port = free_port()
        netloc = f"127.0.0.1:{port}"
        with (directory / "out.log").open("w") as log:
            self.process = subprocess.Popen(
                [
                    str(olah_program()), "--host", "127.0.0.1", "--port", str(port),
                    "--hf-scheme", "http", "--hf-netloc", hub.hub_url.removeprefix("http://"),
                    "--hf-lfs-netloc", hub.cdn_url.removeprefix("http://"),
                    "--mirror-scheme", "http", "--mirror-netloc", netloc, "--mirror-lfs-netloc", netloc,
                    "--repos-path", str(directory / "repos"), "--log-path", str(directory / "logs"),
                ],
                text=True, stdout=log, stderr=log, cwd=directory,
            )  # fmt: skip
        self.url = f"http://{netloc}"
        wait_for(self.url)


def olah_program() -> Path | None:
    """The program in its own environment, or None."""
    program = ROOT / ".venvs/bench-olah/bin/olah-cli"
    return program if program.is_file() else None


def opa_binary() -> str | None:
    """`.tools/bin/opa`, the one on PATH, or where `go install` leaves it."""
    places = [ROOT / ".tools/bin/opa", shutil.which("opa"), Path.home() / "go/bin/opa"]
    return next((str(place) for place in places if place and Path(place).is_file()), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, most_s: float = 20.0) -> None:
    """Wait until something answers at `url`, whatever it says. Raises TimeoutError."""
    begin = time.monotonic()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() - begin < most_s:
        try:
            opener.open(url, timeout=1).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except OSError:
            time.sleep(0.02)
            continue
        return
    raise TimeoutError(f"nothing answers at {url}")


def _gateway(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@contextlib.contextmanager
def direct(hub: Any) -> Iterator[Hub]:
    """The hub itself, named like the servers that are compared with it."""
    yield Hub(hub.hub_url, hub.cdn_url)
