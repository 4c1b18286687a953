"""The credential in a request's Authorization header (RFC 9110 §11.6.2; Bearer RFC 6750, Basic RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from gateway.domain.errors import IdentityError
from gateway.ports import Credential

MAX_HEADER_CHARS = 16 * 1024
_HEADER = re.compile(r"([A-Za-z]+) +([A-Za-z0-9._~+/-]+=*)")  # scheme, token68
_DRESSED = "hf_mgw_"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def extract(authorization: Sequence[str], address: str) -> Credential:
    """The credential of a request. `authorization`: every value of that header, in order; none is no credential.

    Bearer carries the token; Basic (git, `https://user:token@…`) carries it as the password, or as the user name
    where the password is empty. A gateway token may wear the public hub's prefix (`hf_mgw_…`): `@huggingface/hub` sends
    no other. Raises IdentityError: duplicated, oversized, malformed, another scheme.
    """
    if not authorization:
        return Credential(token="", address=address)
    if len(authorization) > 1:
        raise IdentityError("the request has more than one Authorization header", code="identity/malformed")
    header = authorization[0]
    if len(header) > MAX_HEADER_CHARS:
        raise IdentityError(
            f"the Authorization header is longer than {MAX_HEADER_CHARS} characters", code="identity/oversized"
        )
    match = _HEADER.fullmatch(header)
    if match is None:
        raise IdentityError("the Authorization header is malformed: send `Bearer <token>`", code="identity/malformed")
    scheme, value = match[1].lower(), match[2]
    if scheme == "bearer":
        return Credential(token=_undressed(value), address=address)
    if scheme == "basic":
        return Credential(token=_undressed(_basic(value)), address=address)
    raise IdentityError(
        "the Authorization header has a scheme this gateway does not know: send `Bearer <token>`",
        code="identity/malformed",
    )


def _undressed(token: str) -> str:
    """The hub's own tokens have no second underscore, so this takes nothing for what it is not."""
    return token.removeprefix("hf_") if token.startswith(_DRESSED) else token


def _basic(value: str) -> str:
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = colon = password = ""
    token = password or user
    if not colon or _TOKEN.fullmatch(token) is None:
        raise IdentityError(
            "the Basic credential is malformed: the gateway token goes where the password is", code="identity/malformed"
        )
    return token
