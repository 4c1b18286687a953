"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import cold, decisions, denial, hot_large, hot_small, ledger, memory, snapshot
from benchmarks.report import Neighbours, NotRun, Options, Table

BENCHMARKS: dict[str, Callable[[Options], list[Table]]] = {
    "hot-small": hot_small.run,
    "hot-large": hot_large.run,
    "cold-small": cold.small_files,
    "cold-large": cold.large,
    "cold-many": cold.many,
    "snapshot": snapshot.run,
    "memory": memory.run,
    "decisions": decisions.run,
    "denial": denial.run,
    "ledger": ledger.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the gateway against baselines in the same run; read ratios, not absolute figures.",
        epilog=f"names: {', '.join(BENCHMARKS)}. docs/benchmarks.md says what each one means.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="benchmarks to run (default: all)")
    parser.add_argument("--quick", action="store_true", help="smallest sizes, one round: does it run?")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (%(default)s)")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where large files may lie")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    options = Options(args.quick, 1 if args.quick else args.rounds, args.directory)
    results = []
    for name in args.names or BENCHMARKS:
        result = _run(name, options)
        results.append(result)
        if not args.json:
            _print(result)
    if args.json:
        print(json.dumps(results, indent=2))
    return 0


def _run(name: str, options: Options) -> dict[str, Any]:
    print(f"{name} …", file=sys.stderr, flush=True)
    neighbours = Neighbours()
    gc.collect()
    try:
        tables = [table.as_json() | {"text": table.text()} for table in BENCHMARKS[name](options)]
    except NotRun as missing:
        return {"name": name, "not_run": str(missing)}
    return {
        "name": name,
        "tables": tables,
        "share_of_others": round(neighbours.share(), 3),
        "load_average": os.getloadavg()[0],
    }


def _print(result: dict[str, Any]) -> None:
    if "not_run" in result:
        print(f"NOT RUN: {result['name']}: {result['not_run']}\n", flush=True)
        return
    for table in result["tables"]:
        print(table["text"])
    others = f"others took {result['share_of_others']:.0%} of the machine"
    print(f"- {others}, load {result['load_average']:.1f} at the end\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
