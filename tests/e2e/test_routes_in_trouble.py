"""Every row of the table where nothing goes well: nobody known asks, the hub is gone, the hub lies about what it has."""

import json

import pytest

from gateway.domain.request import OF_FILE, RequestKind
from gateway.hubs.huggingface.routes import ROUTES
from gateway.simulator import builders
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import GatewayProcess, cli
from tests.e2e.walk import walk
from tests.e2e.wire import QUICK, add_repo

LIMITS = QUICK + "[limits]\nsubject_rate = 0\naddress_rate = 0\n"
MARK = b"MARK OF THE UNSEEN"
LOCAL = {RequestKind.WHOAMI, RequestKind.TELEMETRY, RequestKind.HARNESSES, RequestKind.WRITE, RequestKind.GIT}
# Answered, before anybody is asked, as if something were there: clients then meet the reason and not their own cache.
INVENTED = {RequestKind.RESOLVE, RequestKind.INFO, RequestKind.TREE}


@pytest.fixture
def world():
    world = World()
    files = {"config.json": '{"model_type": "bert"}', "w/model.safetensors": builders.safetensors({"a": (2, 2)})}
    add_repo(world, "org/model", {**files, "note.txt": MARK})
    add_repo(world, "org/private", {**files, "note.txt": MARK}, private=True)
    return world


def everything(repo):
    return list(walk(repo, refs=["main"], paths=["note.txt", "w/model.safetensors"]))


def asked_of(gateway, asked, **headers):
    return gateway.get(asked.target, asked.method, {**asked.headers, **headers}, asked.body)


@pytest.mark.parametrize("credential", ["", "Bearer mgw_unknown", "Bearer hf_of_the_public_hub", "Basic eDp5"])
def test_who_is_not_known_learns_nothing_and_the_hub_is_not_asked(world, tmp_path, credential):
    with SimulatorThread(world) as hub:
        gateway = GatewayProcess(hub, tmp_path / "state", config=LIMITS + '[identity]\nanonymous = "off"\n')
        try:
            hub.clear()
            seen = set()
            for asked in everything(world["org/model"]):
                answer = asked_of(gateway, asked, **({"Authorization": credential} if credential else {}))
                seen.add(asked.route)
                wire = str(answer.headers).encode() + answer.body
                assert MARK not in wire, asked.target
                assert world["org/model"].main.id.encode() not in wire.replace(asked.target.encode(), b""), asked.target
                assert "X-Error-Code" not in answer.headers, asked.target
                if asked.route.kind in OF_FILE - {RequestKind.RESOLVE} or asked.route.kind in {
                    RequestKind.COMMITS, RequestKind.SCAN, RequestKind.AUTH_CHECK, RequestKind.TREESIZE, RequestKind.REFS,
                }:  # fmt: skip
                    assert answer.status == 403, asked.target
                    assert "identity/" in answer.headers["X-Error-Message"]
                elif asked.route.kind not in INVENTED | LOCAL:
                    assert answer.status in {401, 403}, (asked.method, asked.target, answer.status)
                if credential.startswith("Bearer"):
                    assert credential.removeprefix("Bearer ").encode() not in wire
            assert seen == set(ROUTES)
            assert not hub.requests
        finally:
            gateway.stop()


def test_while_the_hub_is_down_nothing_is_said_to_be_absent(world, tmp_path):
    with SimulatorThread(world) as hub:
        gateway = GatewayProcess(hub, tmp_path / "state", config=LIMITS)
        try:
            hub.down()
            for asked in everything(world["org/model"]):
                answer = asked_of(gateway, asked)
                assert "X-Error-Code" not in answer.headers, asked.target
                if asked.route.kind not in LOCAL:
                    is_ping = asked.target == "/v2/"
                    assert answer.status in ({200, 404, 502} if is_ping else {502, 504}), (asked.target, answer.status)
        finally:
            gateway.stop()


def test_what_was_judged_once_is_shown_in_every_form_while_the_hub_is_down(world, tmp_path):
    """A blob that is here, and facts that were heard, need no hub: neither does the page about them (P5)."""
    forms = ("resolve/main/note.txt", "raw/main/note.txt", "blob/main/note.txt", "raw/main/w/model.safetensors")
    listings = (
        "",
        "/tree/main",
        "/treesize/main",
        "/scan",
        "/commits/main",
        "/safetensors-metadata/w/model.safetensors",
    )
    with SimulatorThread(world) as hub:
        gateway = GatewayProcess(hub, tmp_path / "state", config=LIMITS)
        try:
            targets = [f"/org/model/{form}" for form in forms] + [f"/api/models/org/model{part}" for part in listings]
            gateway.get("/org/model/resolve/main/w/model.safetensors")
            before = {target: gateway.get(target) for target in targets}
            assert {answer.status for answer in before.values()} == {200}
            hub.down()
            for target, earlier in before.items():
                answer = gateway.get(target)
                assert answer.status == 200, target
                if "/blob/" not in target:
                    assert answer.body == earlier.body, target
        finally:
            gateway.stop()


def test_a_private_repo_of_the_gateway_is_absent_in_every_form_for_others_also_from_memory(world, tmp_path):
    """Ada's group may see it: what she fetched lies in the store, and stays hers."""
    world.token("hf_gateway", "org/private", name="gateway")
    overlay = tmp_path / "entitled.yaml"
    overlay.write_text(json.dumps({"entitlements": {"ml": {"org/private": True}}}))
    with SimulatorThread(world) as hub:
        state = tmp_path / "state"
        token = json.loads(cli("token", "add", "ada", "--group", "ml", "--state", str(state), "--json").stdout)["token"]
        gateway = GatewayProcess(
            hub, state, "--policy-data", str(overlay), config=LIMITS, env={"GATEWAY_UPSTREAM_TOKEN": "hf_gateway"}
        )
        try:
            hers = {"Authorization": f"Bearer {token}"}
            forms = [a for a in everything(world["org/private"]) if a.route.kind in OF_FILE and a.method == "GET"]
            allowed = [a.target for a in forms if asked_of(gateway, a, **hers).status == 200]
            assert any("/raw/" in t for t in allowed)
            assert any("/blob/" in t for t in allowed)
            assert any("safetensors-metadata" in t for t in allowed)
            for asked in everything(world["org/private"]):
                if asked.route.kind in LOCAL | {
                    RequestKind.SEARCH,
                    RequestKind.LFS_BATCH,
                    RequestKind.MANIFEST,
                    RequestKind.LAYER,
                }:
                    continue
                answer = asked_of(gateway, asked)
                assert (answer.status, answer.headers["X-Error-Code"]) == (404, "RepoNotFound"), asked.target
                assert MARK not in answer.body
        finally:
            gateway.stop()
