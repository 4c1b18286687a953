"""Which network addresses and hosts the upstream may speak to (promise P6)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.domain.errors import UpstreamUnavailable
from gateway.hubs.huggingface.config import UpstreamConfig

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(OSError):
    """A name resolved to an address that the upstream may not speak to."""


def address_is_allowed(text: str, *, allow_private: bool) -> bool:
    """Public addresses always; private, shared and loopback ones only with `allow_private`; others never."""
    try:
        address = _embedded(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    if address.is_loopback:
        return allow_private
    if address.is_multicast or address.is_unspecified or address.is_link_local or address.is_reserved:
        return False
    return address.is_global or allow_private


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class GuardedResolver(AbstractResolver):
    """Checks every address after DNS, at connection time: a name that changes its mind finds no gap."""

    def __init__(self, inner: AbstractResolver, *, allow_private: bool) -> None:
        self._inner = inner
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises AddressRefused where any of them is refused: a mixed answer is an attack."""
        found = await self._inner.resolve(host, port, family)
        if not found or not all(address_is_allowed(r["host"], allow_private=self._allow_private) for r in found):
            raise AddressRefused(f"{host} resolves to an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()


class HostGuard:
    """Decides per URL, before a connection: scheme, host allow-list, literal addresses."""

    def __init__(self, config: UpstreamConfig) -> None:
        self._origin = config.origin
        self._allow_private = config.allow_private
        self._exact, self._domains = _patterns(config.redirect_hosts)

    def is_own(self, url: URL) -> bool:
        """Is this the endpoint's own origin (scheme, host and port)?"""
        return url.origin() == self._origin

    def check(self, url: URL, *, own_only: bool) -> None:
        """Raises UpstreamUnavailable (`upstream/redirect-refused`, `upstream/address-refused`)."""
        if url.scheme not in ("http", "https") or not url.host or url.user is not None or url.password is not None:
            raise _refused("The hub redirected to something that is no plain http(s) URL.")
        if not self.is_own(url):
            if own_only or not self._is_listed(url):
                raise _refused(f"The hub redirected to {url.host[:100]}, which is not on the list of redirect hosts.")
            if url.scheme == "http" and self._origin.scheme == "https":
                raise _refused(f"The hub redirected to {url.host[:100]} without TLS.")
        if _is_address(url.host) and not address_is_allowed(url.host, allow_private=self._allow_private):
            raise UpstreamUnavailable(
                f"The upstream address {url.host[:100]} is not public (upstream.unsafe_allow_private_upstream).",
                code="upstream/address-refused",
            )

    def _is_listed(self, url: URL) -> bool:
        host, default = str(url.host).lower().rstrip("."), 443 if url.scheme == "https" else 80
        if (host, url.port) in self._exact or (url.port == default and (host, None) in self._exact):
            return True
        return url.port == default and any(host.endswith(domain) for domain in self._domains)


def _patterns(hosts: Iterable[str]) -> tuple[frozenset[tuple[str, int | None]], tuple[str, ...]]:
    exact: set[tuple[str, int | None]] = set()
    domains = []
    for pattern in hosts:
        if pattern.startswith("*."):
            domains.append(pattern[1:].lower())
            continue
        url = URL(f"//{pattern.lower()}")
        exact.add((url.host or pattern.lower(), url.explicit_port))
    return frozenset(exact), tuple(domains)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _refused(message: str) -> UpstreamUnavailable:
    return UpstreamUnavailable(message, code="upstream/redirect-refused")
