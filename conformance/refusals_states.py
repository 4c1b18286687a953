"""The gateways of the refusal matrix: one for each state that a user can meet, over http and over https.

Every state has its own process and its own state directory; `url(state, scheme)` is where it answers.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import trustme

from conformance import refusals_world as repos
from conformance.client import on_path
from gateway.simulator.thread import SimulatorThread

SCHEMES = ("http", "https")
BEFORE, NOW, CLOSED, DOWN, ENGINE = "before", "now", "closed", "down", "engine"
STATES = (BEFORE, NOW, CLOSED, DOWN, ENGINE)
_CONFIG = "[limits]\naddress_rate = 0\nsubject_rate = 0\n"


class GatewayProcess:
    """One `gateway serve`; `log` holds its lines. Raises RuntimeError where it does not start."""

    def __init__(self, root: Path, name: str, flags: list[str], config: str) -> None:
        self.state = root / name
        file = root / f"{name}.toml"
        file.write_text(config)
        command = [sys.executable, "-m", "gateway", "serve", "--state", str(self.state), "--listen", "127.0.0.1:0"]
        self.log: list[str] = []
        self.process = subprocess.Popen(
            [*command, "--config", str(file), *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "GATEWAY_UPSTREAM_TOKEN": repos.HUB_TOKEN},
        )  # fmt: skip
        self._drain = threading.Thread(target=self._read_log, daemon=True)
        self._drain.start()
        self.url = ""

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = re.search(r"serving on (\S+)", line)
        if match is None:
            self.stop()
            raise RuntimeError(f"the gateway did not start: {line!r} {''.join(self.log)[-2000:]}")
        self.url = match[1]

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)
        self._drain.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class OpaServer:
    """`opa run --server` on a free port. Raises RuntimeError where it does not answer."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        command = [str(on_path("opa")), "run", "--server", "--addr", self.address, "--log-level", "error"]
        self.process = subprocess.Popen(
            [*command, "--skip-version-check"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._answers, "the OPA server answers")

    def _answers(self) -> bool:
        try:
            return ask(f"http://{self.address}/health") == 200
        except OSError:
            return False

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class States:
    """`with States(root, slots) as states`: everything runs; without `opa` there is no state ENGINE."""

    def __init__(self, root: Path, slots: int) -> None:
        self.root = root
        self.world = repos.build(slots)
        self.hub = SimulatorThread(self.world)
        self.has_engine_state = on_path("opa") is not None
        self.tokens: dict[tuple[str, str], dict[str, str]] = {}
        self.gateways: dict[tuple[str, str], GatewayProcess] = {}
        self.authority = root / "ca.pem"
        self._opa: OpaServer | None = None

    def url(self, state: str, scheme: str) -> str:
        return self.gateways[state, scheme].url

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        self._certificates()
        self.hub.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for gateway in self.gateways.values():
            gateway.stop()
        if self._opa is not None:
            self._opa.stop()
        self.hub.faults.clear()
        self.hub.__exit__(None, None, None)

    def _certificates(self) -> None:
        authority = trustme.CA()
        made = authority.issue_cert("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(self.authority)
        made.private_key_pem.write_to_path(self.root / "key.pem")
        for blob in made.cert_chain_pems:
            blob.write_to_path(self.root / "cert.pem", append=True)

    def _start(self) -> None:
        overlays = {BEFORE: repos.overlay_before()}
        if self.has_engine_state:
            self._opa = OpaServer()
        now = repos.overlay_now(self.world)
        self._serve_what_is_recalled()
        wanted = [state for state in STATES if state != ENGINE or self.has_engine_state]
        for state in wanted:
            overlay = self.root / f"{state}.json"
            overlay.write_text(json.dumps(overlays.get(state, now)))
            for scheme in SCHEMES:
                self._launch(state, scheme, overlay)
        for gateway in self.gateways.values():
            gateway.wait_ready()
        if self._opa is not None:
            for scheme in SCHEMES:  # what it knows before its engine goes: the revision, and another file of it
                for prefix in ("", "datasets/"):
                    url = f"{self.url(ENGINE, scheme)}/{prefix}{repos.NAMESPACE}/known/resolve/main/README.md"
                    if ask(url, self.authority) != 200:
                        raise RuntimeError(f"{url} was not served")
            self._opa.stop()

    def _serve_what_is_recalled(self) -> None:
        """The gateway of NOW has served what it refuses later: it is started again with other data on the same state."""
        overlay = self.root / "earlier.json"
        overlay.write_text(json.dumps(repos.overlay_before()))
        for scheme in SCHEMES:
            self._launch(NOW, scheme, overlay)
        for scheme in SCHEMES:
            gateway = self.gateways.pop((NOW, scheme))
            gateway.wait_ready()
            try:
                for path in ("", "datasets/"):
                    name = f"{path}{repos.NAMESPACE}/recalled"
                    for file in self.world[name].main.files:
                        url = f"{gateway.url}/{name}/resolve/main/{file}"
                        if not file.endswith(".onnx") and ask(url, self.authority) != 200:
                            raise RuntimeError(f"{url} was not served")
            finally:
                gateway.stop()

    def _launch(self, state: str, scheme: str, overlay: Path) -> None:
        name = f"{state}-{scheme}"
        config = _CONFIG
        if state == CLOSED:
            config += '[identity]\nanonymous = "off"\n'
        if state == ENGINE and self._opa is not None:
            config += f'[policy]\nengine = "opa"\nopa_url = "http://{self._opa.address}"\ndeadline_s = 10.0\n'
        hub = "http://127.0.0.1:9" if state == DOWN else self.hub.hub_url
        flags = [
            "--policy-data", str(overlay), "--upstream", hub, "--redirect-host", self.hub.cdn_url.removeprefix("http://"),
            "--unsafe-allow-private-upstream", "--profile", "permissive" if state == BEFORE else "balanced",
        ]  # fmt: skip
        if scheme == "https":
            flags += ["--tls-cert", str(self.root / "cert.pem"), "--tls-key", str(self.root / "key.pem")]
        if (state, scheme) not in self.tokens:
            self.tokens[state, scheme] = {
                "reader": _token(self.root / name, "alice", "--group", "readers"), "stranger": _token(self.root / name, "bob")
            }  # fmt: skip
        self.gateways[state, scheme] = GatewayProcess(self.root, name, flags, config)


def _token(state: Path, name: str, *flags: str) -> str:
    command = [sys.executable, "-m", "gateway", "token", "add", name, *flags, "--state", str(state), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["token"])


def ask(url: str, authority: Path | None = None) -> int:
    """The status of a GET past all proxies."""
    import ssl

    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    handlers: list[Any] = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for another process. Raises RuntimeError after `seconds`."""
    until, pause = time.monotonic() + seconds, threading.Event()
    while not is_so():
        if time.monotonic() > until:
            raise RuntimeError(f"after {seconds:.0f} s it is not so that {what}")
        pause.wait(0.05)
