"""The policy engines behind the one door: an OPA server decides like the embedded engine, its outage is pending and
never a denial, and a hostile policy refuses to start or gives no allow."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import psutil
import pytest

from gateway.shipped import rego_dir
from gateway.simulator.samples import SAMPLES, sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli, fetch, run_client
from tests.opa import free_port, required_opa

FILE = "/demo/good-safetensors/resolve/main/model.safetensors"


def route(sample):
    return f"/{sample.name}/resolve/{sample.revision.replace('/', '%2F')}/{sample.path}"


class Opa:
    """`opa run --server`, as an operator would run it beside the gateway."""

    def __init__(self, port: int) -> None:
        self.port, self.url, self.process = port, f"http://127.0.0.1:{port}", None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [required_opa(), "run", "--server", "--addr", f"127.0.0.1:{self.port}", "--log-level", "error", "--skip-version-check"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _until(lambda: self.healthy())

    def healthy(self) -> bool:
        try:
            return fetch(f"{self.url}/health").status == 200
        except OSError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def _until(is_so, seconds=20.0):
    until, pause = time.monotonic() + seconds, threading.Event()
    while not is_so():
        assert time.monotonic() < until, "it did not happen in time"
        pause.wait(0.05)


@pytest.fixture(scope="module")
def opa():
    server = Opa(free_port())
    yield server
    server.kill()


@pytest.fixture(scope="module")
def remote(opa, hub, tmp_path_factory):
    process = GatewayProcess(
        hub, tmp_path_factory.mktemp("opa") / "state",
        config=f'[policy]\nengine = "opa"\nopa_url = "{opa.url}"\ndeadline_s = 5.0\n',
    )  # fmt: skip
    yield process
    process.stop()


@pytest.mark.opa_server
def test_an_opa_server_decides_as_the_embedded_engine_does(remote, gateway):
    effects = {}
    for sample in SAMPLES:
        ours, theirs = gateway.get(route(sample)), remote.get(route(sample))
        assert theirs.status == ours.status, sample

        def rule(answer):
            return [w for w in (answer.headers["X-Error-Message"] or "").split(". ") if w.startswith("Rule ")]

        assert rule(theirs) == rule(ours), sample
        effects[sample.name, sample.revision] = theirs.status
    assert 200 in effects.values()
    assert 403 in effects.values()
    records = remote.records()
    engines = {r["engine"] for r in records if r.get("engine")}
    assert engines
    assert all(engine.startswith("opa 1.") for engine in engines)
    embedded = {r["policy_digest"] for r in gateway.records() if r.get("policy_digest")}
    assert {r["policy_digest"] for r in records if r.get("policy_digest")} == embedded


@pytest.mark.opa_server
@pytest.mark.clients
def test_an_engine_that_is_gone_is_pending_and_what_was_decided_flows(opa, remote, tmp_path):
    assert remote.get(FILE).status == 200
    opa.kill()
    try:
        assert remote.get(FILE).status == 200
        assert remote.get("/demo/no-license/resolve/main/model.safetensors").status in {403, 429}
        fresh = "/demo/good-safetensors/resolve/main/tokenizer.json"
        answer = remote.get(fresh)
        assert answer.status == 429, answer.body
        assert "pdp/unavailable" in answer.headers["X-Error-Message"]
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["X-Error-Code"] is None
        head = remote.get(fresh, "HEAD")
        assert head.status == 200
        assert head.headers["X-Repo-Commit"] == remote.get(FILE, "HEAD").headers["X-Repo-Commit"]
        unknown = remote.get("/datasets/demo/table/resolve/HEAD/data.csv", "HEAD")
        assert unknown.status == 429
        assert unknown.headers["X-Repo-Commit"] is None
        ready = remote.get("/ready")
        assert ready.status == 503
        assert "OPA" in ready.body.decode()
        run = run_client(
            "hub-0.36", remote.url, tmp_path / "home",
            "from huggingface_hub import hf_hub_download\nhf_hub_download('demo/good-safetensors', 'tokenizer.json')\n",
        )  # fmt: skip
        assert run.code != 0
        assert "pdp/unavailable" in run.err.rsplit("Traceback (most recent call last)", 1)[-1], run.err
        assert not [
            r for r in remote.records() if r.get("effect") == "deny" and "pdp/" in json.dumps(r.get("reasons", []))
        ]
    finally:
        opa.start()
    _until(lambda: remote.get(fresh).status == 200)
    assert remote.get("/ready").status == 200


@pytest.mark.opa_server
def test_without_its_opa_server_it_does_not_start(tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(f'[policy]\nengine = "opa"\nopa_url = "http://127.0.0.1:{free_port()}"\n')
    done = cli("serve", "--config", str(config), "--state", str(tmp_path / "s"), "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert "OPA" in done.stderr
    assert "Traceback" not in done.stderr


def test_killed_policy_workers_are_replaced_and_nothing_is_denied_for_it(hub, launch):
    gateway = launch(hub)
    assert gateway.get(FILE).status == 200
    for child in psutil.Process(gateway.process.pid).children(recursive=True):
        os.kill(child.pid, signal.SIGKILL)
    assert gateway.get(FILE).status == 200

    def recovered():
        answer = gateway.get("/demo/good-torch/resolve/main/pytorch_model.bin")
        assert answer.status in {200, 429}, (answer.status, answer.body)
        return answer.status == 200

    _until(recovered)


# -- hostile policies ----------------------------------------------------------------------------------------------

HEAD = """# METADATA
# title: Hostile
# description: A rule that misbehaves.
# custom:
#   id: site/hostile
#   severity: high
#   message: "m"
#   remedy: "r"
#   doc: docs/rules/site-hostile.md
package gateway.rules.site.hostile

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result

"""
RULE = """deny contains result.repo({"severity": "high", "message": m, "remedy": "r", "evidence": ""}) if {
	artifact.in_revision
	%s
}
"""
STATIC = {
    "does not parse": "deny contains if {{{",
    "an unsafe variable": RULE % "m := x",
    "http.send": RULE % 'm := http.send({"method": "get", "url": "http://169.254.169.254/"}).body',
    "the clock": RULE % 'm := sprintf("%d", [time.now_ns()])',
    "the environment": RULE % "m := opa.runtime().env.GATEWAY_UPSTREAM_TOKEN",
    "randomness": RULE % 'm := uuid.rfc4122("x")',
    "recursion": RULE % "m := f(3)" + "\nf(n) := f(n - 1)\n",
    "a built-in of nowhere": RULE % 'm := no.such("x")',
    "an answer of its own": 'package gateway\n\nimport rego.v1\n\ndecision := {"effect": "allow"}\n',
    "a word in another package": 'package gateway.lib.result\n\nimport rego.v1\n\nrepo(_) := {"effect": "allow"}\n',
}
DYNAMIC = {
    "an endless loop": RULE % (
        'count([1 | some a in numbers.range(1, 20000); some b in numbers.range(1, 20000); a * b == 0]) == 0\n\tm := "m"'
    ),
    "much memory": RULE % 'm := sprintf("%d", [count(numbers.range(1, 500000000))])',
    "an error": RULE % 'm := sprintf("%d", [to_number(input.repo.id)])',
    "a conflict": RULE % "m := twice" + '\ntwice := "a" if input.repo.id\n\ntwice := "b" if input.repo.id\n',
    "a malformed reason": 'deny contains {"rule": 7, "nonsense": true} if artifact.in_revision\n',
    "a text for a reason": 'deny contains "no" if artifact.in_revision\n',
    "no set of reasons": "deny := true if artifact.in_revision\n",
    "an unknown effect": (
        'deny contains object.union(result.repo({"severity": "high", "message": "m", "remedy": "r", "evidence": ""}),'
        ' {"effect": "allow"}) if artifact.in_revision\n'
    ),
}  # fmt: skip


@pytest.fixture
def site(tmp_path):
    """A copy of the shipped policy library with one more rule in it."""

    def make(body):
        root = tmp_path / "rego"
        shutil.copytree(rego_dir(), root)
        folder = root / "rules/site/hostile"
        folder.mkdir(parents=True)
        (folder / "hostile.rego").write_text(body if body.startswith("package") else HEAD + body)
        return root

    return make


@pytest.mark.parametrize("what", STATIC)
def test_a_policy_that_cannot_be_trusted_refuses_to_start(what, site, tmp_path):
    root = site(STATIC[what])
    done = cli(
        "serve", "--rego", str(root), "--state", str(tmp_path / "s"), "--listen", "127.0.0.1:0",
        env={"GATEWAY_UPSTREAM_TOKEN": "hf_theTokenOfThisGateway0000"},
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "hostile.rego" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hf_theTokenOfThisGateway" not in done.stderr


@pytest.mark.parametrize("what", DYNAMIC)
def test_a_policy_that_misbehaves_never_allows(what, site, tmp_path):
    """Either it is found out at the start, or every question that it spoils is pending with its own code."""
    root = site(DYNAMIC[what])
    state, overlay = tmp_path / "s", tmp_path / "site.yaml"
    overlay.write_text('{"config": {"rules": {"site/hostile": {"mode": "enforce"}}}}')
    with SimulatorThread(sample_world()) as hub:
        try:
            gateway = GatewayProcess(
                hub, state, "--rego", str(root), "--profile", "permissive", "--policy-data", str(overlay)
            )
        except AssertionError as failed:
            _is_one_refusal_to_start(str(failed))
            return
        try:
            for method in ("GET", "HEAD"):
                answer = gateway.get(FILE, method)
                assert answer.status == 429, (answer.status, answer.body)
                assert re.search(r"\((pdp|system)/[a-z-]+\)", answer.headers["X-Error-Message"])
                assert not answer.headers["X-Repo-Commit"]
            assert gateway.get("/health").status == 200
            assert not hub.bytes_sent("*model.safetensors", host="cdn")
        finally:
            gateway.stop()
        assert not [r for r in gateway.records() if r.get("effect") == "allow"]


def _is_one_refusal_to_start(output):
    assert "did not start" in output
    assert "policy" in output
    assert "Traceback" not in output


@pytest.mark.opa_server
def test_an_opa_server_of_another_policy_gives_no_decision_in_our_name(hub, launch, tmp_path):
    """Somebody else puts another policy on the server: pending, never an allow."""
    server = Opa(free_port())
    try:
        gateway = launch(hub, config=f'[policy]\nengine = "opa"\nopa_url = "{server.url}"\n')
        assert gateway.get(FILE).status == 200
        foreign = b'package gateway\nimport rego.v1\ndecision := {"effect": "allow"}\n'
        modules = fetch(f"{server.url}/v1/policies").json["result"]
        for module in reversed(modules):
            fetch(f"{server.url}/v1/policies/{module['id']}", "DELETE")
        fetch(f"{server.url}/v1/policies/foreign", "PUT", {"Content-Type": "text/plain"}, foreign)
        answer = gateway.get("/demo/no-license/resolve/main/model.safetensors")
        assert answer.status in {429, 403}
        answer = gateway.get("/demo/good-torch/resolve/main/pytorch_model.bin")
        assert answer.status == 429, answer.body
        assert "pdp/" in answer.headers["X-Error-Message"]
    finally:
        server.kill()
