"""Which token a client would send, and of what kind it is. No token is shown, not even in part."""

from __future__ import annotations

import base64
import configparser
import json
import netrc
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gateway.clock import SystemClock
from gateway.doctor.checks import Check, fail, ok, unknown, warn
from gateway.doctor.surroundings import Surroundings, read_text

_JWT = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_SENDABLE = re.compile(r"[A-Za-z0-9._~+/=-]{1,16000}")
_GET = "Get a gateway token from whoever runs the gateway, and set HF_TOKEN to it."
GATEWAY, JWT, HUB, OTHER = "a gateway token", "a signed token (JWT)", "a token of the public hub", "of no known kind"


@dataclass(frozen=True, slots=True)
class Token:
    """`source` names a variable or a file; `value` is never shown."""

    source: str
    value: str = field(repr=False)

    @property
    def kind(self) -> str:
        if self.value.startswith(("mgw_", "hf_mgw_")):  # the latter for the npm client, which sends no other
            return GATEWAY
        if self.value.startswith(("hf_", "api_org_")):
            return HUB
        return JWT if _JWT.fullmatch(self.value) else OTHER

    @property
    def may_be_shown_to_a_gateway(self) -> bool:
        """Not one of the public hub; and only what fits into a header."""
        return self.kind != HUB and _SENDABLE.fullmatch(self.value) is not None


@dataclass(frozen=True, slots=True)
class Found:
    """Every token there is, the one that is sent first; and what was noticed while looking."""

    tokens: tuple[Token, ...]
    checks: tuple[Check, ...]
    stored: tuple[Token, ...] = ()

    @property
    def sent(self) -> Token | None:
        return self.tokens[0] if self.tokens else None

    @property
    def secrets(self) -> set[str]:
        return {token.value for token in (*self.tokens, *self.stored)}


def find(around: Surroundings) -> Found:
    """By huggingface_hub's order: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, the token file."""
    names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    tokens = [Token(name, value) for name in names if (value := _clean(around.env.get(name, "")))]
    checks = []
    for path in (around.token_file, around.home / ".huggingface" / "token"):
        try:
            if value := _clean(read_text(path)):
                tokens.append(Token(str(path), value))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            checks.append(unknown("token/file", f"{path} cannot be read: {error.strerror or error}."))
    stored = _stored(around.stored_tokens)
    return Found(tuple(tokens), tuple(checks), tuple(stored))


def check_tokens(around: Surroundings, found: Found, host: str) -> list[Check]:
    """Which token is sent, and what is wrong with it. `host`: the endpoint's, "" where there is none."""
    checks = [*found.checks]
    sent = found.sent
    if around.is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        text = "HF_HUB_DISABLE_IMPLICIT_TOKEN is on: clients send no token unless a program passes one."
        checks.append(warn("token/implicit", text, "Unset HF_HUB_DISABLE_IMPLICIT_TOKEN."))
    if around.env.get("HF_OIDC_RESOURCE"):
        text = "HF_OIDC_RESOURCE is set: huggingface_hub asks the endpoint for a token that a gateway does not give."
        checks.append(warn("token/oidc", text, "Unset HF_OIDC_RESOURCE, and set HF_TOKEN to a gateway token."))
    if sent is None:
        text = "No token is set: to the gateway you are nobody in particular, and it may refuse you."
        checks.append(warn("token/kind", text, _GET))
    else:
        checks.append(_kind(sent))
        others = [t.source for t in found.tokens[1:] if t.value != sent.value]
        if others:
            text = f"{sent.source} wins over another token in {' and '.join(others)}."
            checks.append(warn("token/others", text, "Remove the tokens that are not meant."))
    if left := sum(token.kind == HUB for token in found.stored):
        many = "s" if left > 1 else ""
        text = f"{around.stored_tokens} keeps {left} token{many} of the public hub; `hf auth switch` would send one."
        checks.append(warn("token/stored", text, "Remove them with `hf auth logout`."))
    return [*checks, *_netrc(around, host)]


def _kind(token: Token) -> Check:
    if token.kind == HUB:
        text = f"{token.source} holds {HUB}: the gateway refuses it, and forwards it to nobody."
        return fail("token/kind", text, _GET)
    if _SENDABLE.fullmatch(token.value) is None:
        text = f"{token.source} holds characters that no token has."
        return fail("token/kind", text, f"Set {token.source} again, without quotes or spaces.")
    if token.kind == JWT:
        return _lifetime(token)
    if token.kind == OTHER:
        return warn("token/kind", f"{token.source} holds a token {OTHER}.", _GET)
    return ok("token/kind", f"{token.source} holds {token.kind}.")


def _lifetime(token: Token) -> Check:
    payload = token.value.split(".")[1]
    try:
        expires = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        until = datetime.fromtimestamp(float(expires), UTC)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, OSError):
        return ok("token/kind", f"{token.source} holds {JWT}; how long it is valid it does not say.")
    if until <= SystemClock().now():
        text = f"{token.source} holds {JWT} that expired at {until:%Y-%m-%d %H:%M} UTC."
        return fail("token/kind", text, "Sign in again at your identity provider.")
    return ok("token/kind", f"{token.source} holds {JWT}, valid until {until:%Y-%m-%d %H:%M} UTC.")


def _stored(path: Path) -> list[Token]:
    """The tokens that `hf auth login` has kept: an INI file, one section each with `hf_token`."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(read_text(path))
    except (OSError, configparser.Error):
        return []
    return [Token(name, value) for name in parser.sections() if (value := _clean(parser[name].get("hf_token", "")))]


def _netrc(around: Surroundings, host: str) -> list[Check]:
    """A .netrc entry for the gateway replaces the token in clients that are built on `requests`."""
    path = Path(around.env.get("NETRC") or around.home / ".netrc")
    if not host or not path.is_file():
        return []
    try:
        entry = netrc.netrc(str(path)).authenticators(host)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return [unknown("token/netrc", f"{path} cannot be read as a .netrc file.")]
    if entry is None:
        return []
    text = f"{path} has an entry for {host}: huggingface_hub 0.x sends that in place of the token."
    return [warn("token/netrc", text, "Remove the entry (a `default` one too).")]


def _clean(text: str) -> str:
    """As huggingface_hub cleans one: no line ends, nothing around it."""
    return text.replace("\r", "").replace("\n", "").strip()
