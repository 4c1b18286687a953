"""May the gateway listen there? Beyond loopback it needs an identity source, and TLS or a named trusted proxy."""

from __future__ import annotations

import ipaddress
import re
import socket

import structlog

from gateway.domain.errors import ConfigError

_log = structlog.get_logger("exposure")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}")


def split_listen(listen: str) -> tuple[str, int]:
    """Split `HOST:PORT` or `[V6]:PORT` into host and port. Raises ConfigError."""
    host, _, port = listen.rpartition(":")
    number = int(port)
    if number > 65535:
        raise ConfigError(f"server.listen: {number} is not a port")
    return host.strip("[]"), number


def is_loopback(host: str) -> bool:
    """Is the host name or address on this machine only?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_url(url: str, host: str) -> str:
    """What links begin with where `server.public_url` is not set: `url`, at which the gateway listens.

    An address that stands for every address of the machine leads nowhere from another one: then it is the machine's
    name, said loudly, since nobody can know whether developers find it there. `Host` is never asked: anybody sets it.
    """
    try:
        is_wildcard = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return url
    machine = socket.gethostname()
    if not is_wildcard or _HOST.fullmatch(machine) is None:
        return url
    own = url.replace(f"[{host}]" if ":" in host else host, machine, 1)
    _log.warning("exposure.own-links", links=own, setting="server.public_url is the address that developers use")
    return own


def check_exposure(
    host: str, *, has_identity: bool, has_tls: bool, has_trusted_proxy: bool, unsafe_allow_exposed: bool
) -> None:
    """Raises ConfigError where the gateway would be open to a network; logs loudly where that is overridden."""
    if is_loopback(host):
        return
    missing = []
    if not has_identity:
        missing.append("an identity source (`gateway token add`, or identity.jwt)")
    if not has_tls and not has_trusted_proxy:
        missing.append("TLS (--tls-cert and --tls-key) or a named trusted proxy (server.trusted_proxies)")
    if not missing:
        return
    if unsafe_allow_exposed:
        _log.warning("exposure.unsafe", host=host, missing=missing, switch="unsafe_allow_exposed")
        return
    raise ConfigError(
        f"listening on {host} needs {' and '.join(missing)}; or listen on 127.0.0.1, "
        "or accept the risk with server.unsafe_allow_exposed"
    )
