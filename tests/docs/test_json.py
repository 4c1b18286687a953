"""docs/json.md against what the commands really print: no field that it does not name, none that does not come."""

import json
import re

import pytest

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.docs.pages import ROOT
from tests.e2e.harness import GatewayProcess, cli

PAGE = (ROOT / "docs/json.md").read_text("utf-8")
SHARED = {"reason": {"rule", "severity", "message", "remedy", "path", "evidence"}}
SHARED["coverage"] = {"surface", "whole_file", "cause"}
# Objects whose content another page, or a sentence in the table, describes.
OPEN = ("ledger[]", "extra", "chains[].gaps[]", "chains[].problems[]", "problems[]")


def documented(command):
    """Dotted fields of one command's table; a reason or coverage brings its own fields."""
    section = PAGE.split(f"\n## gateway {command}\n")[1].split("\n## ")[0]
    found = set()
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) < 3 or not cells[0].startswith("`"):
            continue
        fields, kinds = re.findall(r"`([^`]+)`", cells[0]), [kind.strip() for kind in cells[1].split(",")]
        for number, field in enumerate(fields):
            kind = kinds[min(number, len(kinds) - 1)].split()[0]
            found.add(field)
            found |= {f"{field}.{inner}" for inner in SHARED.get(kind, ())}
    return found


def printed(value, prefix=""):
    """Dotted fields of a value: `[]` for the items of an array."""
    if isinstance(value, list):
        return {f for item in value for f in printed(item, f"{prefix}[]")} | {f"{prefix}[]"}
    if not isinstance(value, dict) or prefix in OPEN:
        return {prefix}
    found = {prefix} if prefix else set()
    for name, inner in value.items():
        found |= printed(inner, f"{prefix}.{name}" if prefix else name)
    return found


def named(field, fields):
    """Is the field, or an array or object that leads to it, in the table?"""
    bare = field.removesuffix("[]")
    return (
        bare in fields or f"{bare}[]" in fields or any(known.startswith((f"{bare}.", f"{bare}[]")) for known in fields)
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A state directory with a decision, a delivery, a denial and a blob, and the flags that reach the hub."""
    root = tmp_path_factory.mktemp("site")
    with SimulatorThread(sample_world()) as hub:
        gateway = GatewayProcess(hub, root / "state")
        gateway.get("/demo/good-safetensors/resolve/main/model.safetensors")
        gateway.get("/demo/no-license/resolve/main/model.safetensors")
        gateway.stop()
        (root / "evil.pkl").write_bytes(b"cposix\nsystem\n(S'true'\ntR.")
        redirect = hub.cdn_url.removeprefix("http://")
        yield root, ["--upstream", hub.hub_url, "--redirect-host", redirect, "--unsafe-allow-private-upstream"]


# command -> its words, its exit code; STATE, HUB and FILE stand for the site's own.
COMMANDS = {
    "check": (["check", "demo/evil-gguf", "HUB"], 1),
    "scan": (["scan", "FILE"], 1),
    "audit list": (["audit", "list", "STATE"], 0),
    "audit verify": (["audit", "verify", "STATE"], 0),
    "cache ls": (["cache", "ls", "STATE"], 0),
    "cache verify": (["cache", "verify", "STATE"], 0),
    "token add": (["token", "add", "ada", "--group", "research", "STATE"], 0),
    "token list": (["token", "list", "STATE"], 0),
    "policy check": (["policy", "check"], 0),
    "doctor": (["doctor", "--client", "--hosts", "127.0.0.1:1"], 1),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_names_what_a_command_prints(command, site):
    root, hub = site
    words, code = COMMANDS[command]
    given = {"STATE": ["--state", str(root / "state")], "HUB": hub, "FILE": [str(root / "evil.pkl")]}
    done = cli(*[part for word in words for part in given.get(word, [word])], "--json")
    assert done.returncode == code, done.stdout + done.stderr
    values = [json.loads(line) for line in done.stdout.splitlines()] if command == "audit list" else None
    values = values or [json.loads(done.stdout)]
    fields, found = documented(command), set().union(*(printed(value) for value in values))
    assert {field for field in found if not named(field, fields)} == set()
    top = {field for field in fields if re.fullmatch(r"\w+", field)}
    if command != "audit list":  # a record leaves out what is empty
        assert top - found == set()


def test_every_command_with_json_has_its_section():
    sections = set(re.findall(r"^## gateway (.+)$", PAGE, re.MULTILINE))
    assert set(COMMANDS) <= sections
    assert sections - set(COMMANDS) == {"audit show", "policy test", "demo"}
