import json

import pytest

from gateway.http.metrics import Metrics
from gateway.http.ops import Ops


@pytest.fixture
def troubles():
    return {"ledger": "", "policy": ""}


@pytest.fixture
def ops(troubles):
    def check(name):
        async def ask():
            return troubles[name]

        return ask

    return Ops({name: check(name) for name in troubles}, Metrics())


async def answered(ops, target, method="GET"):
    response = await ops.answer(method, target)
    return response.status, response.body


async def test_alive_says_nothing_of_what_it_can(ops, troubles):
    troubles["ledger"] = "broken"
    status, body = await answered(ops, "/health")
    assert (status, json.loads(body)) == (200, {"status": "alive"})


async def test_ready_only_while_everything_is_well(ops, troubles):
    assert (await answered(ops, "/ready"))[0] == 200
    for name in troubles:
        troubles[name] = f"the {name} is ill"
        status, body = await answered(ops, "/ready")
        assert status == 503
        assert json.loads(body)["checks"][name] == f"the {name} is ill"
        troubles[name] = ""
    assert (await answered(ops, "/ready"))[0] == 200


async def test_not_ready_while_draining(ops):
    ops.draining = True
    status, body = await answered(ops, "/ready")
    assert status == 503
    assert "draining" in json.loads(body)["checks"]["gateway"]
    assert (await answered(ops, "/health"))[0] == 200


@pytest.mark.parametrize(
    "target", ["/", "/health/", "/health?x", "//health", "/Health", "/metrics/..", "/ready#", "/api/health"]
)
def test_only_the_exact_targets_are_operators_routes(ops, target):
    assert ops.answer("GET", target) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"])
def test_they_are_read_only(ops, method):
    assert ops.answer(method, "/health") is None


async def test_readiness_stands_in_the_metrics(ops, troubles):
    await answered(ops, "/ready")
    assert b"gateway_ready 1.0" in (await answered(ops, "/metrics"))[1]
    troubles["policy"] = "gone"
    await answered(ops, "/ready")
    assert b"gateway_ready 0.0" in (await answered(ops, "/metrics"))[1]


async def test_an_upstream_that_does_not_answer_is_said_and_leaves_the_gateway_ready():
    hosts = {"huggingface.co:443": "The hub cannot be reached"}
    metrics = Metrics()
    ops = Ops({}, metrics, lambda: hosts)
    ready = await ops.answer("GET", "/ready")
    assert ready.status == 200
    assert json.loads(ready.body)["checks"]["upstream"] == (
        "huggingface.co:443 is asked by a probe only (The hub cannot be reached)"
    )
    line = b'gateway_upstream_circuit_open{host="huggingface.co:443"} %s'
    assert line % b"1.0" in (await ops.answer("GET", "/metrics")).body
    hosts.clear()
    assert line % b"0.0" in (await ops.answer("GET", "/metrics")).body
    assert json.loads((await ops.answer("GET", "/ready")).body)["checks"]["upstream"] == "ok"
