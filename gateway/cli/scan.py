"""`gateway scan`: look into files on this machine with the same scanner, isolation and rules as `gateway serve`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

_DESCRIPTION = "Look into model files on this machine: what they can do when loaded, without loading them."
_EPILOG = """\
examples:
  gateway scan pytorch_model.bin
  gateway scan ~/.cache/huggingface/hub/models--org--name/snapshots/<commit>
  gateway scan --json model/ | jq '.files[] | select(.findings != [])'

A directory is walked (links to files are followed, links to directories are not, .git is left out).
No policy is applied: `gateway check` and `gateway serve` decide by your rules what a finding means.

exit codes: 0 nothing found and everything judged, 1 findings of an enforced class,
  2 no such finding, but something could not be judged (or the command could not run)
enforced classes: code-exec, unknown-global, ambiguity, file, network, traversal, template, embedded-exe, dos

JSON (--json), schema 1:
  {"schema": 1, "scanner": str, "version": str, "exit_code": 0|1|2,
   "summary": {"files": int, "complete": int, "enforced_findings": int, "not_judged": int},
   "skipped": [path],
   "files": [{"path": str, "size_bytes": int, "format": str,
     "coverage": {"surface": "complete|partial|failed|not_run", "whole_file": bool, "cause": str},
     "findings": [{"rule": str, "class": str, "severity": "critical|high|medium|low|info", "enforced": bool,
                   "message": str, "location": str, "symbol": str, "effect": str, "remedy": str}]}]}
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `scan` to the command line."""
    parser = commands.add_parser(
        "scan",
        help="look into model files on this machine",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", metavar="PATH", help="a file, or a directory to walk")
    parser.add_argument("--json", action="store_true", help="machine output (schema below)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Scan, print, and return the exit code. Raises ConfigError where there is nothing to scan."""
    from gateway.cli.scan_files import Scanned, find_files, scan_all
    from gateway.cli.scan_view import exit_code, progress, show

    root = Path(args.path)
    files, skipped = find_files(root)
    with progress(len(files), quiet=args.json or not sys.stderr.isatty()) as advance:
        scanned: list[Scanned] = asyncio.run(scan_all(root, files, advance))
    if args.json:
        print(json.dumps(document(scanned, skipped), indent=2))
    else:
        show(scanned, skipped)
    return exit_code(scanned)


def document(scanned: list[Any], skipped: list[str]) -> dict[str, Any]:
    """The JSON document, as the epilog describes it."""
    from gateway.cli.scan_view import ADVICE, ENFORCED, exit_code, summary

    return {
        "schema": 1,
        "scanner": scanned[0].report.scanner if scanned else "",
        "version": scanned[0].report.version if scanned else "",
        "exit_code": exit_code(scanned),
        "summary": summary(scanned),
        "skipped": skipped,
        "files": [
            {
                "path": item.path,
                "size_bytes": item.size_bytes,
                "format": item.report.format,
                "coverage": {
                    "surface": item.report.coverage.surface.value,
                    "whole_file": item.report.coverage.whole_file,
                    "cause": item.report.coverage.cause,
                },
                "findings": [
                    {
                        "rule": f.rule,
                        "class": f.cls.value,
                        "severity": f.severity.value,
                        "enforced": f.cls in ENFORCED,
                        "message": f.message,
                        "location": f.location,
                        "symbol": f.symbol,
                        "effect": ADVICE[f.cls][0],
                        "remedy": ADVICE[f.cls][1],
                    }
                    for f in item.report.findings
                ],
            }
            for item in scanned
        ],
    }
