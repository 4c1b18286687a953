"""JSON Web Tokens of a configured issuer (RFC 7519, best practice RFC 8725): pinned algorithms, our own keys only.

Whatever a token says about its keys (`jku`, `x5u`, `jwk`, `x5c`) is ignored.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cachetools import TLRUCache

from gateway.clock import Clock
from gateway.domain.errors import ConfigError, IdentityError
from gateway.domain.subject import Subject, SubjectKind
from gateway.identity.keys import ALGORITHMS_OF, KeySource
from gateway.identity.names import MAX_GROUPS, is_plain
from gateway.ports import Credential

MAX_TOKEN_CHARS = 16 * 1024
REMEMBER_S = 60.0
REMEMBER_TOKENS = 4096
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_.-]*")
_KNOWN = frozenset().union(*ALGORITHMS_OF.values())


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who makes the tokens, and how a token becomes a subject.

    `claims` names the claims that policy sees (text, number or truth values, as text). `groups_claim` may be a path
    with dots (`realm_access.roles`). `service_claim` = `service_value` marks a service; "" for none.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    groups_claim: str = "groups"
    claims: tuple[str, ...] = ()
    service_claim: str = ""
    service_value: str = ""
    subject_prefix: str = "jwt:"
    leeway_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ConfigError("a token issuer needs its issuer and audience")
        if not self.algorithms or not set(self.algorithms) <= _KNOWN:
            raise ConfigError(f"the algorithms of a token issuer must be among {', '.join(sorted(_KNOWN))}")
        if not 0 <= self.leeway_s <= 300:
            raise ConfigError("the leeway of a token issuer is 0 to 300 seconds")


class JwtIdentifier:
    """ports.Identifier for anything of the shape of a JWT. A good token is remembered 60 s at most."""

    def __init__(self, issuer: Issuer, keys: KeySource, clock: Clock) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clock = clock
        self._verified: TLRUCache[bytes, Subject] = TLRUCache(
            REMEMBER_TOKENS, ttu=_remember_until, timer=lambda: clock.now().timestamp()
        )

    async def identify(self, credential: Credential) -> Subject | None:
        """ports.Identifier.identify. Also raises StoreError while the issuer's keys cannot be had: no denial."""
        token = credential.token
        if not token or _JWT.fullmatch(token) is None:
            return None
        if len(token) > MAX_TOKEN_CHARS:
            raise IdentityError("the token is too long", code="identity/oversized")
        key = hashlib.sha256(token.encode("ascii")).digest()
        subject = self._verified.get(key)
        if subject is None:
            subject = await self._verify(token)
            self._verified[key] = subject
        self._check_expiry(subject.expires_at_s)
        return subject

    async def _verify(self, token: str) -> Subject:
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if not isinstance(algorithm, str) or algorithm not in self._issuer.algorithms:
            raise IdentityError(
                "the token is signed by an algorithm that is not accepted here", code="identity/algorithm"
            )
        if "crit" in header or not isinstance(kid, str):
            raise IdentityError("the token has a header that is not understood here", code="identity/malformed")
        key = await self._keys.find(kid)
        if key is None:
            raise IdentityError(
                "the token is signed by a key that its issuer does not list", code="identity/unknown-key"
            )
        if algorithm not in key.algorithms:
            raise IdentityError("the token's algorithm does not belong to its key", code="identity/algorithm")
        claims = self._decode(token, algorithm, key.key.key)
        self._check_times(claims)
        return self._subject(claims)

    def _decode(self, token: str, algorithm: str, key: Any) -> Mapping[str, Any]:
        options: Any = {
            "require": ["exp", "iss", "aud", "sub"],
            "verify_exp": False,  # against our own clock, below
            "verify_nbf": False,
            "verify_iat": False,
        }
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._issuer.audience,
                issuer=self._issuer.issuer,
                options=options,
            )
        except jwt.InvalidSignatureError as error:
            raise IdentityError("the token's signature does not verify", code="identity/signature") from error
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError) as error:
            raise IdentityError(
                f"the token is not for this gateway: it must come from {self._issuer.issuer} "
                f"for the audience {self._issuer.audience}",
                code="identity/wrong-audience"
                if isinstance(error, jwt.InvalidAudienceError)
                else "identity/wrong-issuer",
            ) from error
        except jwt.MissingRequiredClaimError as error:
            raise IdentityError(f"the token lacks the claim {error.claim!r}", code="identity/claims") from error
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise IdentityError("the token is malformed", code="identity/malformed") from error
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        for name in ("exp", "nbf", "iat"):
            if name in claims and not _is_time(claims[name]):
                raise IdentityError(f"the token's {name} is no time", code="identity/claims")
        self._check_expiry(float(claims["exp"]) + self._issuer.leeway_s)
        latest_s = self._clock.now().timestamp() + self._issuer.leeway_s
        if claims.get("nbf", 0) > latest_s or claims.get("iat", 0) > latest_s:
            raise IdentityError("the token is not valid yet: its start lies ahead", code="identity/not-yet-valid")

    def _check_expiry(self, expires_at_s: float | None) -> None:
        if expires_at_s is None or self._clock.now().timestamp() >= expires_at_s:
            raise IdentityError("the token has expired: get a new one from its issuer", code="identity/expired")

    def _subject(self, claims: Mapping[str, Any]) -> Subject:
        name = claims["sub"]
        if not isinstance(name, str) or not is_plain(name):
            raise IdentityError("the token's sub is no plain text", code="identity/claims")
        is_service = bool(self._issuer.service_claim) and (
            _text(_at(claims, self._issuer.service_claim)) == self._issuer.service_value
        )
        return Subject(
            id=self._issuer.subject_prefix + name,
            kind=SubjectKind.SERVICE if is_service else SubjectKind.USER,
            groups=_groups(_at(claims, self._issuer.groups_claim)),
            claims=_project(claims, self._issuer.claims),
            expires_at_s=float(claims["exp"]) + self._issuer.leeway_s,
        )


def _is_time(value: object) -> bool:
    """A NumericDate (RFC 7519 §2) that a clock can be compared with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < 1e12 if isinstance(value, float) else abs(value) < 10**12


def _remember_until(_key: bytes, subject: Subject, now_s: float) -> float:
    return min(now_s + REMEMBER_S, subject.expires_at_s if subject.expires_at_s is not None else now_s)


def _header(token: str) -> Mapping[str, Any]:
    try:
        header: Mapping[str, Any] = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise IdentityError("the token is malformed", code="identity/malformed") from error
    return header


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of that name, else the value at the dotted path, else None."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _groups(value: Any) -> frozenset[str]:
    """Groups must be read whole or not at all: one that is dropped might be the one that a rule refuses."""
    if value is None:
        return frozenset()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or len(names) > MAX_GROUPS:
        raise IdentityError("the token's groups are no list of at most 512 names", code="identity/claims")
    if not all(isinstance(name, str) and is_plain(name) for name in names):
        raise IdentityError("the token has a group that is no plain text", code="identity/claims")
    return frozenset(names)


def _project(claims: Mapping[str, Any], names: Collection[str]) -> Mapping[str, str]:
    found = {name: _text(_at(claims, name)) for name in names}
    return {name: text for name, text in found.items() if text is not None}


def _text(value: Any) -> str | None:
    """A scalar claim as text; None where there is none. A structure is refused: half of it would mislead policy."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and len(value) <= 1024:
        return value
    raise IdentityError("the token has a claim that is no short text", code="identity/claims")
