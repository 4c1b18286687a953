"""How `gateway audit` prints: tables for people, JSON for machines. Recorded text is never trusted as terminal text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.ledger.heads import head_line
from gateway.ledger.verify import ChainReport, Gap

_STYLE = {"allow": "green", "deny": "red", "quarantine": "yellow", "pending": "yellow", "refused": "red"}
_LABEL = {"deny": "denied", "quarantine": "quarantined", "allow": "allowed", "pending": "pending", "refused": "refused"}
_LOST = {
    "none": "nothing lost: the process was killed, the machine kept running",
    "repeats": "the machine went down: repeats of the last flush interval may be missing",
    "damage": "records that had reached stable storage do not verify",
    "unknown": "nothing readable was left",
    "open": "the gateway runs, or ended without a clean end",
}


def printable(text: object) -> str:
    """Text safe for a terminal: control, bidi and other unprintable characters are shown escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def print_json_lines(records: Iterator[dict[str, Any]]) -> None:
    """NDJSON: one record per line, as it is recorded."""
    for record in records:
        sys.stdout.write(orjson.dumps(record).decode() + "\n")


def warn_unread(unread: Mapping[str, int]) -> None:
    """Say on stderr which segments could not be read to their end."""
    for segment, offset in unread.items():
        print(f"gateway audit: {segment} does not verify from offset {offset} on; see `audit verify`.", file=sys.stderr)


def print_table(records: list[dict[str, Any]], *, limit: int) -> None:
    console = Console()
    if not records:
        console.print("No record matches.")
        return
    # One column holds what and why: beside each other they leave no room for an id in one piece at 80 columns.
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column, no_wrap in (("time (UTC)", True), ("effect", True), ("who", False), ("what and why", False)):
        table.add_column(column, overflow="fold", no_wrap=no_wrap)
    for record in records:
        effect = str(record.get("effect", ""))
        table.add_row(
            record["time"][:19].replace("T", " "),
            Text(effect, style=_STYLE.get(effect, "")),
            Text(printable(record.get("subject", ""))),
            _what_and_why(record),
        )
    console.print(table)
    if limit and len(records) == limit:
        console.print(f"Only the newest {limit} are shown; --limit 0 shows all.", style="dim")


def _what_and_why(record: Mapping[str, Any]) -> Text:
    what = " ".join(str(record[name]) for name in ("repo", "path") if record.get(name)) or record["kind"]
    why, decision_id = printable(_why(record)), printable(record.get("decision_id", ""))
    below = Text("  ").join(Text(part, style) for part, style in ((why, ""), (decision_id, "dim")) if part)
    return Text("\n").join(line for line in (Text(printable(what)), below) if line)


def _why(record: Mapping[str, Any]) -> str:
    rules = [str(reason.get("rule", "")) for reason in record.get("reasons", ())]
    if rules:
        return ", ".join(dict.fromkeys(rules))
    if record["kind"] == "delivery":
        return f"{record.get('bytes_delivered', 0)} bytes delivered"
    count = record.get("count", 1)
    words = [str(record["note"])] if record.get("note") else []
    words += [f"waived {w['reason'].get('rule', '')} ({w.get('waiver', '')})" for w in record.get("waived", ())]
    for word, key in (("warned", "warnings"), ("dry run", "dryruns")):
        words += [f"{word} {rule}" for rule in dict.fromkeys(str(w.get("rule", "")) for w in record.get(key, ()))]
    return ", ".join(words) + (f" (x{count})" if count != 1 else "")


def print_explanation(records: list[dict[str, Any]]) -> None:
    """Each decision or refusal like a compiler error, then what was delivered under it."""
    console = Console(soft_wrap=True, highlight=False)
    deliveries = [r for r in records if r["kind"] == "delivery"]
    explained: set[str] = set()
    repeats = []
    for record in records:
        is_repeat = record.get("remembered") or record.get("count", 1) != 1
        if is_repeat and record.get("decision_id", "") in explained:
            repeats.append(record)
        elif record["kind"] != "delivery":
            _print_decision(console, record)
            explained.add(record.get("decision_id", ""))
    if repeats:
        console.print("asked again, answered by the same decision", style="bold")
        for record in repeats:
            named = (record.get(name, "") for name in ("subject", "address", "client", "ref", "request_id"))
            count = f"x{record['count']}" if record.get("count", 1) != 1 else ""
            console.print(Text("  " + "  ".join(printable(part) for part in (record["time"], *named, count) if part)))
        console.print()
    if deliveries:
        console.print("delivered", style="bold")
        for record in deliveries:
            start, end = record.get("span", (0, record.get("bytes_delivered", 0)))
            line = f"  {record['time']}  {record.get('subject', '')}  {record.get('bytes_delivered', 0)} bytes"
            line += f" of [{start}, {end})  {record.get('path', '')}  {record.get('digest', '')}"
            console.print(Text(printable(line)))
    elif any(r["kind"] == "decision" for r in records):
        console.print("delivered", style="bold", end="")
        console.print("  nothing under this decision")


def _print_decision(console: Console, record: Mapping[str, Any]) -> None:
    effect = str(record.get("effect", ""))
    style = f"bold {_STYLE.get(effect, 'cyan')}"
    target = str(record.get("repo", "")) + (f" @ {record['commit']}" if record.get("commit") else "")
    target += f" : {record['path']}" if record.get("path") else ""
    remembered = " (remembered)" if record.get("remembered") else ""
    console.print(Text(_LABEL.get(effect, record["kind"]), style=style), Text(printable(target) + remembered))
    _print_reasons(console, "error", "bold red", record.get("reasons", ()))
    _print_reasons(console, "warning", "bold yellow", record.get("warnings", ()))
    _print_reasons(console, "dry run", "bold cyan", record.get("dryruns", ()))
    for waived in record.get("waived", ()):
        _print_reasons(console, f"waived by {waived.get('waiver', '')}", "bold blue", [waived.get("reason", {})])
    _print_reports(console, record.get("extra", {}).get("reports", ()))
    for label, text in _facts(record):
        console.print(Text(f"  = {label}: ", style="dim"), Text(printable(text)), sep="")
    console.print()


def _print_reasons(console: Console, label: str, style: str, reasons: Iterable[Mapping[str, Any]]) -> None:
    for reason in reasons:
        head = f"{printable(label)}[{printable(reason.get('rule', ''))}]"
        console.print(Text(head, style=style), Text(f": {printable(reason.get('message', ''))}"), sep="")
        if reason.get("path"):
            console.print(Text(f"  --> {printable(reason['path'])}"))
        for name in ("severity", "evidence", "remedy"):
            if reason.get(name):
                console.print(Text(f"      {name}: {printable(reason[name])}"))


def _print_reports(console: Console, reports: Iterable[Mapping[str, Any]]) -> None:
    """What the scanners saw: how much of the file, and each finding in a line."""
    for report in reports:
        coverage = report.get("coverage", {})
        seen = f"{report.get('format', '')}, surface {coverage.get('surface', '')}"
        seen += f" ({coverage['cause']})" if coverage.get("cause") else ""
        seen += ", whole file" if coverage.get("whole_file") else ", by ranges"
        total = report.get("findings_total", 0)
        seen += f", {total} finding{'' if total == 1 else 's'}"
        by = f"{report.get('scanner', '')} {report.get('version', '')}"
        console.print(Text("  = evidence: ", style="dim"), Text(printable(f"{seen} (by {by})")), sep="")
        for found in report.get("findings", ()):
            where = " ".join(str(found[name]) for name in ("symbol", "location") if found.get(name))
            line = f"{found.get('severity', '')} {found.get('rule', '')} [{found.get('cls', '')}] {where}: "
            console.print(Text(f"      {printable(line + str(found.get('message', '')))}"))


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    who = f"{record.get('subject', '')} ({record.get('subject_kind', '')})" if record.get("subject") else ""
    if record.get("groups"):
        who += f", groups {', '.join(map(str, record['groups']))}"
    more = {name: value for name, value in record.get("extra", {}).items() if name != "reports"}
    rows = (
        ("when", record["time"]),
        ("who", who),
        ("from", " ".join(str(record[name]) for name in ("address", "client") if record.get(name))),
        ("asked", " ".join(str(record[name]) for name in ("action", "route", "ref") if record.get(name))),
        ("bytes", f"{record.get('digest', '')} ({record.get('size_bytes', 0)} bytes)" if record.get("digest") else ""),
        ("engine", record.get("engine", "")),
        ("policy", record.get("policy_digest", "")),
        ("data", record.get("data_digest", "")),
        ("scanners", record.get("scanner_set", "")),
        ("input", record.get("input_digest", "")),
        ("note", record.get("note", "")),
        ("count", str(record["count"]) if record.get("count", 1) != 1 else ""),
        ("more", orjson.dumps(more).decode() if more else ""),
        ("masked", ", ".join(record.get("masked", ()))),
        ("decision", record.get("decision_id", "")),
        ("request", record.get("request_id", "")),
        ("record", f"{record['instance']}/w{record['worker']} seq {record['seq']}"),
    )
    yield from ((label, str(text)) for label, text in rows if text)


def print_verification(reports: list[ChainReport], *, compared: bool) -> None:
    console = Console(highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("chain", "verdict", "segments", "records", "gaps", "from (UTC)", "to (UTC)"):
        table.add_column(column, overflow="fold", no_wrap=column != "chain")
    for report in reports:
        verdict = Text("TAMPERED", style="bold red") if report.problems else Text("verifies", style="green")
        counts = (str(report.segments), str(report.records), str(len(report.gaps)))
        times = (time[:16].replace("T", " ") for time in (report.first_time, report.last_time))
        table.add_row(report.chain, verdict, *counts, *times)
    console.print(table)
    for report in reports:
        for problem in report.problems:
            place = f"{problem.segment} at offset {problem.offset}" if problem.segment else report.chain
            console.print(Text(f"error: {printable(place)}: {printable(problem.what)}", style="red"), soft_wrap=True)
        for gap in report.gaps:
            console.print(Text(f"gap: {_gap(gap)}", style="yellow"), soft_wrap=True)
    console.print("\nHeads to keep elsewhere (compare later with --head FILE):")
    for report in reports:
        if report.head:
            console.print(Text(head_line(report.chain, report.last_seq, report.head)), soft_wrap=True)
    if not compared:
        console.print("Without kept heads, records cut off at the end of a chain cannot be noticed.", style="dim")


def _gap(gap: Gap) -> str:
    place = f"{gap.segment or 'before the first record'} at offset {gap.from_offset}"
    unverified_bytes = gap.to_offset - gap.from_offset
    cut = f", {unverified_bytes} bytes of an unfinished write" if unverified_bytes else ""
    return f"{place}{cut}: {_LOST.get(gap.lost, gap.lost)}"


def print_verification_json(reports: list[ChainReport]) -> None:
    """`{"ok": bool, "chains": [ChainReport]}`; `--head` reads it back."""
    body = {"ok": not any(report.problems for report in reports), "chains": [asdict(report) for report in reports]}
    sys.stdout.write(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode() + "\n")
