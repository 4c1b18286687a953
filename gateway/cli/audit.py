"""`gateway audit`: search the ledger, explain one decision, prove the chains."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.domain.errors import LedgerError

if TYPE_CHECKING:
    from gateway.ledger.index import LedgerIndex
    from gateway.ledger.verify import ChainReport

EXIT_OK = 0
EXIT_FOUND = 1

_EPILOG = """\
examples:
  gateway audit list --since 24h --effect deny
  gateway audit list --repo 'acme/*' --rule scan/code-exec --json
  gateway audit show d-b9314a4c1f2e4d5a8c7b
  gateway audit verify --json > /another/machine/heads.json
  gateway audit verify --head /another/machine/heads.json
"""
_VERIFY_EPILOG = """\
exit codes: 0 every chain verifies, 1 something was removed, altered or reordered, 2 the ledger could not be read.

A chain alone cannot show that records were cut off at its very end. Keep its head on another machine (print it with
--json, or keep the lines CHAIN SEQ sha256:HEX) and compare with --head: then a cut, too, is found.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `audit` with `list`, `show` and `verify`."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "audit",
        help="search, explain and prove the ledger",
        description="Read the ledger: who asked for what, what was decided and why, what was delivered.",
        epilog=_EPILOG,
        formatter_class=raw,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_list(actions)

    show = actions.add_parser("show", help="explain one decision", description="Explain one decision or request.")
    show.add_argument("id", metavar="DECISION_ID|REQUEST_ID", help="as denials, headers and `audit list` print it")
    verify = actions.add_parser(
        "verify",
        help="prove the hash chains",
        description="Prove that no record was removed, altered or reordered. Works on a copy of the ledger too.",
        epilog=_VERIFY_EPILOG,
        formatter_class=raw,
    )
    verify.add_argument("--head", metavar="FILE", type=Path, help="compare with chain heads that were kept elsewhere")
    for action in actions.choices.values():
        action.add_argument(
            "--state", metavar="DIR", type=Path, default=Path("./gateway-state"), help="state directory (%(default)s)"
        )
        action.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=run)


def _add_list(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "list", help="search records", description="Search records; prints the newest that match, oldest first."
    )
    times = "2026-11-24T10:00:00Z, 2026-11-24 or an age like 90m, 24h, 7d"
    parser.add_argument("--since", metavar="TIME", default="", help=f"not before: {times}")
    parser.add_argument("--until", metavar="TIME", default="", help="before that time")
    parser.add_argument("--subject", default="", help="who asked")
    parser.add_argument("--repo", default="", help="as the table shows it; * matches anything")
    parser.add_argument("--path", default="", help="file path; * matches anything")
    parser.add_argument("--effect", choices=("allow", "deny", "quarantine", "pending", "refused", "event"), default="")
    parser.add_argument("--rule", default="", help="rule id that refused, warned or was waived")
    parser.add_argument("--kind", choices=("decision", "delivery", "refusal", "event"), default="")
    parser.add_argument("--digest", default="", help="sha256:… or git-sha1:… of the file")
    parser.add_argument("--decision", metavar="ID", default="", help="all records of one decision")
    parser.add_argument("--request", metavar="ID", default="", help="all records of one request")
    parser.add_argument("--limit", type=int, default=50, help="how many at most; 0 for all (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run one action; 0 done, 1 tampered. Raises LedgerError (exit code 2) where it cannot, or knows no such id."""
    directory = _ledger_of(args.state)
    if args.action == "list":
        return _list(args, directory)
    if args.action == "show":
        return _show(args, directory)
    return _verify(args, directory)


def _ledger_of(state: Path) -> Path:
    directory = state / "ledger"
    if not state.is_dir():
        raise LedgerError(f"There is no state directory {state}; name it with --state DIR.", code="ledger/missing")
    if not directory.is_dir():
        raise LedgerError(f"{state} holds no ledger; is it the gateway's state directory?", code="ledger/missing")
    return directory


def _list(args: argparse.Namespace, directory: Path) -> int:
    from gateway.cli.audit_view import print_json_lines, print_table, warn_unread
    from gateway.clock import SystemClock
    from gateway.ledger.queries import Filter, find, parse_time

    if args.limit < 0:
        raise LedgerError("--limit must be 0 or more.", code="ledger/limit")
    now = SystemClock().now()
    wanted = Filter(
        since=parse_time(args.since, now) if args.since else "",
        until=parse_time(args.until, now) if args.until else "",
        subject=args.subject,
        repo=args.repo,
        path=args.path,
        effect=args.effect,
        rule=args.rule,
        kind=args.kind,
        digest=args.digest,
        decision_id=args.decision,
        request_id=args.request,
        limit=args.limit,
    )
    with _opened(directory) as index:
        found = find(index, wanted)
        if args.json:
            print_json_lines(found)
        else:
            print_table(list(found), limit=args.limit)
        warn_unread(index.unread)
    return EXIT_OK


def _show(args: argparse.Namespace, directory: Path) -> int:
    from gateway.cli.audit_view import print_explanation, print_json_lines, warn_unread
    from gateway.ledger.queries import explain

    with _opened(directory) as index:
        records = explain(index, args.id)
        warn_unread(index.unread)
    if not records:
        raise LedgerError(f"The ledger in {directory} knows no decision or request {args.id!r}.", code="ledger/unknown")
    if args.json:
        print_json_lines(iter(records))
    else:
        print_explanation(records)
    return EXIT_OK


def _verify(args: argparse.Namespace, directory: Path) -> int:
    from gateway.cli.audit_view import print_verification, print_verification_json
    from gateway.ledger.heads import read_heads
    from gateway.ledger.verify import verify

    kept = read_heads(args.head) if args.head is not None else None
    with _busy(f"Verifying {directory}"):
        reports = verify(directory, kept)
    if not reports:
        raise LedgerError(f"{directory} holds no segment, so there is nothing to verify.", code="ledger/empty")
    if args.json:
        print_verification_json(reports)
    else:
        print_verification(reports, compared=args.head is not None)
    return EXIT_FOUND if any(_problems(reports)) else EXIT_OK


@contextmanager
def _opened(directory: Path) -> Iterator[LedgerIndex]:
    """The index, brought up to date first: that takes about half a minute per million new records."""
    from gateway.ledger.index import LedgerIndex

    index = LedgerIndex(directory)
    with _busy(f"Reading {directory}"):
        index.open()
    try:
        yield index
    finally:
        index.close()


@contextmanager
def _busy(what: str) -> Iterator[None]:
    """A sign of life on stderr while it lasts, on terminals only."""
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(f"{escape(what)} …"):
        yield


def _problems(reports: list[ChainReport]) -> Iterator[object]:
    for report in reports:
        yield from report.problems
