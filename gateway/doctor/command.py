"""Flags, order of the checks, and the exit code. Also the whole of `python -m gateway.doctor`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Sequence

from gateway import __version__
from gateway.doctor import egress, switches, versions
from gateway.doctor.caches import check_cache
from gateway.doctor.checks import Check, State, made_safe, unknown
from gateway.doctor.credentials import check_tokens, find
from gateway.doctor.endpoint import Endpoint, check_setting
from gateway.doctor.proxies import secrets_of
from gateway.doctor.reach import Reach, check_endpoint, check_token
from gateway.doctor.surroundings import Surroundings
from gateway.doctor.view import table

EXIT_OK = 0
EXIT_FOUND = 1
DESCRIPTION = "Look at what a client on this machine would do, and say what to set. Changes nothing."


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the client's doctor."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--python", action="append", metavar="PATH", help="a Python that runs your clients (repeat; default this one)"
    )
    parser.add_argument(
        "--hosts", metavar="HOST[:PORT],…", type=_hosts, default=tuple(map(egress.Host, egress.HOSTS)),
        help="hosts that must not be reached past the gateway, in place of the public hub's",
    )  # fmt: skip
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=5.0,
        help="how long to wait for the gateway (%(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Look, print, and return 0, or 1 where a check failed."""
    around = Surroundings.of_process()
    endpoint, checks = examine(around, args)
    code = EXIT_FOUND if any(check.state is State.FAIL for check in checks) else EXIT_OK
    if args.json:
        print(json.dumps(_as_json(endpoint, checks, code), indent=2))
    else:
        is_coloured = sys.stdout.isatty() and not around.env.get("NO_COLOR") and around.env.get("TERM") != "dumb"
        print(table(checks, width=shutil.get_terminal_size().columns, colour=is_coloured))
    return code


def examine(around: Surroundings, args: argparse.Namespace) -> tuple[Endpoint | None, list[Check]]:
    """Every check in the order in which a person would mend things, with nothing secret in it."""
    checks, endpoint = check_setting(around)
    found = find(around)
    is_gateway = False
    if endpoint is not None:
        reach = Reach.to(endpoint, around, args.timeout)
        reached, is_gateway = check_endpoint(reach)
        checks += reached
    checks += check_tokens(around, found, endpoint.host if endpoint else "")
    if endpoint is not None and found.sent is not None and found.sent.may_be_shown_to_a_gateway:
        if is_gateway:
            checks.append(check_token(Reach.to(endpoint, around, args.timeout), found.sent.value))
        else:
            checks.append(
                unknown("token/accepted", "The token was not tried: HF_ENDPOINT is not known to be a gateway.")
            )
    checks += check_cache(around)
    checks += egress.check_egress(args.hosts, around, endpoint)
    checks += switches.check_switches(around, endpoint)
    checks += versions.check_versions(around, tuple(args.python or ()))
    return endpoint, made_safe(checks, found.secrets | secrets_of(around.env))


def main(argv: Sequence[str]) -> int:
    """`python -m gateway.doctor`."""
    parser = argparse.ArgumentParser(prog="python -m gateway.doctor", description=DESCRIPTION)
    parser.add_argument(
        "--client", action="store_true", help="look at this machine's clients (there is nothing else yet)"
    )
    add_flags(parser)
    return run(parser.parse_args(argv))


def _as_json(endpoint: Endpoint | None, checks: Sequence[Check], code: int) -> dict[str, object]:
    counts = Counter(check.state for check in checks)
    return {
        "version": __version__,
        "endpoint": str(endpoint) if endpoint is not None else "",
        "exit_code": code,
        "summary": {state.value: counts[state] for state in State},
        "checks": [
            {"check": check.check, "state": check.state.value, "found": check.found, "advice": check.advice}
            for check in checks
        ],
    }


def _hosts(text: str) -> tuple[egress.Host, ...]:
    try:
        return tuple(egress.read_host(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 600:
        raise argparse.ArgumentTypeError("it is a number of seconds above 0, at most 600")
    return seconds
