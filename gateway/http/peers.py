"""Who is at the other end: the peer's address, or what a named trusted proxy says of it; and the client's name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from aiohttp import web

from gateway.domain.errors import ConfigError
from gateway.domain.subject import Client

_PRODUCT = re.compile(r"([A-Za-z0-9_.@-]{1,64})/([A-Za-z0-9_.+-]{1,32})")
_BARE = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_NEXT = re.compile(r"[; ]{1,2}" + _PRODUCT.pattern)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(names: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks of trusted proxies. Raises ConfigError."""
    try:
        return tuple(ipaddress.ip_network(name) for name in names)
    except ValueError as error:
        raise ConfigError(f"server.trusted_proxies: {error}") from None


def address_of(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The client's address. `X-Forwarded-For` counts only from a trusted proxy, and only its last entry."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    address = str(peer[0]) if peer else ""
    if not trusted or not _is_in(address, trusted):
        return address
    forwarded = request.headers.getall("X-Forwarded-For", [])
    last = forwarded[-1].rsplit(",", 1)[-1].strip() if forwarded else ""
    try:
        return str(ipaddress.ip_address(last))
    except ValueError:
        return address


def client_of(user_agent: str) -> Client:
    """The first product of a User-Agent (RFC 9110 §10.1.5): a claim, kept for the record.

    Where that one says no version, the next one that does: huggingface_hub sends `unknown/None; hf_hub/2.4.0; …`, and
    `hf` sends `huggingface-cli/None; hf_hub/…`.
    """
    match = _PRODUCT.match(user_agent)
    if match is None:
        bare = _BARE.fullmatch(user_agent)  # llama.cpp says its name and nothing else
        return Client(bare[0]) if bare is not None else Client()
    named = match
    while named[2] == "None" and (after := _NEXT.match(user_agent, named.end())) is not None:
        named = after
    chosen = match if named[2] == "None" else named
    return Client(chosen[1], chosen[2])


def _is_in(address: str, trusted: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in trusted)
