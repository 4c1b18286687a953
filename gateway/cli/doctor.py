"""`gateway doctor --client`: what is wrong on a developer's machine, and what to set. Standard library only."""

from __future__ import annotations

import argparse

from gateway.doctor import command
from gateway.domain.errors import ConfigError

_EPILOG = """\
examples:
  gateway doctor --client
  gateway doctor --client --python ~/project/.venv/bin/python
  gateway doctor --client --json | jq '.checks[] | select(.state == "fail")'

exit codes: 0 nothing failed (warnings, and what could not be looked at, included), 1 a check failed, 2 misuse.
Where only Python is installed: python -m gateway.doctor

The token goes to the gateway alone, and only once that is known to be one. To the hosts of the public hub goes
a TLS handshake and nothing else. Nothing is deleted or changed: commands to run are printed.

JSON: {"version", "endpoint", "exit_code", "summary": {"ok", "warn", "fail", "unknown"},
"checks": [{"check", "state", "found", "advice"}]}; docs/json.md describes it.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor` to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="say what is wrong with a client's settings",
        description=command.DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--client", action="store_true", help="look at this machine as a client of a gateway")
    command.add_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look; 0 nothing failed, 1 something did. Raises ConfigError without --client."""
    if not args.client:
        raise ConfigError("it looks at clients so far: run `gateway doctor --client`")
    return command.run(args)
