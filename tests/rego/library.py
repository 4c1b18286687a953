"""The shipped library on a bare regorus engine: no worker, no adapter, so that a failure here is a rule's."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import regorus

from gateway.policy.data_layers import layers, merge
from gateway.shipped import policy_data_dir, rego_dir

ROOT = Path(__file__).parents[2]
REGO = rego_dir()
RULES = sorted(p for p in (REGO / "rules").glob("*/*") if p.is_dir())
IDS = [p.relative_to(REGO / "rules").as_posix() for p in RULES]
PROFILES = ("permissive", "balanced", "strict")


@cache
def _modules() -> tuple[tuple[str, str], ...]:
    found = sorted(p for p in REGO.rglob("*.rego") if not p.name.endswith("_test.rego"))
    return tuple((p.relative_to(REGO).as_posix(), p.read_text("utf-8")) for p in found)


def policy_data(profile: str, *overlays: Path) -> dict[str, Any]:
    data, mistakes = merge(layers(policy_data_dir(), profile, overlays))
    assert mistakes == []
    return data


class Library:
    """The library with one set of data."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._engine = regorus.Engine()
        for name, text in _modules():
            self._engine.add_policy(name, text)
        self._engine.add_data_json(json.dumps(data))

    def decide(self, asked: Any) -> dict[str, Any]:
        self._engine.set_input_json(json.dumps(asked))
        answer = json.loads(self._engine.eval_query_as_json("data.gateway.decision"))
        decision: dict[str, Any] = answer["result"][0]["expressions"][0]["value"]
        return decision


def sample(identity: str, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((REGO / "rules" / identity / f"{name}.json").read_text("utf-8"))
    return loaded


def of_sample(content: dict[str, Any], folder: Path) -> Library:
    overlay = folder / "overlay.json"
    overlay.write_text(json.dumps(content.get("data_overlay", {})), "utf-8")
    return Library(policy_data(content.get("profile", "balanced"), overlay))


def refuses(decision: dict[str, Any], rule: str) -> bool:
    """Does the decision refuse the whole, or the files that the rule's reasons name?"""
    if decision["effect"] != "allow":
        return True
    paths = [r["path"] for r in decision["reasons"] if r["rule"] == rule]
    return bool(paths) and all(decision["files"].get(path) in {"deny", "hide"} for path in paths)


def keys(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The place of every key of every object in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from keys(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from keys(inner, (*at, index))


def changed(document: Any, place: tuple[str | int, ...], **to: Any) -> Any:
    """A copy with the key at `place` removed, or set to `to["value"]`."""
    result = copy.deepcopy(document)
    owner = result
    for key in place[:-1]:
        owner = owner[key]
    if "value" in to:
        owner[place[-1]] = to["value"]
    else:
        del owner[place[-1]]
    return result
