"""The refusal matrix: what the user of each client reads when the gateway refuses.

python -m conformance.refusals                       every client, scenario, scheme and cache state
python -m conformance.refusals --client 'hub-*'      some of them
python -m conformance.refusals --write               write docs/refusals.json and docs/refusals.md
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from conformance import refusals_page
from conformance.refusals_clients import ASKERS, chosen
from conformance.refusals_judging import Verdict
from conformance.refusals_run import run
from conformance.refusals_scenarios import BY_NAME


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m conformance.refusals",
        description=(__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--client", action="append", default=[], help=f"a glob, may repeat: {', '.join(a.name for a in ASKERS)}"
    )
    parser.add_argument("--scenario", action="append", default=[], choices=list(BY_NAME), help="may repeat")
    parser.add_argument("--scheme", action="append", default=[], choices=["http", "https"])
    parser.add_argument("--write", action="store_true", help="write docs/refusals.json and docs/refusals.md")
    args = parser.parse_args()
    if args.write and (args.scenario or args.scheme):
        parser.error("--write publishes all cells of a client")
    started = time.monotonic()

    def tell(name: str, verdict: Verdict) -> None:
        print(f"{name:60} {verdict.result:8} {verdict.seconds:6.2f} s  {verdict.text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="refusals-") as folder:
        schemes = tuple(args.scheme) or ("http", "https")
        found = run(chosen(args.client), Path(folder) / "run", args.scenario, tell, schemes)
    for name, verdict in found.items():
        if refusals_page.standing_of(name, verdict.result)[0] == "fail":
            print(f"FAIL {name}: {verdict.result}: {verdict.text}")
    made = refusals_page.document(found)
    print(json.dumps({**made["figures"], **made["times"]}))
    if args.write:
        if args.client and refusals_page.JSON.exists():
            made = refusals_page.document(found, refusals_page.published())
        refusals_page.JSON.write_text(refusals_page.dumps(made), "utf-8")
        refusals_page.PAGE.write_text(refusals_page.page(made), "utf-8")
    print(f"{len(found)} cells in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
