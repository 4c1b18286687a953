"""Reads the command line, finds the command, and turns a GatewayError into one sentence and an exit code."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from gateway import __version__
from gateway.domain.errors import GatewayError

# command -> module; every command is visible here, nothing registers itself.
COMMANDS: tuple[str, ...] = ("serve", "check", "scan", "demo", "audit", "token", "policy", "cache", "doctor")

EXIT_CANNOT = 2


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line with these commands: all of them, by default. Each command module adds its own part."""
    parser = argparse.ArgumentParser(
        prog="gateway",
        description="A policy-as-code gateway for third-party AI models.",
        epilog="Start with `gateway demo`. Exit codes: 0 allowed or done, 1 denied or found, 2 could not.",
    )
    parser.add_argument("--version", action="version", version=f"model-gateway {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        importlib.import_module(f"gateway.cli.{name}").add_parser(commands)
    return parser


def run(argv: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    # A command that is named first needs no other's libraries: `gateway doctor` runs where none is installed.
    args = build_parser(argv[:1] if argv[:1] and argv[0] in COMMANDS else COMMANDS).parse_args(argv)
    try:
        return int(args.run(args))
    except GatewayError as error:
        print(f"gateway {args.command}: {error} [{error.code}]", file=sys.stderr)
        return EXIT_CANNOT
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
