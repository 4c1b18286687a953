"""The public keys of a token issuer: a JWK set (RFC 7517) from a file or an https address. No symmetric ones."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from gateway.clock import Clock
from gateway.domain.errors import ConfigError, StoreError

MAX_JWKS_BYTES = 512 * 1024
MAX_KEYS = 128
FETCH_TIMEOUT_S = 5.0
MIN_RSA_BITS = 2048

# Which algorithms a key of a type may verify (RFC 7518 §3.1, RFC 8037): no key is ever read as another kind.
ALGORITHMS_OF: Mapping[str, frozenset[str]] = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC": frozenset({"ES256", "ES384", "ES512"}),
    "OKP": frozenset({"EdDSA"}),
}
_CURVE_OF = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


@dataclass(frozen=True, slots=True)
class Key:
    """One verification key and the algorithms it may be used with."""

    kid: str
    algorithms: frozenset[str]
    key: PyJWK


class KeySource:
    """The keys by kid. A file is read once, at start; an address is fetched when asked, remembered, and refreshed.

    An unknown kid causes a new fetch, at most each `min_refetch_s`. A fetch that fails leaves the old keys good until
    they are `max_stale_s` old. Raises ConfigError at once for a bad file or address.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        file: Path | None = None,
        url: str = "",
        session: aiohttp.ClientSession | None = None,
        min_refetch_s: float = 30.0,
        max_age_s: float = 3600.0,
        max_stale_s: float = 86400.0,
    ) -> None:
        if (file is None) == (not url):
            raise ConfigError("a token issuer's keys come from a file or from an address: name one")
        self._clock = clock
        self._url = url
        self._session = session
        self._min_refetch_s = min_refetch_s
        self._max_age_s = max_age_s
        self._max_stale_s = max_stale_s
        self._lock = asyncio.Lock()
        self._keys: dict[str, Key] = {}
        self._tried_at_s = self._fetched_at_s = float("-inf")
        if file is not None:
            self._keys = _keys_of_file(file)
        else:
            _check_url(url)
            if session is None:
                raise ConfigError("fetching a token issuer's keys needs a client session")

    async def find(self, kid: str) -> Key | None:
        """The key named `kid` ("" where the token names none: then only a lone key fits), or None.

        Raises StoreError while no usable keys can be had: our outage, not the caller's fault.
        """
        if not self._url:
            return self._pick(kid)
        age_s = self._now_s() - self._fetched_at_s
        if self._pick(kid) is None or not 0 <= age_s < self._max_age_s:
            await self._refresh(kid)
        if not 0 <= self._now_s() - self._fetched_at_s < self._max_stale_s:
            raise StoreError(
                "the keys of the token issuer cannot be fetched now; ask again later", code="identity/unavailable"
            )
        return self._pick(kid)

    def _pick(self, kid: str) -> Key | None:
        if kid:
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    async def _refresh(self, kid: str) -> None:
        async with self._lock:
            now_s = self._now_s()
            if 0 <= now_s - self._tried_at_s < self._min_refetch_s:
                return
            fresh = 0 <= now_s - self._fetched_at_s < self._max_age_s
            if fresh and self._pick(kid) is not None:
                return  # another caller fetched while this one waited
            self._tried_at_s = now_s
            try:
                self._keys = parse_keys(await self._fetch())
                self._fetched_at_s = now_s
            except (aiohttp.ClientError, TimeoutError, ValueError):
                return  # find() judges by the age of what is left

    async def _fetch(self) -> bytes:
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with self._session.get(
            self._url, timeout=timeout, allow_redirects=False, headers={"Accept": "application/json"}
        ) as answer:
            if answer.status != 200:
                raise ValueError("the key address did not answer 200")
            raw = bytearray()
            async for chunk in answer.content.iter_any():
                raw += chunk
                if len(raw) > MAX_JWKS_BYTES:
                    break  # refused by the parser
            return bytes(raw)


def parse_keys(raw: bytes) -> dict[str, Key]:
    """The usable signature keys of a JWK set, by kid ("" for the one without). Raises ValueError."""
    if len(raw) > MAX_JWKS_BYTES:
        raise ValueError("the key set is too large")
    document = orjson.loads(raw)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError("not a JWK set of at most 128 keys")
    keys: dict[str, Key] = {}
    for entry in entries:
        key = _key(entry)
        if key is not None:
            if key.kid in keys:
                raise ValueError("two keys have one kid")
            keys[key.kid] = key
    if not keys:
        raise ValueError("the JWK set holds no usable public key")
    return keys


def _key(entry: Any) -> Key | None:
    """One key; None for what must not verify tokens: symmetric, for encryption, too short, of an unknown kind."""
    if not isinstance(entry, dict):
        return None
    kind, kid = entry.get("kty"), entry.get("kid", "")
    if not isinstance(kind, str) or not isinstance(kid, str) or entry.get("use", "sig") != "sig":
        return None
    algorithms = frozenset(
        name for name in ALGORITHMS_OF.get(kind, ()) if _CURVE_OF.get(name, entry.get("crv")) == entry.get("crv")
    )
    stated = entry.get("alg")
    if stated is not None:
        algorithms &= {stated} if isinstance(stated, str) else set()
    if not algorithms:
        return None
    public = {name: value for name, value in entry.items() if name in {"kty", "kid", "crv", "n", "e", "x", "y"}}
    try:
        key = PyJWK(public, algorithm=min(algorithms))
    except (PyJWTError, ValueError, TypeError):
        return None
    if kind == "RSA" and key.key.key_size < MIN_RSA_BITS:
        return None
    return Key(kid, algorithms, key)


def _keys_of_file(file: Path) -> dict[str, Key]:
    try:
        with file.open("rb") as handle:
            return parse_keys(handle.read(MAX_JWKS_BYTES + 1))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the key file {file} cannot be used: {error}", code="config/jwks") from error


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not host or parts.username is not None or parts.scheme not in {"https", "http"}:
        raise ConfigError("the address of the token issuer's keys must be a plain https URL", code="config/jwks")
    if parts.scheme == "http" and not is_loopback:
        raise ConfigError(
            "the token issuer's keys must be fetched by https: who changes them on the way makes every token good",
            code="config/jwks",
        )
