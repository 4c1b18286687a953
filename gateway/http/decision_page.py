"""The page that explains one decision to the one it was made for. Its facts are hostile: see `markup`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.domain.explaining import DECISIONS, REASONS, is_code, is_decision_id
from gateway.http import layout
from gateway.http.markup import Markup, el, joined
from gateway.ports import Rendering

_LABELS = {"deny": "Denied", "quarantine": "Quarantined", "allow": "Allowed"}
_SURFACES = {
    "complete": "everything was seen that can execute or mislead",
    "partial": "not everything was seen",
    "failed": "the scan did not finish",
    "not_run": "nothing was looked at",
}
_FINDINGS_SHOWN = 20
Facts = Mapping[str, Any]


def decision_page(facts: Facts, base: str) -> Rendering:
    """HTML of `decision_facts.facts_of`, with `rules`, `is_current` and `contact` added; links begin with `base`."""
    answers = facts["answers"]
    heading = _LABELS.get(str(facts["effect"]), str(facts["effect"]))
    return layout.page(
        200,
        f"{heading}: {answers[0]['repo']}"[:200],
        el("p", f"Decision {facts['id']}", class_="dim mono"),
        el("h1", _tag(facts["effect"]), " ", _what(answers[0]) if len(answers) == 1 else _repos(answers)),
        _standing(facts),
        *_answers(facts, base),
        _reasons("Warnings (rules in mode warn: the fetch goes on)", facts["warnings"], facts, base),
        _waived(facts, base),
        _reasons("Dry runs (rules in mode dryrun: in the ledger only)", facts["dryruns"], facts, base),
        _evidence(facts["reports"]),
        _decided(facts, base),
        el(
            "footer",
            "The same facts as JSON: ask for this address with ",
            el("code", "Accept: application/json"),
            ". Operators: ",
            el("code", f"gateway audit show {facts['id']}"),
            ".",
        ),
    )


def _standing(facts: Facts) -> str:
    if facts["is_current"]:
        return ""
    return el(
        "p",
        "Policy or policy data have changed since this decision: the next request is judged anew.",
        class_="box",
    )


def _repos(answers: Sequence[Facts]) -> str:
    return ", ".join(dict.fromkeys(str(answer["repo"]) for answer in answers))


def _what(answer: Facts) -> str:
    return " ".join(part for part in (str(answer["repo"]), str(answer["path"])) if part)


def _answers(facts: Facts, base: str) -> list[Markup]:
    """Why, what to do next, and what was asked; of several answers each with its own why and request."""
    answers = facts["answers"]
    if len(answers) == 1:
        asked = el("section", el("h2", "What was asked"), _asked(answers[0], facts))
        return [el("section", el("h2", "Why"), _why(answers[0], facts, base)), _next_steps(facts), asked]
    sections = [
        el(
            "section",
            el("h2", str(answer["path"]) or _what(answer), " ", _tag(answer["effect"])),
            _why(answer, facts, base),
            el("details", el("summary", "What was asked"), _asked(answer, facts)),
        )
        for answer in answers
    ]
    return [*sections, _next_steps(facts)]


def _asked(answer: Facts, facts: Facts) -> Markup:
    size = f"{answer['size_bytes']:,} bytes" if answer["size_bytes"] else ""
    times = str(answer["first_time"])
    if answer["last_time"] != answer["first_time"]:
        times += f", last {answer['last_time']}"
    return layout.rows(
        ("repo", str(answer["repo"])),
        ("ref", str(answer["ref"])),
        ("commit", _code(answer["commit"])),
        ("file", str(answer["path"])),
        ("digest", _code(answer["digest"])),
        ("size", size),
        ("asked to", " by ".join(str(answer[name]) for name in ("action", "route") if answer[name])),
        ("by", _who(facts["subject"])),
        ("from", ", ".join(map(str, answer["from"]))),
        ("when", times),
        ("how often", str(answer["count"]) if answer["count"] > 1 else ""),
    )


def _why(answer: Facts, facts: Facts, base: str) -> Markup:
    if not answer["reasons"]:
        is_allowed = answer["effect"] == "allow"
        return el("p", "No rule in mode enforce is against it." if is_allowed else "The policy gave no reason.")
    return _by_rule(answer["reasons"], facts, base, str(answer["effect"]), "enforce")


def _by_rule(reasons: Sequence[Facts], facts: Facts, base: str, effect: str, mode: str) -> Markup:
    """A box per rule and next step: one rule often has several things to say."""
    groups: dict[tuple[str, str], list[Facts]] = {}
    for reason in reasons:
        groups.setdefault((str(reason.get("rule", "")), str(reason.get("remedy", ""))), []).append(reason)
    return joined(*(_box(rule, remedy, found, facts, base, effect, mode) for (rule, remedy), found in groups.items()))


def _box(rule: str, remedy: str, reasons: Sequence[Facts], facts: Facts, base: str, effect: str, mode: str) -> Markup:
    known = facts["rules"].get(rule, {})
    name = el("a", rule, href=f"{base}{REASONS}{rule}") if is_code(rule) else el("span", rule)
    return el(
        "div",
        *map(_message, reasons),
        layout.rows(
            ("rule", joined(name, f" {known['title']}" if known.get("title") else "")),
            ("mode", mode),
            ("next step", remedy),
        ),
        _description(str(known.get("description", ""))),
        class_=f"box {effect}" if effect in _LABELS else "box",
    )


def _message(reason: Facts) -> Markup:
    about = [str(reason[name]) for name in ("severity", "path", "evidence") if reason.get(name)]
    return el(
        "p", el("strong", str(reason.get("message", ""))), Markup("<br>"), el("span", " · ".join(about), class_="dim")
    )


def _description(text: str) -> str:
    return el("details", el("summary", "What the rule looks at"), el("p", text)) if text else ""


def _reasons(title: str, reasons: Sequence[Facts], facts: Facts, base: str) -> str:
    if not reasons:
        return ""
    mode = "dryrun" if title.startswith("Dry") else "warn"
    return el("section", el("h2", title), _by_rule(reasons, facts, base, "", mode))


def _waived(facts: Facts, base: str) -> str:
    if not facts["waived"]:
        return ""
    parts = []
    for waived in facts["waived"]:
        parts += [el("p", "By waiver ", el("code", str(waived.get("waiver", ""))), ":")]
        parts += [_by_rule([waived["reason"]], facts, base, "allow", "enforce, waived")]
    return el("section", el("h2", "Waived: silenced by an approved exception"), *parts)


def _next_steps(facts: Facts) -> Markup:
    if facts["effect"] == "allow":
        return Markup("")
    remedies = dict.fromkeys(str(r.get("remedy", "")) for answer in facts["answers"] for r in answer["reasons"])
    rules = dict.fromkeys(str(r.get("rule", "")) for answer in facts["answers"] for r in answer["reasons"])
    contact = str(facts["contact"])
    whom = el("a", contact, href=_address(contact)) if contact else "the people who run this gateway"
    waiver = joined(
        "If you need it all the same, ask ",
        whom,
        " for a waiver: an approved exception with an owner and an expiry. Name the decision ",
        el("code", str(facts["id"])),
        ", the rule ",
        el("code", ", ".join(rules) or "(none)"),
        ", the revision and why you need it.",
    )
    return el(
        "section",
        el("h2", "What to do next"),
        el("ul", *(el("li", remedy) for remedy in remedies if remedy), el("li", waiver)),
    )


def _address(contact: str) -> str:
    return contact if contact.startswith(("http://", "https://")) else f"mailto:{contact}"


def _evidence(reports: Sequence[Facts]) -> str:
    return el("section", el("h2", "What the scanners saw"), *map(_report, reports)) if reports else ""


def _report(report: Facts) -> Markup:
    coverage, total = report.get("coverage") or {}, int(report.get("findings_total") or 0)
    surface = str(coverage.get("surface", ""))
    found = [finding for finding in report.get("findings") or () if finding][:_FINDINGS_SHOWN]
    more = el("p", f"{total - len(found)} more are in the scan report.", class_="dim") if total > len(found) else ""
    return el(
        "div",
        layout.rows(
            ("scanner", f"{report.get('scanner', '')} {report.get('version', '')}"),
            ("format", str(report.get("format", ""))),
            ("coverage", f"{surface}: {_SURFACES.get(surface, '')}"),
            ("cause", str(coverage.get("cause", ""))),
            ("looked at", "the whole file" if coverage.get("whole_file") else "the ranges that matter"),
            ("findings", str(total)),
        ),
        el("ul", *map(_finding, found)) if found else "",
        more,
        class_="box",
    )


def _finding(finding: Facts) -> Markup:
    where = " at ".join(str(finding[name]) for name in ("symbol", "location") if finding.get(name))
    return el(
        "li",
        el("strong", str(finding.get("severity", ""))),
        f" {finding.get('rule', '')} ({finding.get('cls', '')}) ",
        el("code", where) if where else "",
        f" {finding.get('message', '')}",
    )


def _decided(facts: Facts, base: str) -> Markup:
    behind = str(facts["revision_decision"])
    link = el("a", behind, href=f"{base}{DECISIONS}{behind}", class_="mono") if is_decision_id(behind) else ""
    return el(
        "section",
        el("h2", "How it was decided"),
        layout.rows(
            ("decided at", str(facts["time"])),
            ("for", _who(facts["subject"])),
            ("engine", str(facts["engine"])),
            ("policy", _code(facts["policy_digest"])),
            ("policy data", _code(facts["data_digest"])),
            ("scanners", str(facts["scanner_set"])),
            ("input", _code(facts["input_digest"])),
            ("stands on", link),
            ("masked", ", ".join(map(str, facts["masked"]))),
        ),
    )


def _who(subject: Facts) -> str:
    groups = ", ".join(map(str, subject["groups"]))
    return f"{subject['id']} ({subject['kind']})" + (f", groups {groups}" if groups else "")


def _tag(effect: object) -> Markup:
    known = str(effect) if effect in _LABELS else ""
    return el("span", _LABELS.get(str(effect), str(effect)), class_=f"tag {known}".strip())


def _code(value: object) -> str:
    return el("code", str(value)) if value else ""
