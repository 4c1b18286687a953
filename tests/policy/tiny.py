"""A tiny Rego tree and questions to it: enough policy to drive every outcome of an engine, chosen by the repo's id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.decision import Query
from gateway.policy import canary, document
from gateway.policy.bundle import Bundle
from gateway.policy.syntax import Module

CAPABILITIES = [
    "array.concat", "concat", "contains", "count", "endswith", "glob.match", "is_string", "lower", "numbers.range",
    "object.get", "regex.match", "replace", "sort", "split", "sprintf", "startswith", "to_number", "walk",
]  # fmt: skip

MAIN = """package gateway

import rego.v1

import data.gateway.lib.words

base := {
	"effect": "allow",
	"scope": "revision",
	"files": {f.path: "needs_evidence" | some f in input.revision.files},
	"reasons": set(),
	"warnings": set(),
	"dryruns": set(),
	"waived": set(),
	"obligations": set(),
	"valid_until": "",
}

reasons contains reason if {
	some category, name
	some reason in data.gateway.rules[category][name].deny
}

decision := object.union(base, {"effect": "deny", "scope": "repo", "reasons": reasons}) if {
	count(reasons) > 0
}

decision := base if {
	count(reasons) == 0
	not words.special
}
"""

WORDS = """package gateway.lib.words

import rego.v1

special if startswith(input.repo.id, "hostile/")

reason(rule, message) := {
	"rule": rule,
	"severity": "high",
	"message": message,
	"remedy": "Choose another repo.",
	"path": "",
	"evidence": "",
}
"""

RULE = """# METADATA
# title: Denied repo
# description: Refuses the repos that data names.
# custom:
#   id: denylist/repo
#   severity: high
#   message: <repo> is denied
#   remedy: Choose another repo.
package gateway.rules.denylist.repo

import rego.v1

import data.gateway.lib.words

deny contains words.reason("denylist/repo", sprintf("%s is denied", [input.repo.id])) if {
	data.config.denylist[input.repo.id]
}
"""

RULE_TEST = """package gateway.rules.denylist.repo_test

import rego.v1

import data.gateway.rules.denylist.repo

test_denied if {
	count(repo.deny) == 1 with input as {"repo": {"id": "bad/repo"}} with data.config.denylist as {"bad/repo": true}
}

test_allowed if count(repo.deny) == 0 with input as {"repo": {"id": "good/repo"}} with data.config.denylist as {}
"""

DATA = {"config": {"denylist": {"bad/repo": True}, "rules": {"denylist/repo": {"mode": "enforce"}}}}

FILES = {
    "main.rego": MAIN,
    "lib/words.rego": WORDS,
    "rules/denylist/repo/repo.rego": RULE,
    "rules/denylist/repo/repo_test.rego": RULE_TEST,
    "capabilities.json": json.dumps({"builtins": [*CAPABILITIES, "object.union"]}),
}


def write(root: Path, files: Mapping[str, str | None] | None = None) -> tuple[Path, Path]:
    """Write the tree (changed by `files`; None removes one) and a data folder with the profile `balanced`."""
    rego, data = root / "rego", root / "policy-data"
    for name, text in {**FILES, **(files or {})}.items():
        if text is not None:
            target = rego / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    (data / "profiles").mkdir(parents=True, exist_ok=True)
    (data / "base.json").write_text(json.dumps(DATA))
    (data / "profiles" / "balanced.json").write_text("{}")
    return rego, data


def sample(repo_id: str, **expected: Any) -> str:
    """A sample file about a repo."""
    return json.dumps({"input": document.build(question(repo_id)).value, "expected": expected})


def load(root: Path, files: Mapping[str, str | None] | None = None) -> Bundle:
    rego, data = write(root, files)
    return Bundle.load(rego, data, "balanced", with_tests=True)


def unchecked(modules: Mapping[str, str], data: Mapping[str, Any] = DATA) -> Bundle:
    """A bundle as it would be if the loader's checks were bypassed: for what must hold even then."""
    found = tuple(Module(path, text) for path, text in modules.items())
    return Bundle(found, (), data, {}, "balanced", "sha256:policy", "sha256:data")


def question(repo_id: str, scope: str = "revision") -> Query:
    """The canary's question of a scope, about another repo."""
    query = next(q for q in canary.queries() if q.scope == scope)
    repo = Repo("huggingface", RepoType.MODEL, repo_id)
    return replace(query, repo=replace(query.repo, repo=repo))


SAMPLES: Mapping[str, str | None] = {
    "rules/denylist/repo/allowed.json": sample("good/repo", effect="allow", reasons=[]),
    "rules/denylist/repo/denied.json": sample("bad/repo", effect="deny", scope="repo", reasons=["denylist/repo"]),
}
