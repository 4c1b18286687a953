"""P6, P7: what only the gateway's token opens belongs to those whom data.entitlements names, also from cache."""

import json

import pytest

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli

HUB_TOKEN = "hf_gatewaysOwnHubToken000000000000"
ROUTES = (
    ("HEAD", "/corp/secret/resolve/main/config.json"),
    ("GET", "/corp/secret/resolve/main/config.json"),
    ("GET", "/corp/secret/resolve/main/model.safetensors"),
    ("GET", "/api/models/corp/secret"),
    ("GET", "/api/models/corp/secret/revision/main?blobs=true"),
    ("GET", "/api/models/corp/secret/tree/main?recursive=true"),
    ("GET", "/api/models/corp/secret/refs"),
    ("GET", "/api/models/corp/secret/xet-read-token/main"),
)


@pytest.fixture(scope="module")
def world():
    world = sample_world()
    secret = world.repo("corp/secret", card={"license": "apache-2.0"}, private=True)
    weights = world["demo/good-safetensors"].main.files["model.safetensors"].content
    secret.commit(
        {"config.json": '{"model_type": "bert"}', "model.safetensors": weights, "only-here.txt": "for corp\n"}
    )
    world.token(HUB_TOKEN, "corp/secret", "demo/gated", name="gateway")
    return world


@pytest.fixture(scope="module")
def setup(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("entitled")
    overlay = root / "entitlements.yaml"
    overlay.write_text(json.dumps({"entitlements": {"corp": {"corp/*": True, "demo/gated": True}}}))
    tokens = {}
    for name, groups in (("alice", ["--group", "corp"]), ("bob", [])):
        done = cli("token", "add", name, *groups, "--state", str(root / "state"), "--json")
        assert done.returncode == 0, done.stderr
        tokens[name] = json.loads(done.stdout)["token"]
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub, root / "state", "--policy-data", str(overlay), env={"GATEWAY_UPSTREAM_TOKEN": HUB_TOKEN}
        )
        yield hub, process, tokens
        process.stop()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_a_private_repo_opens_to_the_entitled_only_also_from_cache(setup, world):
    _, gateway, tokens = setup
    for method, route in ROUTES[:-1]:
        answer = gateway.get(route, method, bearer(tokens["alice"]))
        assert answer.status == 200, (route, answer.status, answer.body[:300])
    for who in (bearer(tokens["bob"]), {}):
        for method, route in ROUTES:
            answer = gateway.get(route, method, who)
            assert answer.status == 404, (method, route, answer.status)
            assert answer.headers["X-Error-Code"] == "RepoNotFound"
            assert b"for corp" not in answer.body
            commit = world["corp/secret"].main.id
            assert commit not in str(answer.headers)
            assert commit.encode() not in answer.body


def test_a_missing_repo_and_a_private_one_look_the_same(setup):
    _, gateway, tokens = setup
    private = gateway.get("/corp/secret/resolve/main/config.json", headers=bearer(tokens["bob"]))
    missing = gateway.get("/corp/nothing/resolve/main/config.json", headers=bearer(tokens["bob"]))
    assert private.status == missing.status
    assert private.json == missing.json
    names = {"X-Error-Code", "X-Error-Message", "Content-Type"}
    assert {n: private.headers[n] for n in names} == {n: missing.headers[n] for n in names}


def test_a_gated_repo_shows_its_info_and_keeps_its_bytes(setup):
    _, gateway, tokens = setup
    for who in (bearer(tokens["bob"]), {}):
        assert gateway.get("/api/models/demo/gated", headers=who).json["gated"] == "manual"
        answer = gateway.get("/demo/gated/resolve/main/model.safetensors", headers=who)
        assert answer.status == 403
        assert "entitlement/gated" in answer.headers["X-Error-Message"]
    answer = gateway.get("/demo/gated/resolve/main/model.safetensors", headers=bearer(tokens["alice"]))
    assert answer.status == 200, answer.body[:300]
    again = gateway.get("/demo/gated/resolve/main/model.safetensors", headers=bearer(tokens["bob"]))
    assert again.status == 403


def test_the_hubs_token_goes_to_the_hub_alone_and_the_developers_stops_here(setup, tmp_path):
    hub, gateway, tokens = setup
    for request in hub.requests:
        sent = request.headers.get("authorization", "")
        assert all(token not in sent for token in tokens.values())
        if request.host == "cdn":
            assert not sent, request
    assert any(HUB_TOKEN in r.headers.get("authorization", "") for r in hub.requests)
    # The hub is asked anonymously first, for public repos only so.
    gateway.get("/demo/good-gguf/resolve/main/model.gguf", headers=bearer(tokens["alice"]))
    public = [r for r in hub.requests if "good-gguf" in r.target]
    assert public
    assert not any(r.headers.get("authorization") for r in public)
    everything = "".join(gateway.log) + json.dumps(gateway.records())
    for secret in (HUB_TOKEN, *tokens.values()):
        assert secret not in everything
    for path in gateway.state.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert HUB_TOKEN.encode() not in data, path
            assert all(token.encode() not in data for token in tokens.values()), path
