"""The loader's own checks (rego.md §5, §6): what regorus would only show when a rule is evaluated, or not at all.

A bundle that passes means the same on the embedded engine and on OPA. All mistakes are reported together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.policy import banned_forms, capabilities, metadata, names, recursion
from gateway.policy.metadata import RuleMetadata
from gateway.policy.plain_data import Mistake
from gateway.policy.syntax import Module, ModuleTree, ParseFailure, parse


@dataclass(slots=True)
class Report:
    """Every mistake as one sentence that begins with its place; the rules' metadata by id."""

    mistakes: list[str] = field(default_factory=list)
    rules: dict[str, RuleMetadata] = field(default_factory=dict)


def check(modules: Sequence[Module], rego_dir: Path, data: Mapping[str, Any]) -> Report:
    """Check modules and data together. Never raises for what they hold."""
    report = Report()
    trees: list[ModuleTree] = []
    for module in modules:
        try:
            trees.append(parse(module))
        except ParseFailure as failure:
            report.mistakes.append(str(failure))
    broken = bool(report.mistakes)
    for tree in trees:
        report.mistakes += names.placement(tree)
        report.mistakes += banned_forms.find(tree)
    report.mistakes += names.shared_packages(trees)
    _metadata(modules, report)
    if not broken:  # with a module missing, every reference into it would be one more mistake
        report.mistakes += _together(trees, rego_dir)
    report.mistakes += _rule_ids(data, report.rules)
    return report


def _together(trees: Sequence[ModuleTree], rego_dir: Path) -> list[str]:
    try:
        allowed = capabilities.load(rego_dir / "capabilities.json")
    except Mistake as mistake:
        return [str(mistake)]
    table = names.Table(trees)
    found = list(names.entrypoint(table))
    for tree in trees:
        found += names.resolve(tree, table, allowed)
    return found + recursion.find(trees, table)


def _metadata(modules: Iterable[Module], report: Report) -> None:
    for module in modules:
        identity = metadata.rule_id(module.path)
        if identity is None:
            continue
        try:
            report.rules[identity] = metadata.read(module)
        except Mistake as mistake:
            report.mistakes.append(str(mistake))


def _rule_ids(data: Mapping[str, Any], rules: Mapping[str, RuleMetadata]) -> list[str]:
    """Data that names a rule which does not exist would silently do nothing."""
    named = {"config.rules": _object(_object(data.get("config")).get("rules"))}
    for name, waiver in _object(data.get("waivers")).items():
        named[f"waivers.{name}.rules"] = _object(_object(waiver).get("rules"))
    return [
        f"policy data: {where} names {identity!r}, which is no rule of this library"
        for where, identities in sorted(named.items())
        for identity in sorted(identities)
        if identity not in rules
    ]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
