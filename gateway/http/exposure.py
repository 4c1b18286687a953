"""May the gateway listen there? Beyond loopback it needs an identity source, and TLS or a named trusted proxy."""

from __future__ import annotations

import ipaddress

import structlog

from gateway.domain.errors import ConfigError

_log = structlog.get_logger("exposure")


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
