"""`gateway serve`: run the gateway until SIGTERM."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli.flags import add_settings, settings_of

_EPILOG = """\
examples:
  gateway serve
      listen on 127.0.0.1:8080 before huggingface.co, profile `balanced`, state in ./gateway-state
  gateway serve --config gateway.toml --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  GATEWAY_UPSTREAM_TOKEN=hf_... gateway serve --state /var/lib/gateway

developers then set   HF_ENDPOINT=http://127.0.0.1:8080   and keep every tool they use.
/health says that it lives, /ready that it can decide, /metrics what it did. SIGTERM drains and ends.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `serve` to the command line."""
    parser = commands.add_parser(
        "serve",
        help="run the gateway",
        description="Run the gateway: judge, verify, cache and serve what developers fetch from the hub.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file; config/gateway.example.toml has every key"
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop; 0 after a clean end."""
    import uvloop

    from gateway import logs
    from gateway.service import serving, told_to_end

    settings = settings_of(args)
    lines = logs.configure(settings.logging.level, settings.logging.format)

    async def main() -> None:
        told = told_to_end()
        async with serving(settings) as url:
            print(f"gateway: serving on {url}  ({_next_step(settings.server.public_url or url)})", flush=True)
            await told.wait()

    try:
        uvloop.run(main())
    finally:
        lines.drain()
    return 0


def _next_step(url: str) -> str:
    """What developers set; an address that means "every address of this machine" is none that they can use."""
    if url.partition("://")[2].startswith(("0.0.0.0:", "[::]:")):
        return "name the address that developers use with --public-url"
    return f"HF_ENDPOINT={url}"
