"""However many ask at once: the hub is asked once, the policy is asked once, and nobody gets another's answer."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.simulator.faults import Fault, Gate
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli

MANY = 50
HUB_TOKEN = "hf_gatewaysOwnHubToken000000000000"
SECRET = b"for the eyes of corp only\n"


def together(calls):
    """Run all calls at the same moment, each in a thread of its own."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def metric(gateway, name):
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", gateway.get("/metrics").body.decode(), re.MULTILINE)
    return sum(map(float, found))


def test_many_first_requests_of_one_revision_ask_the_hub_and_the_policy_once(launch):
    world = sample_world()
    with SimulatorThread(world) as hub:
        gateway = launch(hub)
        gate = Gate()
        hub.faults.add(Fault(path="/api/models/demo/good-torch*", gate=gate))
        paths = ["config.json", "tokenizer.json", "pytorch_model.bin", "README.md", "tokenizer_config.json"]
        waiting = []

        def one(number):
            return lambda: gateway.get(f"/demo/good-torch/resolve/main/{paths[number % len(paths)]}")

        asking = threading.Thread(target=lambda: waiting.extend(together([one(n) for n in range(MANY)])))
        asking.start()
        gate.wait_reached()
        gate.open()
        asking.join(60)
        assert [a.status for a in waiting] == [200] * MANY, {a.status for a in waiting}
        for number, answer in enumerate(waiting):
            content = world["demo/good-torch"].main.files[paths[number % len(paths)]].content
            assert answer.body == content.read(0, 1 << 20)
        asked = [r.target.partition("?")[0] for r in hub.requests if r.host == "hub" and r.target.startswith("/api/")]
        assert all(asked.count(path) == 1 for path in set(asked)), asked
        for path in paths:
            asked = [r for r in hub.traffic.matching(f"demo/good-torch/{path}", host="hub") if "/resolve/" in r.target]
            assert len([r for r in asked if not r.range]) <= 1, path
        records = gateway.records()
        decisions = {r["decision_id"] for r in records if r.get("decision_id")}
        inputs = {r["input_digest"] for r in records if r.get("input_digest")}
        assert len(decisions) == len(inputs) <= 1 + len(paths)
        delivered = [r for r in records if r["kind"] == "delivery"]
        assert len(delivered) == MANY


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    root = tmp_path_factory.mktemp("shared")
    world = sample_world()
    secret = world.repo("corp/secret", card={"license": "apache-2.0"}, private=True)
    secret.commit({"README.md": secret.readme(), "notes.txt": SECRET})
    world.token(HUB_TOKEN, "corp/secret", "demo/gated", name="gateway")
    overlay = root / "entitlements.yaml"
    overlay.write_text(json.dumps({"entitlements": {"corp": {"corp/*": True, "demo/gated": True}}}))
    tokens = {}
    for name, groups in (("alice", ["--group", "corp"]), ("bob", [])):
        done = cli("token", "add", name, *groups, "--state", str(root / "state"), "--json")
        tokens[name] = json.loads(done.stdout)["token"]
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub, root / "state", "--policy-data", str(overlay), env={"GATEWAY_UPSTREAM_TOKEN": HUB_TOKEN}
        )
        yield process, tokens
        process.stop()


def test_nobody_gets_anothers_answer_however_they_interleave(shared):
    gateway, tokens = shared
    routes = [
        "/corp/secret/resolve/main/notes.txt", "/api/models/corp/secret", "/api/models/corp/secret/tree/main",
        "/demo/gated/resolve/main/model.safetensors", "/demo/good-torch/resolve/main/config.json",
    ]  # fmt: skip
    expected = {
        "alice": [200, 200, 200, 200, 200], "bob": [404, 404, 404, 403, 200], "nobody": [404, 404, 404, 403, 200],
    }  # fmt: skip
    plan = [(who, number) for _ in range(4) for number in range(len(routes)) for who in expected]

    def call(who, number):
        headers = {"Authorization": f"Bearer {tokens[who]}"} if who in tokens else {}
        return lambda: gateway.get(routes[number], headers=headers)

    for _ in range(3):  # cold, then from memory and store
        answers = together([call(who, number) for who, number in plan])
        for (who, number), answer in zip(plan, answers, strict=True):
            assert answer.status == expected[who][number], (who, routes[number], answer.status, answer.body[:200])
            if answer.status != 200:
                assert SECRET not in answer.body
                assert b"notes.txt" not in answer.body
    for record in gateway.records():
        if record.get("repo", "").endswith("corp/secret") and record.get("effect") == "allow":
            assert "alice" in record["subject"], record


def test_a_client_that_leaves_takes_nobody_with_it(launch):
    """The first of many gives up; the question is answered for the others, and asked once."""
    import socket

    world = sample_world()
    with SimulatorThread(world) as hub:
        gateway = launch(hub)
        gate = Gate()
        hub.faults.add(Fault(path="/api/models/demo/good-gguf*", gate=gate, times=1))
        host, port = gateway.url.split("://")[1].split(":")
        first = socket.create_connection((host, int(port)))
        first.sendall(b"GET /demo/good-gguf/resolve/main/model.gguf HTTP/1.1\r\nHost: x\r\n\r\n")
        gate.wait_reached()
        first.close()
        waiting = []
        asking = threading.Thread(
            target=lambda: waiting.extend(
                together([lambda: gateway.get("/demo/good-gguf/resolve/main/model.gguf")] * 8)
            )
        )
        asking.start()
        gate.open()
        asking.join(60)
        assert [a.status for a in waiting] == [200] * 8
        asked = [r.target.partition("?")[0] for r in hub.requests if r.target.startswith("/api/models/demo/good-gguf")]
        assert all(asked.count(path) == 1 for path in set(asked)), asked
        assert metric(gateway, "gateway_requests_total") >= 8
