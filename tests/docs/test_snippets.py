"""What pages show as JSON, YAML, TOML and Python parses; settings and policy data are taken by the real loaders."""

import ast
import json
import tomllib

import pytest
import yaml

from gateway.policy.bundle import Bundle
from gateway.settings import load
from gateway.shipped import policy_data_dir, rego_dir
from tests.docs.pages import blocks


def of(*languages):
    return [pytest.param(block, id=str(block)) for block in blocks() if block.language in languages]


@pytest.mark.parametrize("block", of("json"))
def test_json_parses(block):
    json.loads(block.text)


@pytest.mark.parametrize("block", of("toml"))
def test_toml_is_a_configuration(block, tmp_path):
    assert tomllib.loads(block.text)
    file = tmp_path / "gateway.toml"
    file.write_text(block.text)
    load(file, {}, {})


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_is_policy_data(block, tmp_path):
    assert set(yaml.safe_load(block.text)) <= {"config", "entitlements", "waivers"}
    file = tmp_path / "site.yaml"
    file.write_text(block.text)
    Bundle.load(rego_dir(), policy_data_dir(), "balanced", [file])


@pytest.mark.parametrize("block", of("python"))
def test_python_parses(block):
    ast.parse(block.text)


def test_every_block_has_a_language_or_is_a_drawing():
    known = {"", "console", "json", "toml", "yaml", "python", "rego", "sh", "text"}
    assert {str(block): block.language for block in blocks() if block.language not in known} == {}
