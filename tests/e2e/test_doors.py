"""P2: one door. Every route, with every method and header that might open it, before a policy that denies everything:
no artifact byte, no upstream URL and no Xet hash may leave; and every request is on record."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import GatewayProcess

SECRET = b"THESE BYTES MUST NEVER LEAVE"
REPOS = ("models:org/model", "datasets:org/set", "spaces:org/app")
HEADERS = (
    {},
    {"Range": "bytes=0-3"},
    {"Range": "bytes=0-"},
    {"If-None-Match": "*"},
    {"If-Range": '"x"', "Range": "bytes=0-1"},
    {"Accept": "application/vnd.xet-fileinfo+json, */*"},
    {"X-Forwarded-Host": "huggingface.co", "X-Original-URL": "/org/model/resolve/main/model.safetensors"},
)


@pytest.fixture(scope="module")
def world():
    world = World()
    for name in REPOS:
        kind, repo_id = name.split(":")
        repo = world.repo(repo_id, type=kind.removesuffix("s"), card={"license": "apache-2.0"})
        repo.commit({"README.md": SECRET + b" readme\n", "model.safetensors": SECRET * 100, "dir/config.json": SECRET})
    return world


@pytest.fixture(scope="module")
def sealed(world, tmp_path_factory):
    """A gateway whose policy denies every repo."""
    root = tmp_path_factory.mktemp("sealed")
    overlay = root / "deny.yaml"
    overlay.write_text(json.dumps({"config": {"denylist": {"repos": {"patterns": {"**": True}}}}}))
    with SimulatorThread(world) as hub:
        # A limited request would prove nothing of its door.
        limits = "[limits]\nsubject_rate = 0\naddress_rate = 0\n"
        process = GatewayProcess(hub, root / "state", "--policy-data", str(overlay), config=limits)
        yield hub, process
        process.stop()


def routes(world):
    """Every read route of hub-protocol §4 and every by-way of §9, under every revision form."""
    for name in REPOS:
        kind, repo_id = name.split(":")
        prefix = "" if kind == "models" else f"{kind}/"
        repo = world[repo_id if kind == "models" else f"{kind}/{repo_id}"]
        for rev in ("main", "HEAD", repo.main.id, repo.main.id[:8], "refs%2Fpr%2F1", quote("refs/convert/parquet", "")):
            for path in ("model.safetensors", "README.md", "dir/config.json"):
                yield f"/{prefix}{repo_id}/resolve/{rev}/{path}"
                yield f"/{prefix}{repo_id}/resolve/{rev}/{path}?download=true"
                yield f"/{prefix}{repo_id}/raw/{rev}/{path}"
                yield f"/{prefix}{repo_id}/blob/{rev}/{path}"
                yield f"/{prefix}{repo_id}/media/{rev}/{path}"
                yield f"/api/resolve-cache/{kind}/{repo_id}/{repo.main.id}/{path}"
            api = f"/api/{kind}/{repo_id}"
            yield f"{api}/revision/{rev}?blobs=true&securityStatus=true"
            yield f"{api}/revision/{rev}?expand=siblings&expand=xetEnabled"
            yield f"{api}/tree/{rev}?recursive=true&expand=true"
            yield f"{api}/tree/{rev}/dir"
            yield f"{api}/xet-read-token/{rev}"
            yield f"{api}/xet-write-token/{rev}"
            yield f"{api}/commits/{rev}"
            yield f"{api}/treesize/{rev}/"
            yield f"{api}/paths-info/{rev}"
        yield f"/api/{kind}/{repo_id}"
        yield f"/api/{kind}/{repo_id}/refs?include_prs=1"
        yield f"/api/{kind}/{repo_id}/scan"
        yield f"/api/{kind}?search=org"
        yield f"/{prefix}{repo_id}.git/info/refs?service=git-upload-pack"
        yield f"/{prefix}{repo_id}.git/info/lfs/objects/batch"
        yield f"/{prefix}{repo_id}/info/refs?service=git-upload-pack"
        yield f"/{prefix}{repo_id}"
    yield "/v2/org/model/manifests/main"
    yield "/v2/org/model/blobs/sha256:" + "0" * 64
    yield "/"


def test_nothing_leaves_through_any_door(world, sealed):
    hub, gateway = sealed
    marks = [SECRET[:12], hub.cdn_url.encode(), hub.hub_url.encode(), b"huggingface.co", b"xetHash", b"cas-server"]
    digests = [f.xet.encode() for r in (world["org/model"],) for f in r.main.files.values() if f.xet]
    asked = 0
    for route in routes(world):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
            for headers in HEADERS if method in {"GET", "HEAD"} else ({},):
                answer = gateway.get(
                    route, method, dict(headers), b"paths=model.safetensors" if method == "POST" else None
                )
                asked += 1
                wire = str(answer.headers).encode() + answer.body
                for mark in (*marks, *digests):
                    assert mark not in wire, (method, route, headers, answer.status, wire[:500])
                assert answer.status < 500, (method, route, headers, answer.status)
                names = {name.lower() for name in answer.headers}
                assert not names & {"location", "x-xet-hash", "x-xet-refresh-route", "link"}, (method, route)
                if method == "GET" and "/resolve/" in route:
                    assert answer.status in {403, 404}, (route, answer.status)
    assert asked > 1000
    assert not hub.bytes_sent("*model.safetensors", host="cdn")


def test_every_refusal_is_on_record(sealed):
    _, gateway = sealed
    before = len(gateway.records())
    for number, (method, route) in enumerate(
        [
            ("GET", "/org/model/resolve/main/only-once.bin"),
            ("POST", "/api/repos/create"),
            ("GET", "/no/such/route/at/all"),
            ("PUT", "/org/model/resolve/main/put.bin"),
            ("GET", "/api/models/org/model/xet-read-token/v-once"),
        ]
    ):
        gateway.get(route, method, {"User-Agent": f"probe/{number}"})
    records = gateway.records()
    clients = {r.get("client") for r in records[: len(records) - before]} | {r.get("client") for r in records[before:]}
    assert {f"probe/{n}" for n in range(5)} <= clients


def test_writes_are_refused_as_read_only(sealed):
    _, gateway = sealed
    for method, route in (
        ("POST", "/api/repos/create"),
        ("DELETE", "/api/repos/delete"),
        ("POST", "/api/models/org/model/commit/main"),
        ("POST", "/api/models/org/model/preupload/main"),
        ("PUT", "/api/models/org/model/settings"),
    ):
        answer = gateway.get(route, method, data=b"{}")
        assert answer.status == 403, (route, answer.status)
        assert "read-only" in answer.json["error"]


def test_an_unknown_route_is_404_json(sealed):
    _, gateway = sealed
    answer = gateway.get("/somewhere/else/entirely/x")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json["error"]


def test_telemetry_and_harnesses_are_answered_here(sealed):
    hub, gateway = sealed
    hub.clear()
    assert gateway.get("/api/telemetry/anything", "HEAD").status < 300
    answer = gateway.get("/api/agent-harnesses")
    assert answer.json == {"standardEnvVars": [], "harnesses": {}}
    assert not hub.requests


def test_the_xet_token_is_refused_with_the_reason_also_where_the_repo_is_allowed(world, tmp_path):
    with SimulatorThread(world) as hub:
        gateway = GatewayProcess(hub, Path(tmp_path) / "state")
        try:
            answer = gateway.get(f"/api/models/org/model/xet-read-token/{world['org/model'].main.id}")
            assert answer.status == 403
            assert "HF_HUB_DISABLE_XET" in answer.headers["X-Error-Message"]
            assert not [r for r in hub.requests if "xet-read-token" in r.target]
        finally:
            gateway.stop()
