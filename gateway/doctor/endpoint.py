"""Where clients are pointed: `HF_ENDPOINT` and what may override it, read as text. The network is in reach.py."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.doctor.checks import Check, fail, ok, warn
from gateway.doctor.surroundings import Surroundings

HUB_DOMAINS = ("huggingface.co", "hf.co", "xethub.hf.co", "hf.space", "huggingface.tech")
_SET = (
    "Set HF_ENDPOINT to your gateway's address, such as https://models.example.com, in the shell that starts clients."
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A readable HF_ENDPOINT. `path` is "" or starts with a slash and has none at its end."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def is_hub_host(host: str) -> bool:
    """Is this a host of the public hub?"""
    return any(host == domain or host.endswith(f".{domain}") for domain in HUB_DOMAINS)


def read_endpoint(text: str) -> Endpoint | None:
    """The address in `text`; None where it is none that a client could use."""
    try:
        parts = urlsplit(text.strip())
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        port = {"http": 80, "https": 443}.get(scheme, 0) if parts.port is None else parts.port
    except ValueError:
        return None
    if scheme not in {"http", "https"} or not host or not port or any(not c.isprintable() or c in " '\"" for c in host):
        return None
    if not all(0x20 < ord(c) < 0x7F for c in parts.path):
        return None
    return Endpoint(scheme, host.rstrip("."), port, parts.path.rstrip("/"))


def check_setting(around: Surroundings) -> tuple[list[Check], Endpoint | None]:
    """Is the endpoint set, readable and not the public hub? The endpoint to try over the network, or None."""
    checks = [*_overrides(around)]
    if "HF_ENDPOINT" not in around.env:
        return [
            fail("endpoint/set", "HF_ENDPOINT is not set: clients go to https://huggingface.co.", _SET),
            *checks,
        ], None
    text = around.env["HF_ENDPOINT"]
    endpoint = read_endpoint(text)
    if endpoint is None:
        found = "HF_ENDPOINT is empty." if not text.strip() else "HF_ENDPOINT is no http or https address."
        return [fail("endpoint/set", found, _SET), *checks], None
    if is_hub_host(endpoint.host):
        return [fail("endpoint/set", f"HF_ENDPOINT is the public hub, {endpoint}.", _SET), *checks], None
    return [ok("endpoint/set", f"HF_ENDPOINT is {endpoint}."), *_form(text, endpoint), *checks], endpoint


def _form(text: str, endpoint: Endpoint) -> list[Check]:
    """What is unusual about an address that can be used."""
    found = []
    parts = urlsplit(text.strip())
    clean = f"Write it as HF_ENDPOINT={endpoint}"
    if text != text.strip() or parts.path != endpoint.path:
        found.append(warn("endpoint/form", "HF_ENDPOINT ends with a slash or has spaces around it.", f"{clean}."))
    if "@" in parts.netloc:
        advice = f"{clean}, and put the credential into HF_TOKEN."
        found.append(fail("endpoint/form", "HF_ENDPOINT holds a user name or password: it ends up in logs.", advice))
    if parts.query or parts.fragment:
        found.append(fail("endpoint/form", "HF_ENDPOINT holds a `?` or `#`: clients append paths to it.", f"{clean}."))
    if endpoint.path:
        advice = "Prefer an address without a path; some clients drop it."
        found.append(warn("endpoint/path", f"HF_ENDPOINT has the path {endpoint.path}.", advice))
    if endpoint.scheme == "http" and not endpoint.is_loopback:
        advice = "Use the gateway's https address, if it has one."
        found.append(
            warn("endpoint/scheme", "HF_ENDPOINT is plain http: tokens and files cross the network openly.", advice)
        )
    return found


def _overrides(around: Surroundings) -> list[Check]:
    """Variables that win over HF_ENDPOINT in some client."""
    found = []
    if around.is_on("HUGGINGFACE_CO_STAGING"):
        text = "HUGGINGFACE_CO_STAGING is on: huggingface_hub ignores HF_ENDPOINT and asks a test hub."
        found.append(fail("endpoint/staging", text, "Unset HUGGINGFACE_CO_STAGING."))
    if "MODEL_ENDPOINT" in around.env:
        mine, theirs = read_endpoint(around.env["MODEL_ENDPOINT"]), read_endpoint(around.env.get("HF_ENDPOINT", ""))
        advice = "Unset MODEL_ENDPOINT, or give it the value of HF_ENDPOINT."
        if mine is None:
            text = "MODEL_ENDPOINT is no http or https address; llama.cpp takes it before HF_ENDPOINT."
            found.append(fail("endpoint/model-endpoint", text, advice))
        elif is_hub_host(mine.host):
            text = f"MODEL_ENDPOINT is the public hub, {mine}: llama.cpp goes past the gateway."
            found.append(fail("endpoint/model-endpoint", text, advice))
        elif mine != theirs:
            text = f"MODEL_ENDPOINT is {mine}: llama.cpp takes it before HF_ENDPOINT."
            found.append(warn("endpoint/model-endpoint", text, advice))
        else:
            found.append(ok("endpoint/model-endpoint", "MODEL_ENDPOINT is the same as HF_ENDPOINT."))
    return found
