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
