"""P2: one door. Every route, with every method and header that might open it, before a policy that denies everything:
no artifact byte, no upstream URL and no Xet hash may leave; and every request is on record."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.domain.request import OF_FILE, RequestKind
from gateway.hubs.huggingface.routes import POST, READ, ROUTES, Route
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import GatewayProcess
from tests.e2e.walk import walk

SECRET = b"THESE BYTES MUST NEVER LEAVE"
REPOS = ("models:org/model", "datasets:org/set", "spaces:org/app")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND")
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
            yield f"{api}/treesize/{rev}/dir"
            yield f"{api}/paths-info/{rev}"
        yield f"/api/{kind}/{repo_id}"
        yield f"/api/{kind}/{repo_id}/refs?include_prs=1"
        yield f"/api/{kind}/{repo_id}/scan"
        yield f"/api/{kind}/{repo_id}/auth-check"
        yield f"/api/{kind}/{repo_id}/auth-check/write"
        yield f"/api/{kind}/{repo_id}/safetensors-metadata/model.safetensors"
        for unknown in ("likers", "lfs-files", "leaderboard", "discussions", "discussions/1", "jwt", "resource-group"):
            yield f"/api/{kind}/{repo_id}/{unknown}"
        yield f"/api/{kind}?search=org"
        yield f"/{prefix}{repo_id}.git/info/refs?service=git-upload-pack"
        yield f"/{prefix}{repo_id}.git/info/lfs/objects/batch"
        yield f"/{prefix}{repo_id}/info/refs?service=git-upload-pack"
        yield f"/{prefix}{repo_id}"
    for unknown in ("models-tags-by-type", "datasets-tags-by-type", "validate-yaml", "trending", "collections"):
        yield f"/api/{unknown}"
    yield "/oauth/device"
    yield "/v2/org/model/manifests/main"
    yield "/v2/org/model/blobs/sha256:" + "0" * 64
    yield "/"


def every_row(world):
    """Every request of every row of the grammar's table, known to this page or not, under two spellings of a revision."""
    for name in ("org/model", "datasets/org/set", "spaces/org/app"):
        refs = ["main", world[name].main.id] if name == "org/model" else ["main"]
        yield from walk(world[name], refs=refs, paths=["model.safetensors", "dir/config.json"])


def marks_of(world, hub):
    """What tells of a file: its bytes, its digests, its Xet hash, and where the hub keeps it."""
    files = [f for name in ("org/model", "datasets/org/set", "spaces/org/app") for f in world[name].main.files.values()]
    digests = {digest.encode() for f in files for digest in (f.xet, f.content.sha256, f.oid)}
    hosts = [hub.cdn_url.encode(), hub.hub_url.encode(), b"huggingface.co", b"cas-server"]
    return [SECRET[:12], b"xetHash", *hosts, *digests]


def test_every_row_of_the_table_denies(world, sealed):
    hub, gateway = sealed
    marks, walked, asked_digests = marks_of(world, hub), set(), [b"/lfs/objects/batch", b"/blobs/sha256:"]
    for asked in every_row(world):
        walked.add(asked.route)
        for headers in ({}, {"Range": "bytes=0-3", "Accept": "text/html, */*", "X-Original-URL": "/org/model"}):
            answer = gateway.get(asked.target, asked.method, {**asked.headers, **headers}, asked.body)
            wire = str(answer.headers).encode() + answer.body
            told_by_client = any(part in asked.target.encode() for part in asked_digests)
            for mark in marks:
                is_echo = told_by_client and mark in asked.target.encode() + (asked.body or b"")
                assert is_echo or mark not in wire, (asked.method, asked.target, headers, answer.status, wire[:500])
            assert answer.status < 500, (asked.method, asked.target, answer.status)
            names = {name.lower() for name in answer.headers}
            assert not names & {"location", "x-xet-hash", "x-xet-refresh-route", "link"}, (asked.method, asked.target)
            if asked.route.kind in OF_FILE and asked.method == "GET":
                assert answer.status == 403, (asked.target, answer.status)
                assert "X-Error-Code" not in answer.headers, asked.target
    assert walked == set(ROUTES), "a row of the table was not walked"
    assert not hub.bytes_sent("*model.safetensors", host="cdn")


def test_a_row_that_the_walk_cannot_fill_fails_it(world, monkeypatch):
    """Whoever adds a row with a part of a new kind must teach the walk what to ask for."""
    for row in (
        Route(RequestKind.RESOLVE, READ, "/api/{type}/{repo}/new/{thing}"),
        Route(RequestKind.RESOLVE, POST, "/api/{type}/{repo}/new/{rev}"),
    ):
        monkeypatch.setattr("tests.e2e.walk.ROUTES", (*ROUTES, row))
        with pytest.raises(AssertionError, match="the walk"):
            list(every_row(world))


def test_nothing_leaves_through_any_door(world, sealed):
    hub, gateway = sealed
    marks = [SECRET[:12], hub.cdn_url.encode(), hub.hub_url.encode(), b"huggingface.co", b"xetHash", b"cas-server"]
    digests = [f.xet.encode() for r in (world["org/model"],) for f in r.main.files.values() if f.xet]
    asked = 0
    for route in routes(world):
        # Every method and header once per route; other spellings of the revision are asked plainly.
        is_plain = any(f"/{rev}" in route for rev in ("HEAD", "refs%2F")) or bool(re.search("/[0-9a-f]{8}", route))
        for method in ("GET", "HEAD", "POST") if is_plain else METHODS:
            for headers in HEADERS if method in {"GET", "HEAD"} and not is_plain else ({},):
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


@pytest.mark.parametrize(
    "route",
    [
        "/somewhere/else/entirely/x",
        "/api/models/org/model/likers",
        "/api/models/org/model/leaderboard",
        "/api/models/org/model/lfs-files",
        "/api/models/org/model/discussions",
        "/api/models/org/model/discussions/1",
        "/api/models-tags-by-type",
        "/api/validate-yaml",
        "/oauth/device",
    ],
)
def test_an_unknown_route_is_404_json_and_on_record(sealed, route):
    _, gateway = sealed
    # A target of its own: repeats of one refusal are one record.
    answer = gateway.get(f"{route}?once=1", headers={"User-Agent": f"unknown/{route.count('/')}.{len(route)}"})
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json["error"]
    assert "X-Error-Code" not in answer.headers
    assert [r for r in gateway.records() if r.get("client") == f"unknown/{route.count('/')}.{len(route)}"]


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
