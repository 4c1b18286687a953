"""Command line of the conformance runner."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance import report
from conformance.cells import FAIL, NOT_RUN
from conformance.client import ROOT
from conformance.clients import CLIENTS, chosen
from conformance.features import FEATURES
from conformance.plan import repos_from, repos_of
from conformance.run import Outcome, run_all
from conformance.servers import Endpoint, endpoints, serve_upstream
from conformance.world import conformance_world

JSON, PAGE = ROOT / "docs/conformance.json", ROOT / "docs/conformance.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=(__doc__ or "").strip())
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="run clients; without --endpoint against the gateway and its own test hub")
    run.add_argument("--endpoint", help="run against this registry (an HF_ENDPOINT) instead")
    run.add_argument("--token", default="", help="what the clients send as HF_TOKEN there")
    run.add_argument("--repos", type=Path, help="JSON file: role -> repo of that registry (default: the test hub's)")
    run.add_argument("--client", action="append", default=[], help=f"may repeat: {', '.join(c.name for c in CLIENTS)}")
    run.add_argument("--feature", action="append", default=[], help=f"may repeat: {', '.join(FEATURES)}")
    run.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    run.add_argument("--write", action="store_true", help="write docs/conformance.json and docs/conformance.md")
    upstream = actions.add_parser("upstream", help="serve the test repos, to put a registry in front of them")
    upstream.add_argument("--port", type=int, default=8001, help="of the hub (%(default)s)")
    upstream.add_argument("--cdn-port", type=int, default=0, help="of its CDN (any free one)")
    actions.add_parser("page", help="write docs/conformance.md again from docs/conformance.json")
    args = parser.parse_args()
    if args.action == "upstream":
        serve_upstream(args.port, args.cdn_port)
        return 0
    if args.action == "page":
        PAGE.write_text(report.page(json.loads(JSON.read_text("utf-8"))), "utf-8")
        return 0
    unknown = sorted(set(args.feature) - set(FEATURES))
    if unknown:
        parser.error(f"no feature is named {', '.join(unknown)}")
    try:
        clients = chosen(args.client)
    except ValueError as error:
        parser.error(str(error))
    if args.feature and not any(set(args.feature) & set(client.features) for client in clients):
        parser.error(f"none of these clients has the feature {', '.join(args.feature)}")
    if args.endpoint and args.write:
        parser.error("--write publishes runs of the gateway; it cannot go with --endpoint")
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    def tell(outcome: Outcome) -> None:
        for name, cell in outcome.cells.items():
            if not args.json:
                where = f"{outcome.client.name:14} {outcome.endpoint.kind:8} {name:20}"
                print(f"{where} {cell.result:8} {cell.detail if cell.result != 'PASS' else ''}", flush=True)

    # Clients of the test hub are cut off on purpose; it need not tell.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    with _chosen_endpoints(args) as places:
        outcomes = run_all(chosen(args.client), places, args.feature, tell)
    found = report.matrix(outcomes)
    if args.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print(json.dumps(report.figures(found)))
    if args.write:
        _write(found, partial=bool(args.client or args.feature))
    results = [cell.result for outcome in outcomes for cell in outcome.cells.values()]
    is_incomplete = NOT_RUN in results and os.environ.get("CI") == "true"
    return 1 if is_incomplete or (args.endpoint and FAIL in results) else 0


@contextmanager
def _chosen_endpoints(args: argparse.Namespace) -> Iterator[list[Endpoint]]:
    if args.endpoint:
        url = args.endpoint.rstrip("/")
        repos = repos_from(args.repos, url, args.token) if args.repos else repos_of(conformance_world())
        yield [Endpoint("gateway", url, args.token, repos)]
        return
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder, endpoints(Path(folder)) as places:
        yield places


def _write(found: report.Matrix, *, partial: bool) -> None:
    """Publish; a run of some clients or features replaces only their cells."""
    if partial and JSON.exists():
        published = json.loads(JSON.read_text("utf-8"))
        for name, entry in found.items():
            kept = published.setdefault(name, {"version": "", "cells": {}})
            kept["version"] = entry["version"] or kept["version"]
            cells = kept["cells"] | entry["cells"]
            kept["cells"] = {feature: cells[feature] for feature in FEATURES if feature in cells}
        found = {client.name: published[client.name] for client in CLIENTS if client.name in published}
    JSON.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(report.page(found), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
