"""How `gateway scan` shows what was found: a table of files, then each finding with its effect and the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from gateway.cli.scan_files import Scanned
from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface

_SAFETENSORS = "Use the safetensors version of the weights, or ask the publisher for one."

# finding class -> what it can do, what to do instead.
ADVICE: dict[FindingClass, tuple[str, str]] = {
    FindingClass.CODE_EXEC: ("Runs code on the machine that loads the file.", _SAFETENSORS),
    FindingClass.FILE: ("Reads or writes files on the machine that loads the file.", _SAFETENSORS),
    FindingClass.NETWORK: ("Opens network connections from the machine that loads the file.", _SAFETENSORS),
    FindingClass.UNKNOWN_GLOBAL: ("Loads an object that nobody has vouched for; it may run anything.", _SAFETENSORS),
    FindingClass.FRAMEWORK_GLOBAL: ("Rebuilds objects of a framework, by that framework's own code.", _SAFETENSORS),
    FindingClass.AMBIGUITY: (
        "Different programs read different content from these bytes, so what was judged may not be what is loaded.",
        "Get the file again from its publisher; save it anew with the library that owns the format.",
    ),
    FindingClass.TRAVERSAL: (
        "Writes or reads outside its own folder when it is unpacked or loaded.",
        "Do not unpack it; get the files one by one from the publisher.",
    ),
    FindingClass.DOS: (
        "Exhausts memory, disk or time of the program that loads it.",
        "Do not load it; ask the publisher for a sound file.",
    ),
    FindingClass.REMOTE_CODE: (
        "Names Python code that loaders fetch and run when remote code is trusted.",
        "Load it without trust_remote_code, or review that code and approve its digest.",
    ),
    FindingClass.TEMPLATE: (
        "A template that reaches beyond formatting a conversation when it is rendered.",
        "Use the template of the original model, or render in a sandboxed environment.",
    ),
    FindingClass.EMBEDDED_EXE: ("Is, or carries, a program.", "Do not run it; model weights need no program."),
    FindingClass.POLICY: ("Is worth knowing; it does not act by itself.", "Read the file before you rely on it."),
}
ENFORCED = frozenset(FindingClass) - {FindingClass.FRAMEWORK_GLOBAL, FindingClass.POLICY, FindingClass.REMOTE_CODE}

_CAUSES = {
    "unsupported-format": "a format that can act and that has no reader here",
    "read-budget": "asked for more bytes than one scan may read",
    "inflate-budget": "decompresses past every sensible size",
    "opcode-budget": "a longer program than one scan follows",
    "timeout": "took too long",
    "oom": "used too much memory",
    "crashed": "the scanner's process died over it",
    "malformed": "broken before its end",
    "persistent-id": "loads objects by names that only its own loader knows",
    "torchscript": "compiled code, which is only looked at in part",
    "unexpected-member": "holds a member that torch does not write",
    "unreadable": "could not be read",
}
_COLOURS = {Severity.CRITICAL: "bold red", Severity.HIGH: "red", Severity.MEDIUM: "yellow"}


def exit_code(scanned: list[Scanned]) -> int:
    """1 enforced findings, 2 something not judged, 0 neither."""
    counts = summary(scanned)
    if counts["enforced_findings"]:
        return 1
    return 2 if counts["not_judged"] else 0


def summary(scanned: list[Scanned]) -> dict[str, int]:
    """Counts over all files."""
    complete = sum(item.report.coverage.surface is Surface.COMPLETE for item in scanned)
    return {
        "files": len(scanned),
        "complete": complete,
        "enforced_findings": sum(f.cls in ENFORCED for item in scanned for f in item.report.findings),
        "not_judged": len(scanned) - complete,
    }


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A progress bar on standard error, gone when the work is done."""
    columns = (TextColumn("scanning"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[path]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("scanning", total=total, path="")
        yield lambda path: bar.update(task, advance=1, path=escape(path))


def show(scanned: list[Scanned], skipped: list[str]) -> None:
    """Print the table of files, then every finding, then one line of summary."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for column in ("FILE", "FORMAT", "COVERAGE", "FINDINGS"):
        table.add_column(column, overflow="fold")
    for item in scanned:
        table.add_row(
            escape(_visible(item.path)), item.report.format, coverage_words(item.report.coverage), _counted(item)
        )
    console.print(table)
    for item in scanned:
        for finding in item.report.findings:
            _show_finding(console, item, finding)
    for path in skipped:
        console.print(f"left out: {escape(_visible(path))}")
    counts = summary(scanned)
    console.print(
        f"\n{counts['files']} files: {counts['complete']} judged completely, {counts['not_judged']} not judged, "
        f"{counts['enforced_findings']} findings of an enforced class."
    )


def coverage_words(coverage: Coverage) -> str:
    """Coverage for a person: complete, or what is missing and why."""
    if coverage.surface is Surface.COMPLETE:
        return "complete" if coverage.whole_file else "complete (by ranges)"
    reason = _CAUSES.get(coverage.cause, coverage.cause)
    return f"{coverage.surface.value.replace('_', ' ')}: {escape(reason)}"


def _counted(item: Scanned) -> str:
    if not item.report.findings:
        return "-"
    worst = min(item.report.findings, key=lambda f: list(Severity).index(f.severity)).severity
    return f"[{_COLOURS.get(worst, 'default')}]{len(item.report.findings)} ({worst.value})[/]"


def _show_finding(console: Console, item: Scanned, finding: Finding) -> None:
    effect, remedy = ADVICE[finding.cls]
    where = _visible(item.path) + (f" ({finding.location})" if finding.location else "")
    subject = f"{finding.symbol}: " if finding.symbol else ""
    colour = _COLOURS.get(finding.severity, "default")
    console.print(f"\n[{colour}]{finding.severity.value}[/] {escape(f'{finding.rule} [{finding.cls.value}]')}")
    lines = Table.grid(padding=(0, 2))
    for _ in range(3):
        lines.add_column(overflow="fold")
    for label, text in (
        ("what", subject + finding.message),
        ("where", where),
        ("effect", effect),
        ("instead", remedy),
    ):
        lines.add_row("", label, escape(text))
    console.print(lines)


def _visible(path: str) -> str:
    """A file name with its control and bidi characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)
