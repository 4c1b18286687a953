"""The flags that several commands share, each bound to one key of the settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.settings import Settings, load

# flag -> (settings key, metavar, help). Flags win over the file.
_POLICY = {
    "--profile": ("policy.profile", "NAME", "policy profile: permissive, balanced (default) or strict"),
    "--rego": ("policy.rego", "DIR", "a policy library in place of the shipped one"),
}
_UPSTREAM = {
    "--upstream": ("upstream.url", "URL", "the hub (default https://huggingface.co)"),
}
_SERVER = {
    "--listen": ("server.listen", "HOST:PORT", "where to listen (default 127.0.0.1:8080)"),
    "--public-url": ("server.public_url", "URL", "the address developers use, for every link the gateway writes"),
    "--tls-cert": ("server.tls_cert", "FILE", "certificate chain (PEM)"),
    "--tls-key": ("server.tls_key", "FILE", "its private key (PEM)"),
}


def add_settings(parser: argparse.ArgumentParser, *, server: bool = True) -> None:
    """The flags of a command that composes a gateway."""
    parser.add_argument("--state", metavar="DIR", help="blobs, facts and ledger (default ./gateway-state)")
    for flag, (_, metavar, text) in (_SERVER if server else {}).items():
        parser.add_argument(flag, metavar=metavar, help=text)
    for flag, (_, metavar, text) in (_UPSTREAM | _POLICY).items():
        parser.add_argument(flag, metavar=metavar, help=text)
    parser.add_argument(
        "--redirect-host", action="append", metavar="HOST[:PORT]", help="a CDN host the hub may redirect to (repeat)"
    )
    parser.add_argument(
        "--policy-data",
        action="append",
        metavar="DIR|FILE",
        help="data laid over the profile (repeat; later wins)",
    )
    parser.add_argument(
        "--unsafe-allow-private-upstream",
        action="store_true",
        default=None,
        help="allow a hub on a private or loopback address",
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings that the parsed flags, the file and the environment give. Raises ConfigError."""
    flags = {
        key: getattr(args, flag.removeprefix("--").replace("-", "_"), None)
        for flag, (key, _, _) in (_SERVER | _UPSTREAM | _POLICY).items()
    }
    flags["state.dir"] = args.state
    flags["upstream.redirect_hosts"] = args.redirect_host
    flags["policy.data"] = args.policy_data
    flags["upstream.unsafe_allow_private_upstream"] = args.unsafe_allow_private_upstream
    config: Path | None = getattr(args, "config", None)
    return load(config, flags)
