"""P7 while the hub is in trouble: a private repo that is kept from somebody looks like one that nobody ever saw."""

import json

import pytest

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli
from tests.e2e.test_outage import becomes

HUB_TOKEN = "hf_gatewaysOwnHubToken000000000000"
BATCH = json.dumps({"operation": "download", "objects": [{"oid": "a" * 64, "size": 1}]}).encode()
LFS = {"Content-Type": "application/vnd.git-lfs+json"}
ROUTES = (
    ("HEAD", "/{}/resolve/main/config.json", None), ("GET", "/{}/resolve/main/config.json", None),
    ("GET", "/{}/raw/main/config.json", None), ("GET", "/api/models/{}", None), ("GET", "/api/models/{}/tree/main", None),
    ("GET", "/api/models/{}/commits/main", None), ("GET", "/api/models/{}/scan", None),
    ("GET", "/v2/{}/manifests/latest", None), ("POST", "/{}.git/info/lfs/objects/batch", BATCH),
)  # fmt: skip


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    root = tmp_path_factory.mktemp("absence")
    world = sample_world()
    secret = world.repo("corp/secret", card={"license": "apache-2.0"}, private=True)
    secret.commit({"config.json": '{"model_type": "bert"}'})
    world.token(HUB_TOKEN, "corp/secret", name="gateway")
    overlay = root / "entitlements.yaml"
    overlay.write_text(json.dumps({"entitlements": {"corp": {"corp/*": True}}}))
    done = cli("token", "add", "alice", "--group", "corp", "--state", str(root / "state"), "--json")
    alice = {"Authorization": f"Bearer {json.loads(done.stdout)['token']}"}
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub, root / "state", "--policy-data", str(overlay),
            env={"GATEWAY_UPSTREAM_TOKEN": HUB_TOKEN}, config="[upstream]\nref_ttl_s = 0.5\n",
        )  # fmt: skip
        yield hub, process, alice
        process.stop()


def told(gateway, repo, headers=None):
    """What every route says of a repo, with the repo's name taken out."""
    said = []
    for method, route, body in ROUTES:
        answer = gateway.get(route.format(repo), method, {**(headers or {}), **(LFS if body else {})}, body)
        shown = {n: v for n, v in answer.headers.items() if n not in {"Date", "X-Request-Id", "Retry-After"}}
        said.append(
            (
                method,
                route,
                answer.status,
                json.dumps(shown).replace(repo, "?"),
                answer.body.replace(repo.encode(), b"?"),
            )
        )
    return said


def test_an_outage_tells_nobody_which_repos_are_private(setup):
    hub, gateway, alice = setup
    config = "/corp/secret/resolve/main/config.json"
    assert gateway.get(config, headers=alice).status == 200
    assert told(gateway, "corp/secret") == told(gateway, "corp/nobody")
    hub.down()
    becomes(lambda: gateway.get("/corp/nobody/resolve/main/config.json"), 502)
    becomes(lambda: gateway.get(config), 502)
    assert told(gateway, "corp/secret") == told(gateway, "corp/nobody")
    assert gateway.get(config, headers=alice).status == 200, "whom it is open to is served all the same"
