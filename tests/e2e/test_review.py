"""Attacks of a hostile reader of the code, each against the real gateway. What they have in common: a corner, not a door."""

import json
import shutil

import psutil
import pytest

from gateway.shipped import rego_dir
from gateway.simulator.faults import Fault
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli

HUB_TOKEN = "hf_gatewaysOwnHubToken000000000000"


@pytest.fixture(scope="module")
def world():
    world = sample_world()
    secret = world.repo("corp/secret", card={"license": "apache-2.0"}, private=True)
    secret.commit({"config.json": '{"model_type": "bert"}'})
    world.token(HUB_TOKEN, "corp/secret", name="gateway")
    return world


@pytest.fixture(scope="module")
def setup(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("review")
    overlay = root / "entitlements.yaml"
    overlay.write_text(json.dumps({"entitlements": {"corp": {"corp/*": True}}}))
    tokens = {}
    for name, groups in (("alice", ["--group", "corp"]), ("bob", [])):
        done = cli("token", "add", name, *groups, "--state", str(root / "state"), "--json")
        assert done.returncode == 0, done.stderr
        tokens[name] = {"Authorization": f"Bearer {json.loads(done.stdout)['token']}"}
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub, root / "state", "--policy-data", str(overlay), env={"GATEWAY_UPSTREAM_TOKEN": HUB_TOKEN}
        )
        yield hub, process, tokens
        process.stop()


@pytest.mark.parametrize(
    "ref", ["no-such-branch", "refs%2Fpr%2F99", "0123456789abcdef0123456789abcdef01234567", "deadbee"]
)
@pytest.mark.parametrize(
    "route", ["/{repo}/resolve/{ref}/config.json", "/api/models/{repo}/revision/{ref}", "/api/models/{repo}/tree/{ref}"]
)
def test_a_missing_revision_does_not_tell_a_stranger_that_the_private_repo_is_there(setup, route, ref):
    _, gateway, tokens = setup
    for method in ("HEAD", "GET"):
        private = gateway.get(route.format(repo="corp/secret", ref=ref), method, tokens["bob"])
        missing = gateway.get(route.format(repo="corp/nothing", ref=ref), method, tokens["bob"])
        assert (private.status, private.body) == (missing.status, missing.body)
        assert private.headers["X-Error-Code"] == missing.headers["X-Error-Code"] == "RepoNotFound"
    entitled = gateway.get(route.format(repo="corp/secret", ref=ref), headers=tokens["alice"])
    assert entitled.headers["X-Error-Code"] == "RevisionNotFound"


def test_long_questions_do_not_fill_the_memory(setup):
    """Whatever a stranger writes into a request must not be kept for each request."""
    _, gateway, _ = setup
    process = psutil.Process(gateway.process.pid)

    def ask(number: int) -> None:
        paths = [f"{number}-{n}-{'x' * 850}" for n in range(1000)]
        body = json.dumps({"paths": paths}).encode()
        answer = gateway.get(
            "/api/models/demo/good-safetensors/paths-info/main", "POST", {"Content-Type": "application/json"}, body
        )
        assert (answer.status, answer.json) == (200, [])

    for number in range(20):
        ask(number)
    before = process.memory_info().rss
    for number in range(20, 140):
        ask(number)
    assert process.memory_info().rss - before < 40 * 1024 * 1024


def test_a_flood_of_unknown_routes_meets_the_rate_limit_and_does_not_fill_the_ledger(world, tmp_path):
    limits = "[limits]\naddress_rate = 0.01\naddress_burst = 5\n"
    with SimulatorThread(world) as hub:
        gateway = GatewayProcess(hub, tmp_path / "state", config=limits)
        statuses = [gateway.get(f"/no/such/route/{number}").status for number in range(40)]
        gateway.stop()
    assert statuses == [404] * 5 + [429] * 35
    unknown = [r for r in gateway.records() if r["effect"] != "event"]
    assert len(unknown) <= 5 + 2  # one for the first that was limited, one that counts the rest
    assert sum(r.get("count", 1) for r in unknown) == 40


def test_a_decision_that_reads_the_client_or_the_address_is_remembered_for_these_alone(world, tmp_path):
    shutil.copytree(rego_dir(), tmp_path / "rego")
    rule = tmp_path / "rego/rules/denylist/repo/repo.rego"
    rule.write_text(rule.read_text() + '\ndenied if input.subject.client.name == "forbidden"\n')
    path = "/demo/good-safetensors/resolve/main/config.json"
    with SimulatorThread(world) as hub:
        gateway = GatewayProcess(hub, tmp_path / "state", "--rego", str(tmp_path / "rego"))
        for _ in range(2):
            assert gateway.get(path, headers={"User-Agent": "usual/1.0"}).status == 200
            assert gateway.get(path, headers={"User-Agent": "forbidden/1.0"}).status == 403
        gateway.restart()
        assert gateway.get(path, headers={"User-Agent": "forbidden/1.0"}).status == 403
        gateway.stop()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_question_that_is_too_long_is_refused_and_not_answered_as_if_the_files_were_absent(setup, chunked):
    _, gateway, _ = setup
    body = b"&".join(b"paths=config.json" for _ in range(70_000))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    data = iter([body]) if chunked else body
    answer = gateway.get("/api/models/demo/good-safetensors/paths-info/main", "POST", headers, data)
    assert answer.status == 404
    assert "larger than" in answer.headers["X-Error-Message"]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_trouble_at_the_download_host_is_trouble_and_not_absence(setup, status):
    """A 404 or a code of the hub's would make clients believe that the repo or file is gone (P5)."""
    hub, gateway, _ = setup
    codes = {"X-Error-Code": "RepoNotFound"}
    with hub.faults.during(Fault(path="demo/good-torch/*", host="cdn", status=status, headers=codes)):
        answer = gateway.get("/demo/good-torch/resolve/main/pytorch_model.bin")
    assert answer.status == 502
    assert "X-Error-Code" not in answer.headers


def test_a_token_that_was_given_as_a_revision_or_a_path_is_on_no_record_and_in_no_log(world, tmp_path):
    token = "hf_AbCdEfGhIjKlMnOpQrStUv"
    with SimulatorThread(world) as hub:
        gateway = GatewayProcess(hub, tmp_path / "state")
        for path in (
            f"/demo/good-safetensors/resolve/{token}/config.json",
            f"/demo/good-safetensors/resolve/main/{token}/config.json",
            f"/api/models/demo/good-safetensors/tree/main/{token}",
            f"/api/models/demo/{token}",
            f"/api/models/{token}/model/revision/main",
        ):
            assert gateway.get(path).status == 404
        gateway.stop()
    assert len([r for r in gateway.records() if r["effect"] != "event"]) == 5
    assert token not in json.dumps(gateway.records())
    assert token not in "".join(gateway.log)
    kept = b"".join(f.read_bytes() for f in (tmp_path / "state/ledger").rglob("*") if f.is_file())
    assert token.encode() not in kept
