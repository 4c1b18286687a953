"""`gateway check ORG/MODEL`: judge a revision without downloading it, and print why like a compiler."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gateway.cli.flags import add_settings, settings_of
from gateway.domain.artifact import Repo
from gateway.domain.decision import Reason
from gateway.domain.errors import ConfigError, UnroutableRequest
from gateway.domain.subject import ANONYMOUS, Client, Subject, SubjectKind

if TYPE_CHECKING:
    from gateway.enforcement.checking import JudgedFile, Judgement
    from gateway.ports import Dialect
    from gateway.settings import Settings

_EXIT = {"allow": 0, "deny": 1, "unknown": 2}
_EPILOG = """\
examples:
  gateway check org/model
  gateway check org/model --revision v1.0 --profile strict
  gateway check datasets/org/set --as alice:research,ml --json

exit codes: 0 allowed, 1 denied (the revision or any file), 2 could not judge.
--json prints one object: {repo, ref, commit, profile, outcome, policy_digest, data_digest, reasons, warnings,
files: [{path, outcome, reasons, warnings, format, coverage, trouble}]}; docs/json.md describes it.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `check` to the command line."""
    parser = commands.add_parser(
        "check",
        help="judge a repo without downloading it",
        description="Judge every file of a revision as the gateway would, and say why. Nothing is kept or recorded.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("repo", metavar="[datasets/]ORG/NAME", help="the repo")
    parser.add_argument("--revision", default="", metavar="REF", help="branch, tag or commit")
    parser.add_argument("--as", dest="subject", metavar="NAME[:GROUP,…]", help="judge for this subject")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file, as for `gateway serve`")
    add_settings(parser, server=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Judge; 0 allowed, 1 denied, 2 could not judge."""
    from gateway import logs

    logs.configure("error", "console")
    with TemporaryDirectory(prefix="gateway-check-") as scratch:
        args.state = str(Path(scratch) / "state")
        settings = settings_of(args)
        judgement = asyncio.run(_judge(settings, args))
    if args.json:
        print(json.dumps(_to_json(args, settings, judgement), indent=2))
    else:
        _explain(args, settings, judgement)
    return _EXIT[judgement.outcome]


async def _judge(settings: Settings, args: argparse.Namespace) -> Judgement:
    from gateway.app import composed
    from gateway.enforcement.context import RequestContext

    def progress(done: int, total: int, path: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{done + 1}/{total} {path[:60]}", end="", file=sys.stderr, flush=True)

    async with composed(settings, "http://localhost") as core:
        context = RequestContext("check", "GET", _subject(args.subject), Client("gateway-check"), "", mode="check")
        repo, ref = _asked(core.dialect, args.repo, args.revision)
        judgement = await core.checking.check(context, repo, ref, progress)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return judgement


def _asked(dialect: Dialect, name: str, revision: str) -> tuple[Repo, str]:
    """Repo and ref as a request for them would be read: nothing else may reach the hub. Raises ConfigError."""
    asked = f"/{name}/resolve"
    try:
        repo = dialect.parse("GET", f"{asked}/HEAD/README.md").repo
    except UnroutableRequest:
        repo = None
    if repo is None or (repo.type.prefix + repo.id) != name:
        raise ConfigError(f"{name!r} is no repo: write ORG/MODEL or datasets/ORG/NAME")
    try:
        return repo, dialect.parse("GET", f"{asked}/{quote(revision or 'HEAD', safe='')}/README.md").ref
    except UnroutableRequest:
        raise ConfigError(f"{revision!r} is no revision: name a branch, a tag or a commit") from None


def _subject(text: str | None) -> Subject:
    if not text:
        return ANONYMOUS
    name, _, groups = text.partition(":")
    return Subject(name, SubjectKind.USER, frozenset(g for g in groups.split(",") if g))


def _to_json(args: argparse.Namespace, settings: Settings, judgement: Judgement) -> dict[str, Any]:
    decision = judgement.decision
    return {
        "repo": args.repo,
        "ref": args.revision,
        "commit": judgement.commit,
        "profile": settings.policy.profile,
        "outcome": judgement.outcome,
        "effect": decision.effect.value,
        "policy_digest": decision.policy_digest,
        "data_digest": decision.data_digest,
        "reasons": [dataclasses.asdict(r) for r in decision.reasons if not r.path],
        "warnings": [dataclasses.asdict(r) for r in decision.warnings if not r.path],
        "files": [
            {
                "path": file.path,
                "outcome": file.outcome,
                "reasons": [dataclasses.asdict(r) for r in file.reasons],
                "warnings": [dataclasses.asdict(r) for r in file.warnings],
                "format": file.reports[0].format if file.reports else None,
                "coverage": dataclasses.asdict(file.reports[0].coverage) if file.reports else None,
                "trouble": file.trouble,
            }
            for file in judgement.files
        ],
    }


def _explain(args: argparse.Namespace, settings: Settings, judgement: Judgement) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    decision = judgement.decision
    for reason in (r for r in decision.reasons if not r.path):
        _reason(console, "error", "red", reason, args.repo)
    for file in judgement.files:
        for reason in file.reasons:
            _reason(console, "error", "red", reason, file.path)
        if file.trouble:
            console.print(f"[yellow]not judged[/]: {_plain(file.trouble)}\n  --> {_plain(file.path)}")
    for reason in (r for r in decision.warnings if not r.path):
        _reason(console, "warning", "yellow", reason, args.repo)
    for file in judgement.files:
        for reason in file.warnings:
            _reason(console, "warning", "yellow", reason, file.path)
    colour = {"allow": "green", "deny": "red", "unknown": "yellow"}[judgement.outcome]
    word = {"allow": "allowed", "deny": "denied", "unknown": "could not be judged"}[judgement.outcome]
    console.print(
        f"[{colour}]{word}[/]: {_plain(args.repo)} at {judgement.commit[:12]}, profile {settings.policy.profile}: "
        f"{_count(judgement.files)}"
    )


def _reason(console: Any, level: str, colour: str, reason: Reason, where: str) -> None:
    console.print(f"[{colour}]{level}[/]\\[{reason.rule}]: {_plain(reason.message)}")
    console.print(f"  --> {_plain(where)}{f' ({_plain(reason.evidence)})' if reason.evidence else ''}")
    if reason.remedy:
        console.print(f"  = help: {_plain(reason.remedy)}")
    console.print()


def _count(files: tuple[JudgedFile, ...]) -> str:
    if not files:
        return "the revision itself is refused"
    outcomes = [file.outcome for file in files]
    return ", ".join(f"{outcomes.count(kind)} {kind}" for kind in sorted(set(outcomes)))


def _plain(text: str) -> str:
    """Text of strangers: no markup, no control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text).replace("[", "\\[")
