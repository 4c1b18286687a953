"""The samples of the rules: `rules/<category>/<rule-name>/*.json`, an input and what the decision must say of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.domain.decision import Decision, Reason
from gateway.policy import data_layers

DEFAULT_PROFILE = "balanced"
REQUIRED = ("allowed.json", "denied.json")

_KEYS = frozenset({"input", "profile", "data_overlay", "expected", "$schema", "description"})
_EXPECTED = frozenset({"effect", "scope", "reasons", "warnings", "dryruns", "waived", "files"})


class SampleMistake(Exception):
    """A sample that is no sample: one sentence with its file."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample. `path` is relative to the Rego folder; the keys of `expected` must hold, others are not looked at."""

    path: str
    rule: str
    input: dict[str, Any]
    profile: str
    data_overlay: dict[str, Any]
    expected: dict[str, Any]


def read(rego_dir: Path, rule: str) -> list[Sample]:
    """All samples of a rule. Raises SampleMistake; also where allowed.json or denied.json is missing."""
    folder = rego_dir / "rules" / rule
    for name in REQUIRED:
        if not (folder / name).is_file():
            raise SampleMistake(f"rules/{rule}/{name} is missing")
    return [_read(path, rule, path.relative_to(rego_dir).as_posix()) for path in sorted(folder.glob("*.json"))]


def _read(path: Path, rule: str, name: str) -> Sample:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SampleMistake(f"{name}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict) or not content.keys() >= {"input", "expected"} or content.keys() - _KEYS:
        raise SampleMistake(f"{name}: is no object of the keys input, expected, and perhaps profile, data_overlay")
    expected = content["expected"]
    if not isinstance(content["input"], dict) or not isinstance(expected, dict) or expected.keys() - _EXPECTED:
        raise SampleMistake(f"{name}: expected knows the keys {', '.join(sorted(_EXPECTED))}")
    return Sample(
        name, rule, content["input"], content.get("profile", DEFAULT_PROFILE), content.get("data_overlay", {}), expected
    )


def data_of(sample: Sample, data_dir: Path, rows: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """The shipped base, the sample's profile, its overlay. Raises ConfigError, SampleMistake.

    `rows` are those of `config.rules` for the rules of a library that is not the shipped one: they stand where the
    shipped data names no such rule, and what is no rule of that library is left out.
    """
    data, mistakes = data_layers.merge(data_layers.layers(data_dir, sample.profile, ()))
    if mistakes:
        raise SampleMistake(mistakes[0])
    if rows is not None and isinstance(config := data.get("config"), dict):
        shipped = config.get("rules", {})
        data = {**data, "config": {**config, "rules": {rule: shipped.get(rule, row) for rule, row in rows.items()}}}
    return data_layers.overlaid(data, sample.data_overlay)


def differences(sample: Sample, decision: Decision) -> list[str]:
    """What the decision says otherwise than the sample expects; empty when all holds."""
    said = {
        "effect": decision.effect.value,
        "scope": decision.scope.value,
        "reasons": _rules(decision.reasons),
        "warnings": _rules(decision.warnings),
        "dryruns": _rules(decision.dryruns),
        "waived": _rules(tuple(w.reason for w in decision.waived)),
        "files": {path: effect.value for path, effect in decision.files.items()},
    }
    found = [
        f"{key} is {json.dumps(said[key])}, expected {json.dumps(value)}"
        for key, value in sample.expected.items()
        if said[key] != value
    ]
    fired = sample.rule in {*said["reasons"], *said["warnings"], *said["dryruns"], *said["waived"]}
    name = sample.path.rsplit("/", 1)[-1]
    if name == "denied.json" and not fired:
        found.append(f"{sample.rule} does not fire")
    if name == "allowed.json" and fired:
        found.append(f"{sample.rule} fires")
    return found


def _rules(reasons: tuple[Reason, ...]) -> list[str]:
    return sorted({reason.rule for reason in reasons})
