"""`gateway cache`: look at the blob store and prove its bytes, beside a running server."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.stores.scrub import Verdict

EXIT_OK = 0
EXIT_FOUND = 1
EXIT_CANNOT = 2

_EPILOG = """\
examples:
  gateway cache ls
  gateway cache ls --json | jq '.blobs[] | select(.size_bytes > 1e9) | .sha256'
  gateway cache verify
  gateway cache verify --quarantine

exit codes of verify: 0 every blob is what its name says, 1 some are corrupt, 2 some could not be read.

JSON: `ls` prints {"count", "size_bytes", "blobs": [{"sha256", "size_bytes", "committed_at", "used_at", "path"}]};
`verify` prints {"ok", "corrupt", "gone", "unreadable": counts, "size_bytes",
"problems": [{"sha256", "size_bytes", "state", "cause", "moved_to"}]}. Times are RFC 3339, "" where unknown.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cache` with `ls` and `verify`."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "cache",
        help="list and verify the blob store",
        description="Look at the verified bytes that the gateway holds. Safe beside a running server.",
        epilog=_EPILOG,
        formatter_class=raw,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("ls", help="list blobs", description="List the blobs, the longest unused first. Reads only.")
    verify = actions.add_parser(
        "verify",
        help="read every blob again and compare",
        description="Hash every blob and compare with its name. Reads only, unless --quarantine is given.",
    )
    verify.add_argument(
        "--quarantine", action="store_true", help="move corrupt blobs aside; the gateway fetches them again"
    )
    for action in actions.choices.values():
        action.add_argument(
            "--state", metavar="DIR", type=Path, default=Path("./gateway-state"), help="state directory (%(default)s)"
        )
        action.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one action. Raises ConfigError or StoreError (exit code 2)."""
    from gateway.stores.layout import attach

    blobs = attach(args.state).blobs
    return _ls(blobs, as_json=args.json) if args.action == "ls" else _verify(args, blobs)


def _ls(blobs: Path, *, as_json: bool) -> int:
    from gateway.stores.layout import blob_path
    from gateway.stores.scrub import held

    found = sorted(held(blobs), key=lambda blob: blob.used_at_s if blob.used_at_s is not None else blob.committed_at_s)
    total = sum(blob.size_bytes for blob in found)
    if as_json:
        rows = [
            {
                "sha256": blob.sha256,
                "size_bytes": blob.size_bytes,
                "committed_at": _time(blob.committed_at_s),
                "used_at": _time(blob.used_at_s),
                "path": str(blob_path(blobs, blob.sha256)),
            }
            for blob in found
        ]
        print(json.dumps({"count": len(found), "size_bytes": total, "blobs": rows}))
        return EXIT_OK
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("sha256", overflow="ellipsis", no_wrap=True)  # cut where the terminal is narrow; whole in --json
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("committed (UTC)", no_wrap=True)
    table.add_column("last used (UTC)", no_wrap=True)
    for blob in found:
        times = (_time(blob.committed_at_s)[:16], _time(blob.used_at_s)[:16] or "unknown")
        table.add_row(blob.sha256, decimal(blob.size_bytes), *(text.replace("T", " ") for text in times))
    console = Console()
    if found:
        console.print(table)
    console.print(f"{len(found)} blobs, {decimal(total)}.")
    return EXIT_OK


def _verify(args: argparse.Namespace, blobs: Path) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from gateway.stores.scrub import held, scrub

    total = sum(blob.size_bytes for blob in held(blobs))
    columns = (
        TextColumn("verifying"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("verify", total=total)
        verdicts = list(
            scrub(blobs, quarantine=args.quarantine, progress=lambda read_bytes: progress.advance(task, read_bytes))
        )
    counts = Counter(verdict.state for verdict in verdicts)
    problems = [verdict for verdict in verdicts if verdict.state in ("corrupt", "unreadable")]
    if args.json:
        states = {state: counts[state] for state in ("ok", "corrupt", "gone", "unreadable")}
        print(json.dumps({**states, "size_bytes": total, "problems": [_problem(verdict) for verdict in problems]}))
    else:
        _tell(counts, problems, total, quarantine=args.quarantine)
    if counts["corrupt"]:
        return EXIT_FOUND
    return EXIT_CANNOT if counts["unreadable"] else EXIT_OK


def _tell(counts: Counter[str], problems: list[Verdict], total: int, *, quarantine: bool) -> None:
    from rich.filesize import decimal

    for verdict in problems:
        where = f", moved to {verdict.moved_to}" if verdict.moved_to is not None else ""
        cause = f": {verdict.cause}" if verdict.cause else ""
        print(f"{verdict.state} {verdict.sha256} ({decimal(verdict.size_bytes)}){cause}{where}")
    gone = f", {counts['gone']} evicted meanwhile" if counts["gone"] else ""
    print(
        f"{counts['ok']} of {sum(counts.values())} blobs ({decimal(total)}) are what their names say; "
        f"{counts['corrupt']} corrupt, {counts['unreadable']} unreadable{gone}."
    )
    if counts["corrupt"] and not quarantine:
        print("Move the corrupt ones aside with `gateway cache verify --quarantine`; they are fetched again.")


def _problem(verdict: Verdict) -> dict[str, Any]:
    return {
        "sha256": verdict.sha256,
        "size_bytes": verdict.size_bytes,
        "state": verdict.state,
        "cause": verdict.cause,
        "moved_to": "" if verdict.moved_to is None else str(verdict.moved_to),
    }


def _time(seconds: float | None) -> str:
    from gateway.clock import rfc3339

    return "" if seconds is None else rfc3339(datetime.fromtimestamp(int(seconds), UTC))
