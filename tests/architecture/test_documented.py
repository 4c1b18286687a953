"""What a person may meet is described: commands, modules, reason codes, metrics, routes of operators, settings."""

import argparse
import ast
import re

import pytest

from gateway.cli.main import COMMANDS, build_parser
from gateway.hubs.huggingface.grammar import ROUTES
from gateway.policy.bundle import Bundle
from gateway.shipped import policy_data_dir, rego_dir
from tests.architecture.sources import ROOT, modules, name, strings, tree

OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
CATEGORIES = (
    "config|entitlement|fill|gateway|identity|integrity|ledger|limit|pdp|protocol|route|scan|store|system|upstream"
)
CODE = re.compile(rf"(?:{CATEGORIES})/[a-z0-9-]+")
# Made of parts in domain/errors.py and enforcement/recording.py: `upstream/{what}-not-found`.
COMPOSED = {"upstream/repo-not-found", "upstream/revision-not-found", "upstream/entry-not-found"}
# Never leaves the gathering of evidence: it turns a scan by ranges into a fill.
INTERNAL = {"scan/whole-file-needed"}


def parsers(parser, names=()):
    """Every command and action with its words."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield (*names, word), below
                yield from parsers(below, (*names, word))


ALL = dict(parsers(build_parser()))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_and_action_says_what_it_does(words):
    assert ALL[words].description
    assert ALL[words].description.endswith(".")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_epilog_with_examples(command):
    epilog = ALL[command,].epilog or ""
    assert epilog
    assert f"\n  gateway {command}" in epilog


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_flag_has_words(words):
    silent = [a.option_strings for a in ALL[words]._actions if a.option_strings and not (a.help or a.choices)]
    assert silent == []


def test_every_module_says_what_it_is():
    silent = [name(p) for p in modules() if p.read_text().strip() and not ast.get_docstring(tree(p))]
    assert silent == []


def test_every_port_says_what_it_asks():
    ports = tree(ROOT / "gateway/ports.py")
    assert [n.name for n in ports.body if isinstance(n, ast.ClassDef) and not ast.get_docstring(n)] == []


def codes_in_use():
    found = set(COMPOSED)
    for path in modules():
        if "simulator" not in path.parts:
            found |= {node.value for node in strings(path) if CODE.fullmatch(node.value)}
    rego = [path for path in (ROOT / "rego").rglob("*.rego") if not path.name.endswith("_test.rego")]
    for path in rego:
        found |= set(re.findall(r'"(system/[a-z-]+)"', path.read_text("utf-8")))
    return found - INTERNAL - {"upstream/not-found"}  # the class's own, always replaced by one of COMPOSED


def codes_documented():
    """Codes in the first column of a table."""
    cells = [line.split("|")[1] for line in OPERATIONS.splitlines() if line.startswith("| `")]
    return {code for cell in cells for code in re.findall(r"`([^`]+)`", cell) if CODE.fullmatch(code)}


def test_every_reason_code_is_in_the_troubleshooting_tables():
    assert codes_in_use() - codes_documented() == set()


def test_no_reason_code_is_described_that_does_not_exist():
    rules = set(Bundle.load(rego_dir(), policy_data_dir(), "balanced", []).rules)
    assert codes_documented() - codes_in_use() - rules == set()


def test_every_metric_is_described():
    metrics = {n.value for n in strings(ROOT / "gateway/http/metrics.py") if re.fullmatch(r"gateway_[a-z_]+", n.value)}
    assert metrics
    assert {metric for metric in metrics if f"`{metric}`" not in OPERATIONS} == set()


def test_every_route_of_the_grammar_is_described():
    architecture = (ROOT / "docs/architecture.md").read_text("utf-8")
    assert {route.shape for route in ROUTES if f"`{route.shape}`" not in architecture} == set()


def test_every_package_has_its_line_in_the_architecture():
    architecture = (ROOT / "docs/architecture.md").read_text("utf-8")
    rooms = {p.name for p in (ROOT / "gateway").iterdir() if (p.is_dir() and (p / "__init__.py").exists())}
    rooms |= {p.name for p in (ROOT / "gateway").glob("*.py") if not p.name.startswith("__")}
    assert {room for room in rooms if room not in architecture} == set()


def test_every_rule_has_its_page():
    rules = Bundle.load(rego_dir(), policy_data_dir(), "balanced", []).rules
    assert {rule for rule in rules if not (ROOT / f"docs/rules/{rule.replace('/', '-')}.md").is_file()} == set()
