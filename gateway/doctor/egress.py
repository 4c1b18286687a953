"""Can the public hub still be reached past the gateway? A connection and a TLS handshake per host; never a request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.doctor.checks import Check, fail, ok, unknown, warn
from gateway.doctor.endpoint import Endpoint
from gateway.doctor.probe import Deadline, Unreachable, connected, secured, tunnelled
from gateway.doctor.proxies import Proxy, proxy_for
from gateway.doctor.surroundings import Surroundings
from gateway.doctor.trust import has_authorities, usable_context

TRY_S = 2.0
# hub-protocol §9.4: the hub, its CDN and Xet hosts, the conversion Space, the datasets and inference servers.
HOSTS = (
    "huggingface.co",
    "hf.co",
    "cdn-lfs.huggingface.co",
    "cdn-lfs-us-1.hf.co",
    "us.aws.cdn.hf.co",
    "cas-server.xethub.hf.co",
    "cas-bridge.xethub.hf.co",
    "transfer.xethub.hf.co",
    "datasets-server.huggingface.co",
    "safetensors-convert.hf.space",
    "router.huggingface.co",
)
_BLOCK = "Have it blocked at the network for everyone but the gateway (docs/operations.md lists the hosts)."


@dataclass(frozen=True, slots=True)
class Host:
    name: str
    port: int = 443


def read_host(text: str) -> Host:
    """`HOST`, `HOST:PORT` or `[ADDRESS]:PORT`. Raises ValueError."""
    name, port = text, "443"
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        name, _, port = text.partition(":")
    if not name or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no HOST[:PORT]")
    return Host(name, int(port))


def check_egress(hosts: Sequence[Host], around: Surroundings, endpoint: Endpoint | None) -> list[Check]:
    """One check for each host that can be reached, and one that counts the others. All are tried at once."""
    outcomes: dict[Host, Check | None] = {}
    threads = [
        threading.Thread(target=lambda h=host: outcomes.__setitem__(h, _try(h, around, endpoint)), daemon=True)
        for host in hosts
    ]
    for thread in threads:
        thread.start()
    deadline = Deadline(4 * TRY_S)
    for thread in threads:
        thread.join(deadline.left_s())
    tried = [host for host in hosts if host in outcomes]
    found = [outcome for host in tried if (outcome := outcomes[host]) is not None]
    late = [host for host in hosts if host not in outcomes]
    if late:
        found.append(unknown("egress/tried", f"{_names(late)} could not be tried in time."))
    blocked = [host for host in tried if outcomes[host] is None]
    if blocked:
        found.append(ok("egress/blocked", f"{len(blocked)} of {len(hosts)} hosts of the public hub cannot be reached."))
    return found


def _try(host: Host, around: Surroundings, endpoint: Endpoint | None) -> Check | None:
    """None where the host cannot be reached, straight or by the environment's proxy."""
    proxy = proxy_for(around.env, "https", host.name, host.port)
    seen = [_way(host, around, None)]
    if proxy is not None:
        seen.append(_way(host, around, proxy))
    check = f"egress/{host.name}"
    if via := [way for way, verified in seen if verified == "yes"]:
        return fail(check, f"{host.name} can be reached past the gateway{_by(via)}.", _BLOCK)
    if via := [way for way, verified in seen if verified == "not"]:
        if endpoint is not None and _leads_to(host, endpoint):
            return ok(check, f"{host.name} leads to the gateway here.")
        text = f"Something answers for {host.name}{_by(via)}, with a certificate that is not trusted."
        return warn(check, text, "If that is not your network's filter or the gateway, have it looked at.")
    if via := [way for way, verified in seen if verified == "no"]:
        text = f"{host.name} takes a connection{_by(via)}, but no TLS: a filter by name, most likely."
        return warn(check, text, "Have the address blocked too: a filter by name can be walked around.")
    if proxy is not None and not proxy.is_usable:
        return unknown(check, f"{host.name} cannot be reached straight; the proxy {proxy} cannot be tried here.")
    return None


def _way(host: Host, around: Surroundings, proxy: Proxy | None) -> tuple[str, str]:
    """How it was tried, and whether TLS came about: yes, not (a certificate nobody trusts), no, or "" (unreachable)."""
    name = "straight" if proxy is None else f"through the proxy {proxy}"
    if proxy is not None and not proxy.is_usable:
        return name, ""
    try:
        if proxy is None:
            sock: socket.socket = connected(host.name, host.port, Deadline(TRY_S))
        else:
            sock = tunnelled(proxy, host.name, host.port, Deadline(TRY_S))
    except Unreachable:
        return name, ""
    try:
        secured(sock, host.name, usable_context(around), Deadline(TRY_S)).close()
    except Unreachable as error:
        if error.step != "certificate":
            return name, "no"
        return name, "not" if has_authorities() else "yes"  # who verifies nothing must not take it for a filter
    return name, "yes"


def _leads_to(host: Host, endpoint: Endpoint) -> bool:
    """Does the network's name service answer the gateway's own address for this host?"""
    try:
        theirs = {entry[4][0] for entry in socket.getaddrinfo(host.name, host.port, type=socket.SOCK_STREAM)}
        ours = {entry[4][0] for entry in socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return bool(theirs) and theirs <= ours


def _by(ways: Sequence[str]) -> str:
    return f" ({' and '.join(ways)})" if ways != ["straight"] else ""


def _names(hosts: Sequence[Host]) -> str:
    return ", ".join(host.name for host in hosts)
