"""What docs/operations.md promises an operator: names of settings, hosts to block, and what may be deleted."""

import fnmatch
import re
import shutil

import pytest

from gateway.hubs.huggingface.config import DEFAULT_REDIRECT_HOSTS
from gateway.settings import SECRETS, Settings
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.docs.pages import ROOT, pages, prose
from tests.e2e.harness import GatewayProcess

PAGE = (ROOT / "docs/operations.md").read_text("utf-8")
SECTIONS = set(Settings().model_dump())
FILE = "/demo/good-safetensors/resolve/main/model.safetensors"


def keys(tree, prefix=""):
    for name, value in tree.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")


def test_every_setting_that_a_page_names_exists():
    known, unknown = set(keys(Settings().model_dump())), []
    for page in pages():
        for name in re.findall(r"`([a-z_]+\.[a-z_.]+)(?: = [^`]+)?`", prose(page)):
            section, _, rest = name.partition(".")
            if section in SECTIONS and not rest.startswith(("py", "toml")) and name not in known:
                unknown.append(f"{page.name}: {name}")
    assert unknown == []


def test_every_secret_is_explained():
    assert [variable for variable in SECRETS.values() if f"`{variable}`" not in PAGE] == []


@pytest.mark.parametrize("path", ["README.md", "docs/operations.md"])
def test_the_hosts_to_block_cover_every_host_that_serves_bytes(path):
    text = (ROOT / path).read_text("utf-8")
    paragraph = next(part for part in text.split("\n\n") if "datasets-server.huggingface.co" in part)
    blocked = re.findall(r"`([a-z*.-]+)`", paragraph)
    hosts = {host.replace("*", "any") for host in DEFAULT_REDIRECT_HOSTS}
    assert {host for host in hosts if not any(fnmatch.fnmatch(host, pattern) for pattern in blocked)} == set()


def test_what_may_be_deleted_may_be_deleted(tmp_path):
    state = tmp_path / "state"
    with SimulatorThread(sample_world()) as hub:
        gateway = GatewayProcess(hub, state)
        try:
            first = gateway.get(FILE)
        finally:
            gateway.stop()
        assert first.status == 200
        before = gateway.records("--kind", "decision")

        for path in [*state.glob("facts.sqlite3*"), *state.glob("ledger/index.sqlite3*"), state / "generation"]:
            path.unlink()
        shutil.rmtree(state / "blobs")
        gateway.start()
        try:
            again = gateway.get(FILE)
        finally:
            gateway.stop()
    assert (again.status, again.body) == (200, first.body)
    assert [r["decision_id"] for r in gateway.records("--kind", "decision")][: len(before)] == [
        r["decision_id"] for r in before
    ]
    assert gateway.verify().returncode == 0
