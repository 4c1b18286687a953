"""The simulated hub with the test repos, and the gateway before it, each on free ports of loopback."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from conformance.plan import Repos, repos_of
from conformance.world import HUB_TOKEN, conformance_world
from gateway.simulator import SimulatorThread

# The limits stay on and count every request; they are only too high to be reached by several clients at once.
CONFIG = "[limits]\naddress_rate = 1e6\naddress_burst = 1000000\nsubject_rate = 1e6\nsubject_burst = 1000000\n"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where clients are sent: `kind` is "gateway" or "direct". `authority`: the file of the CA that vouches for it."""

    kind: str
    url: str
    token: str
    repos: Repos
    has_no_cas: bool = False
    via: str = ""
    authority: str = ""


@contextlib.contextmanager
def endpoints(folder: Path) -> Iterator[list[Endpoint]]:
    """The gateway; the hub behind it directly; and a gateway that speaks https, its address with a path."""
    with contextlib.ExitStack() as stack:
        hub = stack.enter_context(SimulatorThread(conformance_world()))
        repos = repos_of(hub.world)
        url, token = stack.enter_context(gateway(hub.hub_url, hub.cdn_url, folder / "plain"))
        secure, authority = f"https://127.0.0.1:{_free_port()}/hub", _certificates(folder)
        flags = [
            "--listen", secure.split("/")[2], "--public-url", secure,
            "--tls-cert", str(folder / "chain.pem"), "--tls-key", str(folder / "key.pem"),
        ]  # fmt: skip
        _, secure_token = stack.enter_context(gateway(hub.hub_url, hub.cdn_url, folder / "secure", *flags))
        # The simulated hub offers Xet files but has no CAS server, so clients with hf_xet are told to stay on HTTP there.
        yield [
            Endpoint("gateway", url, token, repos),
            Endpoint("direct", hub.hub_url, HUB_TOKEN, repos, has_no_cas=True),
            Endpoint("gateway", secure, secure_token, repos, via="tls-path", authority=str(authority)),
        ]


def _certificates(folder: Path) -> Path:
    """A key and a certificate for loopback in `folder`; the file of the authority that signed it."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for part in certificate.cert_chain_pems:
        part.write_to_path(folder / "chain.pem", append=True)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return folder / "authority.pem"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def gateway(hub_url: str, cdn_url: str, folder: Path, *flags: str) -> Iterator[tuple[str, str]]:
    """`gateway serve` before a hub, with a state of its own in `folder`: its URL, and a token.

    Raises RuntimeError where it does not start.
    """
    state = folder / "state"
    folder.mkdir(exist_ok=True)
    (folder / "gateway.toml").write_text(CONFIG)
    added = subprocess.run(
        [sys.executable, "-m", "gateway", "token", "add", "conformance", "--group", "ml", "--state", str(state), "--json"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    command = [
        sys.executable, "-m", "gateway", "serve", "--config", str(folder / "gateway.toml"), *_listen(flags),
        "--upstream", hub_url, "--redirect-host", cdn_url.partition("://")[2], "--unsafe-allow-private-upstream",
        "--state", str(state), *flags,
    ]  # fmt: skip
    with (folder / "gateway.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        match = re.search(r"serving on (\S+)", process.stdout.readline())
        if match is None:
            raise RuntimeError(f"the gateway did not start: {(folder / 'gateway.log').read_text()[-2000:]}")
        yield match[1], json.loads(added.stdout)["token"]
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def _listen(flags: tuple[str, ...]) -> tuple[str, ...]:
    return () if "--listen" in flags else ("--listen", "127.0.0.1:0")


def serve_upstream(port: int, cdn_port: int) -> None:
    """Serve the test repos until interrupted; prints one JSON line with the addresses and the roles."""
    world = conformance_world()
    with SimulatorThread(world, port=port, cdn_port=cdn_port) as hub, contextlib.suppress(KeyboardInterrupt):
        line = {
            "hub_url": hub.hub_url,
            "cdn_url": hub.cdn_url,
            "repos": {k: v["id"] for k, v in repos_of(world).items()},
        }
        print(json.dumps(line), flush=True)
        threading.Event().wait()
