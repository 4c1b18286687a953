"""The proxies of the environment, as Python's clients read them: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Proxy:
    """`authorization`: the value of Proxy-Authorization, "" for none; it is never shown."""

    scheme: str
    host: str
    port: int
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_usable(self) -> bool:
        """Only proxies that speak HTTP can be tried without a library."""
        return self.scheme == "http"


def proxy_for(env: Mapping[str, str], scheme: str, host: str, port: int) -> Proxy | None:
    """The proxy that a client would use for this host, or None. One that cannot be read has an empty host."""
    named = _named(env)
    chosen = named.get(scheme) or named.get("all")
    if not chosen or proxy_bypass_environment(f"{host}:{port}", named):
        return None
    return _read(chosen)


def secrets_of(env: Mapping[str, str]) -> set[str]:
    """The passwords in proxy addresses."""
    found = set()
    for url in _named(env).values():
        authority = url.partition("://")[2].partition("/")[0] or url
        if "@" in authority:
            found |= {part for part in authority.rpartition("@")[0].split(":", 1)[1:] if part}
    return found


def _named(env: Mapping[str, str]) -> dict[str, str]:
    """Scheme (and "no") to value; a lower-case name wins."""
    named: dict[str, str] = {}
    for name in sorted(env, key=lambda name: name.islower()):
        if name.lower().endswith("_proxy") and env[name]:
            named[name.lower().removesuffix("_proxy")] = env[name]
    return named


def _read(url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 1080)
    except ValueError:
        return Proxy("", "", 0)
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return Proxy(parts.scheme, parts.hostname or "", port, authorization)
