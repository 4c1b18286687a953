"""The only reader of configuration files and environment. Flags win over the file, the file over the defaults.

An unknown key refuses to start; all mistakes are reported together. Secrets come from the environment alone:
`GATEWAY_UPSTREAM_TOKEN` (the hub's token of the gateway), `GATEWAY_OPA_TOKEN` (for an OPA server).
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from gateway.domain.errors import ConfigError
from gateway.domain.explaining import MAX_CONTACT_CHARS, MAX_PUBLIC_URL_CHARS


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Seconds = Annotated[float, Field(gt=0)]
# A web address or an e-mail address that needs no escaping in a header, an attribute or a sentence.
CONTACT = r"^(https?://[A-Za-z0-9._~:/?#@!$&*+,=%\[\]-]+|[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*)?$"


class Server(_Section):
    """Where the gateway listens."""

    listen: str = Field("127.0.0.1:8080", pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^:\s]+):\d{1,5}$")
    public_url: str = Field(
        "", pattern=r"^(https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~-]+)*)?/?$", max_length=MAX_PUBLIC_URL_CHARS
    )
    contact: str = Field("", pattern=CONTACT, max_length=MAX_CONTACT_CHARS)
    tls_cert: str = ""
    tls_key: str = ""
    trusted_proxies: list[str] = []
    unsafe_allow_exposed: bool = False
    drain_s: Seconds = 30.0
    stalled_s: Seconds = 120.0


class State(_Section):
    """Where everything that must outlive a restart lies."""

    dir: str = "./gateway-state"
    quota_bytes: int = Field(0, ge=0)
    reserve_bytes: int = Field(256 * 1024 * 1024, ge=0)


class Upstream(_Section):
    """The public hub."""

    hub: str = Field("huggingface", pattern=r"^[a-z0-9-]{1,32}$")
    url: str = Field("https://huggingface.co", pattern=r"^https?://[^\s/?#]+/?$")
    redirect_hosts: list[str] = []
    unsafe_allow_private_upstream: bool = False
    ref_ttl_s: Seconds = 60.0
    facts_ttl_s: Seconds = 3600.0
    max_stale_s: Seconds = 7 * 86400.0
    connect_timeout_s: Seconds = 5.0
    read_timeout_s: Seconds = 30.0
    max_commit_pages: int = Field(10, ge=0, le=1000)


class Policy(_Section):
    """Which rules, which data, which engine."""

    profile: str = Field("balanced", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    rego: str = ""
    data: list[str] = []
    engine: Literal["embedded", "opa"] = "embedded"
    opa_url: str = Field("http://127.0.0.1:8181", pattern=r"^https?://[^\s/?#]+/?$")
    workers: int = Field(2, ge=2, le=64)
    deadline_s: Seconds = 2.0


class Scanning(_Section):
    """The isolated scan workers."""

    workers: int = Field(2, ge=1, le=64)
    wall_s: Seconds = 20.0
    cpu_s: Seconds = 15.0
    memory_bytes: int = Field(1024**3, ge=64 * 1024**2)


class Hold(_Section):
    """How long a client is held while a file is judged that cannot be judged in part (0: not at all), and how many."""

    longest_s: float = Field(1800.0, ge=0, le=2000)
    clients: int = Field(256, ge=1, le=10_000)


class Jwt(_Section):
    """Tokens signed by an identity provider. Switched on by `issuer`."""

    issuer: str = ""
    audience: str = ""
    jwks_file: str = ""
    jwks_url: str = ""
    algorithms: list[str] = ["RS256", "ES256", "EdDSA"]
    groups_claim: str = "groups"
    claims: list[str] = []


class Identity(_Section):
    """Who may ask. `anonymous` = "auto": on only while listening on loopback."""

    anonymous: Literal["auto", "on", "off"] = "auto"
    accept_hub_tokens_as_anonymous: bool = False
    jwt: Jwt = Jwt()


class Limits(_Section):
    """Requests per second and burst, per subject and per address; 0 switches a limit off."""

    subject_rate: float = Field(200.0, ge=0)
    subject_burst: int = Field(2000, ge=1)
    address_rate: float = Field(400.0, ge=0)
    address_burst: int = Field(4000, ge=1)


class Ledger(_Section):
    """How durable a record is before the answer leaves: "two-class" (design §8) or "all"."""

    durability: Literal["two-class", "all"] = "two-class"
    segment_bytes: int = Field(64 * 1024**2, ge=64 * 1024)


class Review(_Section):
    """Who may read the pages of other people's decisions."""

    groups: list[str] = []


class Logging(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Settings(_Section):
    """Everything that `gateway serve` may be told."""

    server: Server = Server()
    state: State = State()
    upstream: Upstream = Upstream()
    policy: Policy = Policy()
    scanning: Scanning = Scanning()
    hold: Hold = Hold()
    identity: Identity = Identity()
    limits: Limits = Limits()
    ledger: Ledger = Ledger()
    review: Review = Review()
    logging: Logging = Logging()
    upstream_token: SecretStr | None = Field(None, exclude=True)
    opa_token: SecretStr | None = Field(None, exclude=True)


SECRETS: Mapping[str, str] = {"upstream_token": "GATEWAY_UPSTREAM_TOKEN", "opa_token": "GATEWAY_OPA_TOKEN"}


def load(config: Path | None, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    `flags` maps dotted keys ("server.listen") to values; None means the flag was not given. `environment` is the
    process's own unless a caller gives another. Raises ConfigError with every mistake in one message.
    """
    environment = os.environ if environment is None else environment  # noqa: TID251 - the one reader
    tree: dict[str, Any] = _read(config) if config is not None else {}
    for secret, variable in SECRETS.items():
        if secret in tree:
            raise ConfigError(f"{config}: {secret} is a secret: give it by the environment variable {variable}")
        if value := environment.get(variable):
            tree[secret] = value.strip()
    for dotted, value in flags.items():
        if value is None:
            continue
        section, _, key = dotted.partition(".")
        tree.setdefault(section, {})[key] = value
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_sentence(error, config)) from None
    _check(settings)
    return settings


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config} is not valid TOML: {error}") from None


# What a value that a pattern refused should have looked like: the pattern itself tells an operator nothing.
_SHAPES: Mapping[str, str] = {
    "server.listen": "must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080",
    "server.contact": "must be an http(s):// address or an e-mail address",
    "server.public_url": "must be http(s)://HOST[:PORT][/PATH]",
    "upstream.hub": "must be a short name of a-z, 0-9 and -",
    "upstream.url": "must be http(s)://HOST[:PORT], without a path",
    "policy.profile": "must be a name of a-z, 0-9 and -",
    "policy.opa_url": "must be http(s)://HOST[:PORT], without a path",
}


# First segments that mean something already, to the hub or here: no prefix may take their place.
_HUB_WORDS = ("api", "models", "datasets", "spaces", "v2", "-")


def _sentence(error: ValidationError, config: Path | None) -> str:
    mistakes = []
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in item["loc"])
        what = "is not a setting" if item["type"] == "extra_forbidden" else item["msg"]
        if item["type"] == "string_pattern_mismatch":
            what = _SHAPES.get(where, what)
        mistakes.append(f"{where}: {what}")
    return f"{len(mistakes)} mistake(s) in the settings{f' of {config}' if config else ''}: " + "; ".join(mistakes)


def _check(settings: Settings) -> None:
    """What no single field can tell."""
    mistakes = []
    server, jwt = settings.server, settings.identity.jwt
    if bool(server.tls_cert) != bool(server.tls_key):
        mistakes.append("server.tls_cert and server.tls_key go together")
    if urlsplit(server.public_url).path.split("/")[1:2] in [[word] for word in _HUB_WORDS]:
        mistakes.append(f"server.public_url: its path must not begin with any of {', '.join(_HUB_WORDS)}")
    if jwt.issuer and not (jwt.jwks_file or jwt.jwks_url):
        mistakes.append("identity.jwt.issuer needs identity.jwt.jwks_file or identity.jwt.jwks_url")
    if jwt.issuer and not jwt.audience:
        mistakes.append("identity.jwt.issuer needs identity.jwt.audience")
    if (jwt.jwks_file or jwt.jwks_url or jwt.audience) and not jwt.issuer:
        mistakes.append("identity.jwt is set but has no issuer")
    if _is_private(settings.upstream.url) and not settings.upstream.unsafe_allow_private_upstream:
        mistakes.append(
            f"upstream.url {settings.upstream.url} is a private address: every fetch would be refused; "
            "allow it with --unsafe-allow-private-upstream (upstream.unsafe_allow_private_upstream)"
        )
    if mistakes:
        raise ConfigError("; ".join(mistakes))


def _is_private(url: str) -> bool:
    """Is the host of the URL written as an address that is not public? A name is looked at when it is resolved."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False
