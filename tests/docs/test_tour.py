"""The five-minute tour of the README, executed as it is written: only the port, the folder and the hub are ours."""

import re
import sys

import pytest

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.docs.pages import ROOT, commands
from tests.e2e.harness import GatewayProcess, cli, run_client

pytestmark = pytest.mark.clients
README = (ROOT / "README.md").read_text("utf-8")
TOUR = README[README.index("## Five minutes") : README.index("## Pointing clients at it")]
CLIENT = "hub-2"


def shown(program, *first):
    """The commands of the tour that begin with these words, in order."""
    found = [words for words in commands(TOUR) if words[: 1 + len(first)] == [program, *first]]
    assert found, f"the tour shows no {program} {' '.join(first)}"
    return found


class Toured(GatewayProcess):
    """A gateway started by the words of the README, on a free port, before the simulated hub."""

    def __init__(self, words, hub, folder):
        self.words, self.folder = words, folder
        super().__init__(hub, folder / "state")

    def command(self):
        listen = self.words.index("--listen") + 1
        words = [*self.words[1:listen], "127.0.0.1:0", *self.words[listen + 1 :]]
        hub = ["--upstream", self.hub.hub_url, "--redirect-host", self.hub.cdn_url.removeprefix("http://")]
        return [sys.executable, "-m", "gateway", *words, *hub, "--unsafe-allow-private-upstream"]


def told_words():
    """What the tour says that the developer reads, as a pattern: `…` leaves out, ids and ports differ."""
    text = " ".join(TOUR[TOUR.index("403 Forbidden") :].split("```")[0].split())
    text = re.sub(r"http://[\d.:]+", "ORIGIN", re.sub(r"d-[0-9a-f]+…?", "DECISION", text))
    parts = [re.escape(part.strip()) for part in text.split("…")]
    said = r".*?".join(parts).replace("DECISION", r"(d-[0-9a-f]+)", 1)
    return said.replace("DECISION", r"\1").replace("ORIGIN", r"http://[\d.:]+")


def without_id(text):
    """Without what differs from run to run: ids, and the port."""
    return re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1", re.sub(r"d-[0-9a-f]{6,}", "d-", text))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_five_minute_tour(folder):
    first, second = shown("gateway", "serve")
    denied, allowed = shown("hf", "download")
    assert denied == allowed
    assert shown("export") == [["export", f"HF_ENDPOINT=http://{first[first.index('--listen') + 1]}"]]
    with SimulatorThread(sample_world()) as hub:
        gateway = Toured(first, hub, folder)
        try:
            run = run_client(CLIENT, gateway.url, folder / "home", denied)
        finally:
            gateway.stop()
        assert run.code != 0
        told = re.search(told_words(), " ".join(run.text.split()))
        assert told, run.text
        clients = " ".join((ROOT / "docs/clients.md").read_text("utf-8").split())
        assert without_id(told[0]) in without_id(clients)

        overlay = re.search(r"\$ cat > (\S+)\n(.*?)(?=^\$)", TOUR, re.MULTILINE | re.DOTALL)
        (folder / overlay[1]).write_text(overlay[2])
        gateway = Toured(second, hub, folder)
        try:
            run = run_client(CLIENT, gateway.url, folder / "home", allowed)
        finally:
            gateway.stop()
        assert run.code == 0, run.text
        assert "license/unknown" in run.err  # the warning that newer clients print

    outputs = {}
    for words in shown("gateway", "audit"):
        words = [told[1] if re.fullmatch(r"d-[0-9a-f]+…", word) else word for word in words[1:]]
        done = cli(*words, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        outputs[words[1]] = done.stdout
    assert set(outputs) == {"list", "show", "verify"}
    assert "deny" in outputs["list"]
    assert "allow" in outputs["list"]
    assert "license/unknown" in outputs["show"]
    assert "verifies" in outputs["verify"]
