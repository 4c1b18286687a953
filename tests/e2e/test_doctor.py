"""`gateway doctor --client` as a process of its own, on the standard library alone: against the real gateway, against
caches that real clients made, and against endpoints and caches that mean harm."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
import trustme

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import ROOT, GatewayProcess, cli, run_client

NOBODY = "127.0.0.1:1"  # a host that is blocked
QUIET = {"DISABLE_SAFETENSORS_CONVERSION": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
FOLDER = [sys.executable, "-I", "-S", str(ROOT / "gateway/doctor")]  # no site-packages, no environment, no install


class Told:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def states(self):
        return {check["check"]: check["state"] for check in self.json["checks"]}

    def words(self, check):
        return " ".join(f"{c['found']} {c['advice']}" for c in self.json["checks"] if c["check"] == check)


def doctor(home, *flags, program=FOLDER, hosts=NOBODY, as_json=True, **env):
    """Run it with nothing of this machine's own settings in its environment."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **env}
    words = [*program, *(["--json"] if as_json else []), "--hosts", hosts, *flags]
    return Told(subprocess.run(words, capture_output=True, text=True, timeout=110, env=clean, cwd=home, check=False))


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def closed(hub, tmp_path_factory):
    """A gateway that asks who you are, and a token that it knows."""
    root = tmp_path_factory.mktemp("closed")
    process = GatewayProcess(hub, root / "state", config='[identity]\nanonymous = "off"\n')
    done = cli("token", "add", "ada", "--state", str(root / "state"), "--json")
    process.restart()  # so that nobody waits for the 2 s in which it follows
    yield process, json.loads(done.stdout)["token"]
    process.stop()


# -- a machine that is well, started in every way -----------------------------------------------------------------


STARTS = {
    "the folder": lambda _: FOLDER,
    "python -m": lambda _: [sys.executable, "-S", "-m", "gateway.doctor"],
    "the command": lambda _: [sys.executable, "-S", "-m", "gateway", "doctor", "--client"],
}


@pytest.mark.parametrize("way", STARTS)
def test_a_machine_that_is_well_has_nothing_to_mend(way, closed, home, tmp_path):
    gateway, token = closed
    env = {"PYTHONPATH": str(ROOT), "HF_ENDPOINT": gateway.url, "HF_TOKEN": token, **QUIET}
    told = doctor(home, program=STARTS[way](tmp_path), **env)
    assert told.err == ""
    assert told.code == 0, told.out
    assert told.json["endpoint"] == gateway.url
    assert told.json["exit_code"] == 0
    assert told.json["summary"]["fail"] == told.json["summary"]["warn"] == 0
    states = told.states()
    assert states["endpoint/gateway"] == states["endpoint/ready"] == states["token/accepted"] == "ok"
    assert "ada" in told.words("token/accepted")
    assert token not in told.out


def test_nothing_but_the_standard_library_is_imported(home):
    """Every module that it loads is Python's own, or of the doctor."""
    script = (
        "import sys; sys.argv = ['gateway', 'doctor', '--client', '--hosts', '127.0.0.1:1', '--json']\n"
        "from gateway.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('\\n' + repr(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=home, timeout=60,
        env={"PYTHONPATH": str(ROOT), "HOME": str(home), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    names = eval(done.stdout.splitlines()[-1])
    own = {name for name in names if name.startswith("gateway")}
    assert own <= {n for n in own if n.startswith(("gateway.doctor", "gateway.cli.doctor"))} | {
        "gateway", "gateway.__main__", "gateway.cli", "gateway.cli.main", "gateway.clock", "gateway.domain",
        "gateway.domain.errors",
    }  # fmt: skip
    assert {"aiohttp", "pydantic", "rich", "huggingface_hub", "structlog", "yaml"}.isdisjoint(names)


def test_without_client_it_says_in_one_sentence_what_there_is(home):
    told = doctor(home, program=[sys.executable, "-m", "gateway", "doctor"], as_json=False)
    assert told.code == 2
    assert told.out == ""
    assert "gateway doctor --client" in told.err
    assert len(told.err.splitlines()) == 1


@pytest.mark.parametrize(
    "flags", [["--timeout", "0"], ["--timeout", "x"], ["--hosts", "a:b"], ["--no-such"], ["extra"]]
)
def test_misuse_is_exit_code_2(flags, home):
    told = doctor(home, *flags, as_json=False)
    assert told.code == 2
    assert "Traceback" not in told.err
