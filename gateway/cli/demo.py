"""`gateway demo`: a sample hub, the gateway and a real client in one screen; no network beyond loopback."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gateway.domain.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from gateway.simulator.samples import Sample

_START_S = 60
_FETCH_S = 60
_WORDS_SHOWN = 3
_WORDS = re.compile(r"(BLOCKED by gateway policy: .*)")
_FETCH = """\
import sys
from huggingface_hub import hf_hub_download
kind, repo, path, revision = sys.argv[1:]
print(hf_hub_download(repo, path, repo_type=kind, revision=revision))
"""
_EPILOG = """\
examples:
  gateway demo
  gateway demo --profile permissive --words
  gateway demo --keep ./demo-state      then: gateway audit list --state ./demo-state/state

What you see: a table of a dozen tiny repos, good and bad, fetched by the installed huggingface_hub with nothing but
HF_ENDPOINT set; the words a developer reads where the policy stops a fetch; then the ledger of it, verified.
exit codes: 0 as expected, 1 something passed or was denied that should not, 2 could not run.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo` to the command line."""
    parser = commands.add_parser(
        "demo",
        help="see it work: a sample hub, the gateway, a real client",
        description="Runs a sample hub and the gateway on loopback, and fetches a dozen tiny repos with a real client.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", default="balanced", help="policy profile (default: balanced)")
    parser.add_argument(
        "--keep", metavar="DIR", type=Path, help="keep state, ledger and client cache in this new folder"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object: {fetches: […], ledger: […], verified}"
    )
    parser.add_argument(
        "--words", action="store_true", help="show the words of every denial, not of the first few only"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo."""
    from gateway.simulator.samples import SAMPLES, sample_world
    from gateway.simulator.thread import SimulatorThread

    with contextlib.ExitStack() as stack:
        if args.keep is not None:
            if args.keep.exists():
                raise ConfigError(f"{args.keep} exists already: name a new folder for --keep")
            args.keep.mkdir(parents=True)
            root = args.keep
        else:
            root = Path(stack.enter_context(TemporaryDirectory(prefix="gateway-demo-")))
        hub = stack.enter_context(SimulatorThread(sample_world()))
        state = root / "state"
        with _serving(hub.hub_url, hub.cdn_url, state, args.profile) as url:
            _say(args, f"a sample hub on {hub.hub_url}, the gateway on {url}; fetching {len(SAMPLES)} files …")
            with ThreadPoolExecutor(4) as pool:
                results = list(pool.map(lambda sample: _fetch(sample, url, root / "hf-home"), SAMPLES))
        records = _audit("list", "--state", str(state), "--json", "--limit", "1000", "--kind", "decision").stdout
        verified = _audit("verify", "--state", str(state))
        rows = [json.loads(line) for line in records.splitlines()]
    expected = args.profile == "balanced"
    surprises = [s for s, r in zip(SAMPLES, results, strict=True) if expected and s.is_good != r["passed"]]
    if args.json:
        print(json.dumps({"fetches": results, "ledger": rows, "verified": verified.returncode == 0}, indent=2))
    else:
        _show(results, rows, verified.stdout, all_words=args.words)
        for sample in surprises:
            print(f"unexpected: {sample.name} {sample.path}")
    return 1 if surprises or verified.returncode != 0 else 0


def _say(args: argparse.Namespace, text: str) -> None:
    print(text, file=sys.stderr if args.json else sys.stdout, flush=True)


@contextlib.contextmanager
def _serving(hub_url: str, cdn_url: str, state: Path, profile: str) -> Iterator[str]:
    """The gateway as its own process, as an operator would start it; yields its URL."""
    log = state.parent / "gateway.log"
    command = [
        sys.executable, "-m", "gateway", "serve", "--listen", "127.0.0.1:0",
        "--state", str(state), "--profile", profile,
        "--upstream", hub_url, "--redirect-host", cdn_url.removeprefix("http://"), "--unsafe-allow-private-upstream",
    ]  # fmt: skip
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout is not None
        try:
            match = re.search(r"serving on (\S+)", process.stdout.readline())
            if match is None:
                raise ConfigError(f"the gateway did not start: {log.read_text('utf-8', 'replace')[-2000:]}")
            yield match[1]
        finally:
            process.terminate()
            process.wait(_START_S)
            process.stdout.close()


def _fetch(sample: Sample, url: str, home: Path) -> dict[str, Any]:
    """One fetch by huggingface_hub in its own process, and the words it ends with."""
    kind, repo = (
        ("dataset", sample.name.removeprefix("datasets/")) if "datasets/" in sample.name else ("model", sample.name)
    )
    kept = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")
    environment = {name: value for name in kept if (value := os.environ.get(name))}  # noqa: TID251 - a child's own start
    environment |= {
        "HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HOME": str(home),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _FETCH, kind, repo, sample.path, sample.revision],
        capture_output=True, text=True, timeout=_FETCH_S, env=environment, check=False,
    )  # fmt: skip
    words = _WORDS.search(done.stderr.rsplit("Traceback", 1)[-1])
    return {
        "repo": sample.name,
        "path": sample.path,
        "revision": sample.revision,
        "shows": sample.shows,
        "passed": done.returncode == 0,
        "words": words[1] if words else (done.stderr.strip().splitlines() or [""])[-1] if done.returncode else "",
    }


def _audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "audit", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def _show(results: list[dict[str, Any]], rows: list[dict[str, Any]], verified: str, *, all_words: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text("what a developer gets", "italic"))
    for result in results:
        line = Text("  passes  ", "green") if result["passed"] else Text("  denied  ", "red")
        line.append(_file(result), "default").append(f"  {result['shows']}", "dim default")
        console.print(line, no_wrap=True, overflow="ellipsis")
    denied = [result for result in results if not result["passed"]]
    for result in denied if all_words else denied[:_WORDS_SHOWN]:
        console.print(Text(f"$ hf download {_file(result)}", "bold"))
        console.print(Text(result["words"]))
    console.print(_ledger(rows))
    console.print(Text(verified.strip()), soft_wrap=True)  # a chain head is one line


def _file(result: dict[str, Any]) -> str:
    at = "" if result["revision"] == "main" else f" --revision {result['revision']}"
    return f"{result['repo']} {result['path']}{at}"


def _ledger(rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    ledger = Table(title="the ledger of it (gateway audit list)", title_justify="left", show_header=False)
    for name in ("effect", "file", "rule"):
        ledger.add_column(name, no_wrap=name != "file", overflow="fold")
    seen = set()
    for row in rows:
        key = (row.get("repo"), row.get("path"), row.get("effect"))
        if key in seen or not row.get("path"):
            continue
        seen.add(key)
        effect = str(row.get("effect", ""))
        rules = sorted({r["rule"] for r in row.get("reasons", [])}) if effect != "allow" else []
        colour = "green" if effect == "allow" else "red"
        ledger.add_row(Text(effect, colour), Text(f"{row['repo']} {row['path']}"), Text(", ".join(rules)))
    return ledger
