"""`gateway token`: make, list and revoke the gateway's own tokens; a running server follows within 2 s."""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.domain.errors import ConfigError

if TYPE_CHECKING:
    from gateway.identity.token_entries import TokenEntry

EXIT_OK = 0
_LIFETIME = re.compile(r"([1-9][0-9]{0,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPILOG = """\
examples:
  gateway token add ada --group research
  gateway token add ci --kind service --group ci --group gpu --expires 30d
  gateway token list
  gateway token revoke ci

The token is shown once, by `add`; the gateway keeps only its hash. A developer sets it as HF_TOKEN.
A running server takes in a change within 2 seconds. Exit codes: 0 done, 2 could not.

JSON: `add` prints {"token", …entry}; `list` prints {"tokens": [entry, …]}; `revoke` prints the entry that is gone.
entry = {"id", "name", "kind", "groups", "created_at", "expires_at": RFC 3339 or "", "expired", "last4"}
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `token` with `add`, `list` and `revoke`."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "token",
        help="make, list and revoke gateway tokens",
        description="Administer the tokens by which people and services say who they are.",
        epilog=_EPILOG,
        formatter_class=raw,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="make a token", description="Make a token and show it, once.")
    add.add_argument("name", metavar="NAME", help="whose it is: letters, digits, . _ @ - (it is the subject's id)")
    add.add_argument("--group", action="append", default=[], metavar="GROUP", help="a group of the subject (repeat)")
    add.add_argument("--kind", choices=("user", "service"), default="user", help="(%(default)s)")
    add.add_argument(
        "--expires", metavar="AGE", default="90d", help="lifetime such as 12h, 90d, 52w, or never (%(default)s)"
    )
    actions.add_parser("list", help="list tokens", description="List the tokens, without what is secret of them.")
    revoke = actions.add_parser("revoke", help="revoke a token", description="Revoke one token.")
    revoke.add_argument("token", metavar="NAME|ID", help="as `gateway token list` shows it")
    for action in actions.choices.values():
        action.add_argument(
            "--state", metavar="DIR", type=Path, default=Path("./gateway-state"), help="state directory (%(default)s)"
        )
        action.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one action; 0 done. Raises ConfigError (exit code 2)."""
    from gateway.clock import SystemClock
    from gateway.identity.tokens import TokenFile
    from gateway.stores.layout import attach, prepare

    clock = SystemClock()
    if args.action == "add":
        lifetime = lifetime_of(args.expires)
        file = TokenFile(prepare(args.state).tokens, clock)
        _add(args, file, lifetime)
    elif args.action == "list":
        _list(TokenFile(attach(args.state).tokens, clock).entries(), clock.now(), as_json=args.json)
    else:
        entry = TokenFile(attach(args.state).tokens, clock).revoke(args.token)
        if args.json:
            print(json.dumps(_public(entry, clock.now())))
        else:
            print(f"Revoked {entry.name} (…{entry.last4}); a running server refuses it within 2 seconds.")
    return EXIT_OK


def lifetime_of(text: str) -> timedelta | None:
    """The lifetime that a text such as `90d` names; None for `never`. Raises ConfigError."""
    if text == "never":
        return None
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is no lifetime: write a number and s, m, h, d or w, such as 90d, or never")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _add(args: argparse.Namespace, file: Any, lifetime: timedelta | None) -> None:
    from gateway.clock import SystemClock
    from gateway.domain.subject import SubjectKind

    token, entry = file.add(args.name, kind=SubjectKind(args.kind), groups=args.group, lifetime=lifetime)
    if args.json:
        print(json.dumps({"token": token, **_public(entry, SystemClock().now())}))
        return
    print(token)
    until = "never" if entry.expires_at is None else f"on {entry.expires_at:%Y-%m-%d %H:%M} UTC"
    groups = ", ".join(entry.groups) or "none"
    print(f"{entry.kind.capitalize()} {entry.name}, groups: {groups}; expires {until}.", file=sys.stderr)
    print("Shown this once. Use it as HF_TOKEN.", file=sys.stderr)


def _list(entries: tuple[TokenEntry, ...], now: datetime, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"tokens": [_public(entry, now) for entry in entries]}))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not entries:
        console.print("There are no tokens. Make one: gateway token add NAME")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "kind", "groups", "token", "created", "expires", "id"):
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    for entry in entries:
        expires = "never" if entry.expires_at is None else f"{entry.expires_at:%Y-%m-%d %H:%M}"
        is_expired = _is_expired(entry, now)
        table.add_row(
            entry.name,
            entry.kind.value,
            Text(", ".join(entry.groups)),
            f"mgw_…{entry.last4}",
            f"{entry.created_at:%Y-%m-%d}",
            Text(f"{expires} (expired)" if is_expired else expires, style="red" if is_expired else ""),
            entry.id,
        )
    console.print(table)


def _is_expired(entry: TokenEntry, now: datetime) -> bool:
    return entry.expires_at is not None and entry.expires_at <= now


def _public(entry: TokenEntry, now: datetime) -> dict[str, Any]:
    from gateway.clock import rfc3339

    return {
        "id": entry.id,
        "name": entry.name,
        "kind": entry.kind.value,
        "groups": list(entry.groups),
        "created_at": rfc3339(entry.created_at),
        "expires_at": "" if entry.expires_at is None else rfc3339(entry.expires_at),
        "expired": _is_expired(entry, now),
        "last4": entry.last4,
    }
