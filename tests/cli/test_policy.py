"""`gateway policy check` as an author of policies meets it: what it passes, a gateway can answer with."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

from gateway.cli import policy
from gateway.domain.errors import ConfigError
from gateway.shipped import rego_dir

UNKNOWN = "rules/license/unknown/unknown.rego"


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    policy.add_parser(parser.add_subparsers())
    args = parser.parse_args(["policy", *words])
    return int(args.run(args))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A copy of the shipped library, as its own author would have."""
    return Path(shutil.copytree(rego_dir(), tmp_path / "rego"))


def test_a_library_that_answers_is_described(library, capsys) -> None:
    assert run("check", "--rego", str(library), "--json") == 0
    assert "license/unknown" in json.loads(capsys.readouterr().out)["rules"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p := 1\n\np := 2", "conflict"),
        ('deny contains {"a": 1} if input.scope == "revision"', "system/rule-malformed"),
        ('deny contains result.repo({"severity": "high"}) if input.scope == "file"', "system/rule-malformed"),
        ('deny contains result.repo({"severity": sprintf("%d", [1 / 0])}) if input.scope == "file"', "pdp/error"),
    ],
)
def test_what_shows_only_when_rules_are_evaluated_is_told_too(library, text, words) -> None:
    path = library / UNKNOWN
    path.write_text(f"{path.read_text()}\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        run("check", "--rego", str(library))
    assert "plain question" in str(caught.value)
    assert words in str(caught.value)


def test_text_that_is_no_rego_is_told_with_its_place(library) -> None:
    path = library / UNKNOWN
    path.write_text(path.read_text() + "\ndeny contains x if {\n")
    with pytest.raises(ConfigError, match=UNKNOWN):
        run("check", "--rego", str(library))


def test_a_rule_of_ones_own_is_tested_with_the_data_that_names_it(library, tmp_path, capsys) -> None:
    """Beside the shipped rules, whose samples must hold as before."""
    mine = library / "rules/house/old-license"
    shutil.copytree(library / "rules/license/denied", mine)
    text = (mine / "denied.rego").read_text().replace("gateway.rules.license.denied", "gateway.rules.house.old_license")
    (mine / "denied.rego").unlink()
    (mine / "denied_test.rego").unlink()
    (mine / "old_license.rego").write_text(text.replace("license/denied", "house/old-license"))
    for name in ("allowed.json", "denied.json"):
        sample = json.loads((mine / name).read_text())
        sample["expected"] = {}
        (mine / name).write_text(json.dumps(sample))
    site = tmp_path / "site.yaml"
    site.write_text("config: { rules: { house/old-license: { mode: dryrun } } }")
    run("test", "--rego", str(library), "--policy-data", str(site), "--json")
    results = {r["file"]: r for r in json.loads(capsys.readouterr().out)["results"] if r["name"] == "sample"}
    assert results["rules/house/old-license/denied.json"]["outcome"] == "pass"
    assert not [r for r in results.values() if "system/" in r["detail"]]
