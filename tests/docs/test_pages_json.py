"""docs/json.md, "Pages of decisions", against what a page really gives: no field too many, none too few."""

import re

import pytest

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.docs.pages import ROOT
from tests.docs.test_json import SHARED
from tests.e2e.harness import GatewayProcess

SECTION = (ROOT / "docs/json.md").read_text("utf-8").split("\n## Pages of decisions\n")[1].split("\n## ")[0]
JSON = {"Accept": "application/json"}


def documented():
    found = set()
    for line in SECTION.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            kinds = [kind.strip() for kind in cells[1].split(",")]
            for number, field in enumerate(re.findall(r"`([^`]+)`", cells[0])):
                kind = kinds[min(number, len(kinds) - 1)]
                found |= {f"{field}.{inner}" for inner in SHARED.get(kind, ())} or {field}
    return found


def printed(value, prefix=""):
    if isinstance(value, dict) and prefix != "rules":
        return {f for name, inner in value.items() for f in printed(inner, f"{prefix}.{name}" if prefix else name)}
    if isinstance(value, list) and prefix != "reports":
        return {f for item in value for f in printed(item, f"{prefix}[]")} or {f"{prefix}[]"}
    return {f"{prefix}[]" if prefix == "reports" else prefix}


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    with SimulatorThread(sample_world()) as hub:
        gateway = GatewayProcess(hub, tmp_path_factory.mktemp("json") / "state")
        try:
            line = gateway.get("/demo/evil-gguf/resolve/main/model.gguf").headers["X-Error-Message"]
            page = line.rpartition(" See ")[2].removeprefix(gateway.url)
            yield gateway.get(page, headers=JSON).json, gateway.get("/-/reasons/pdp/timeout", headers=JSON).json
        finally:
            gateway.stop()


def bare(fields):
    """Without what an empty list cannot show."""
    return {
        field.split("[]")[0] if field.startswith(("warnings", "waived", "dryruns", "masked")) else field
        for field in fields
    }


def test_the_page_names_what_a_decision_gives(facts):
    decision, _ = facts
    named = {field for field in documented() if field != "answers[]"}
    assert bare(printed(decision)) == bare(named)
    inside = decision["reports"][0]
    assert {f"`{key}`" for key in inside} <= set(re.findall(r"`\w+`", SECTION))


def test_the_page_names_what_a_code_gives(facts):
    _, code = facts
    assert {f"`{key}`" for key in code} <= set(re.findall(r"`\w+`", SECTION))
