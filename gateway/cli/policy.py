"""`gateway policy test` and `gateway policy check`: what an author of policies runs before a commit."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.policy.bundle import Bundle
    from gateway.policy.testing import Report

EXIT_DONE, EXIT_FAILED = 0, 1

_EPILOG = """examples:
  gateway policy check                          the shipped library with the profile balanced
  gateway policy check --policy-data site.yaml  does our own data fit?
  gateway policy test --rego ./rego             the Rego tests and every rule's samples
  gateway policy test --json | jq .failed

exit codes: 0 all is well, 1 a test failed, 2 the policy cannot be used (each mistake is listed)
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `policy` and its own commands."""
    parser = commands.add_parser(
        "policy",
        help="check and test the policy library and its data",
        description="Check and test Rego policies and policy data. No other binary is needed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="policy_command", metavar="ACTION", required=True)
    for name, words in (
        ("check", "load policy and data as the gateway would, and report every mistake"),
        ("test", "run the Rego tests and the samples of every rule"),
    ):
        action = actions.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
        action.add_argument("--rego", type=Path, metavar="DIR", help="the Rego folder (default: the shipped library)")
        action.add_argument(
            "--policy-data", type=Path, metavar="PATH", nargs="+", action="extend", default=[],
            help="data files or folders laid over the profile, in this order",
        )  # fmt: skip
        action.add_argument("--profile", default="balanced", metavar="NAME", help="the profile (default: balanced)")
        action.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run `check` or `test`. Raises ConfigError where the policy cannot be used."""
    from gateway.policy.bundle import Bundle
    from gateway.shipped import policy_data_dir, rego_dir

    rego = (args.rego or rego_dir()).resolve()
    bundle = Bundle.load(rego, policy_data_dir(), args.profile, args.policy_data, with_tests=True)
    if args.policy_command == "check":
        asyncio.run(_answer(bundle))
        _print_check(bundle, as_json=args.json)
        return EXIT_DONE
    from rich.console import Console

    from gateway.policy import testing

    with Console(stderr=True).status("testing") as status:  # shows nothing where stderr is no terminal
        report = asyncio.run(
            testing.run(bundle, rego, policy_data_dir(), started=lambda name: status.update(f"testing {name}"))
        )
    _print_report(report, as_json=args.json)
    return EXIT_DONE if report.passed else EXIT_FAILED


async def _answer(bundle: Bundle) -> None:
    """Ask what a gateway asks before it serves: some mistakes show only in an evaluation. Raises ConfigError."""
    from gateway.policy.embedded import EmbeddedEngine

    await (await EmbeddedEngine.start(bundle, workers=2)).close()


def _print_check(bundle: Bundle, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "profile": bundle.profile,
            "modules": len(bundle.modules),
            "rules": sorted(bundle.rules),
            "policy_digest": bundle.policy_digest,
            "data_digest": bundle.data_digest,
        }
        print(json.dumps(facts, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    modes = bundle.data["config"].get("rules", {})
    table = Table(
        "rule", "severity", "mode", "what it refuses", title=f"{len(bundle.rules)} rules, profile {bundle.profile}"
    )
    for identity, rule in sorted(bundle.rules.items()):
        mode = modes.get(identity, {})
        table.add_row(identity, rule.severity, str(mode.get("mode", "") if isinstance(mode, dict) else ""), rule.title)
    console = Console()
    console.print(table)
    console.print(f"policy {bundle.policy_digest}\ndata   {bundle.data_digest}", highlight=False)


def _print_report(report: Report, *, as_json: bool) -> None:
    from gateway.policy.testing import Outcome

    counts = {outcome.value: report.count(outcome) for outcome in Outcome}
    if as_json:
        results = [
            {"file": r.file, "name": r.name, "outcome": r.outcome.value, "detail": r.detail} for r in report.results
        ]
        facts = {
            "passed": counts["pass"], "failed": counts["fail"], "errors": counts["error"], "skipped": counts["skipped"],
            "results": results,
        }  # fmt: skip
        print(json.dumps(facts, indent=2))
        return
    for result in report.results:
        if result.outcome is not Outcome.PASS:
            print(f"{result.outcome.value.upper():7} {result.file} {result.name}: {result.detail or 'not run'}")
    print(", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing to test")
