"""The hub's other read routes about one repo: attacks first, then what each answers, against the simulator's own answer."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from gateway.simulator import builders
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import GatewayProcess, fetch, run_client
from tests.e2e.wire import QUICK, add_repo

WEIGHTS = builders.safetensors({"a": (4, 4), "b": (2,)})
TORCH = builders.torch_zip({"a": (4, 4)})
EVIL = builders.torch_zip({"a": (4, 4)}, data_pkl=builders.pickle_call("posix", "system"))
HIDDEN = "secret-corner/pytorch_model.bin"
INJECTION = "<img src=x onerror=alert(1)>\"'&.txt"
TURNED = "notes\u202etxt.exe"
MARK = b"MARK OF THE UNSEEN"


@pytest.fixture(scope="module")
def world():
    world = World()
    twin = {"secret-corner/model.safetensors": WEIGHTS, HIDDEN: TORCH, "config.json": "{}"}
    add_repo(world, "org/twin", twin).scan_levels[HIDDEN] = "caution"
    names = {INJECTION: "odd", TURNED: "odd", "config.json": "{}", "model.safetensors": WEIGHTS}
    add_repo(world, "org/open", names)
    world.repo("org/denied").commit({"config.json": MARK, "model.safetensors": WEIGHTS, "README.md": MARK})
    pull = add_repo(world, "org/pull", {"config.json": "{}", "model.safetensors": WEIGHTS})
    pull.pull_request({"pytorch_model.bin": EVIL, "note.txt": MARK})
    private = add_repo(world, "org/private", {"config.json": MARK, "model.safetensors": WEIGHTS}, private=True)
    world.token("hf_gateway", private.name, name="gateway")
    _sharded(world)
    history = add_repo(world, "org/history", {"config.json": "{}"})
    for number in range(120):
        history.commit({"config.json": json.dumps({"n": number})}, message=f"Change {number}")
    history.commit(
        {"n.txt": "x"}, message="See https://huggingface.co/org/history and http://cas-server.xethub.hf.co/x"
    )
    return world


def _sharded(world):
    one, two = builders.safetensors({"x": (8, 2)}), builders.safetensors({"y": (3,)}, {"format": "pt", "note": "two"})
    index = {"metadata": {"total_size": 76}, "weight_map": {"x": "m-1-of-2.safetensors", "y": "m-2-of-2.safetensors"}}
    files = {"w/m-1-of-2.safetensors": one, "w/m-2-of-2.safetensors": two}
    add_repo(world, "org/sharded", {"w/m.safetensors.index.json": json.dumps(index), **files})
    lacking = {"weight_map": {"x": "m-1-of-2.safetensors", "y": "gone.safetensors"}}
    add_repo(world, "org/lacking", {"m.safetensors.index.json": json.dumps(lacking), "m-1-of-2.safetensors": one})
    pickled = {"weight_map": {"x": "m-1-of-2.safetensors", "y": "pytorch_model.bin"}}
    files = {"m.safetensors.index.json": json.dumps(pickled), "m-1-of-2.safetensors": one, "pytorch_model.bin": EVIL}
    add_repo(world, "org/pickled", files)


@pytest.fixture(scope="module")
def hub(world):
    with SimulatorThread(world) as sim:
        yield sim


@pytest.fixture(scope="module")
def gateway(hub, tmp_path_factory):
    process = GatewayProcess(
        hub, tmp_path_factory.mktemp("routes") / "state", config=QUICK, env={"GATEWAY_UPSTREAM_TOKEN": "hf_gateway"}
    )
    yield process
    process.stop()


def about(name, commit, path="config.json", ref="main"):
    """Every read route about one repo of the hub."""
    api, at, quoted = f"/api/models/{name}", quote(ref, safe=""), quote(path)
    return [
        f"/{name}/resolve/{at}/{quoted}", f"/{name}/raw/{at}/{quoted}", f"/{name}/blob/{at}/{quoted}",
        f"/api/resolve-cache/models/{name}/{commit}/{quoted}", f"{api}/safetensors-metadata/model.safetensors",
        api, f"{api}?blobs=true&securityStatus=true", f"{api}/revision/{at}?expand=siblings", f"{api}/tree/{at}?recursive=true",
        f"{api}/tree/{at}?expand=true&recursive=true", f"{api}/refs?include_prs=1", f"{api}/commits/{at}", f"{api}/scan",
        f"{api}/auth-check", f"{api}/treesize/{at}/", f"{api}/treesize/{at}/{quoted}", f"{api}/xet-read-token/{at}",
    ]  # fmt: skip


def wire(answer):
    return str(answer.headers).encode() + answer.body


# -- attacks ------------------------------------------------------------------------------------------------------------


def test_a_hidden_file_shows_on_no_route(gateway, world):
    commit = world["org/twin"].main.id
    for target in about("org/twin", commit, "config.json"):
        answer = gateway.get(target)
        assert answer.status == 200 or "xet-read-token" in target or "safetensors-metadata" in target, target
        assert HIDDEN.encode() not in wire(answer), target
    pointer = gateway.get("/org/twin/raw/main/" + HIDDEN)
    oid = world["org/twin"].main.files[HIDDEN].content.sha256.encode()
    for target in (
        f"/org/twin/raw/main/{HIDDEN}",
        f"/org/twin/blob/main/{HIDDEN}",
        f"/api/resolve-cache/models/org/twin/{commit}/{HIDDEN}",
        f"/api/models/org/twin/safetensors-metadata/{HIDDEN}",
    ):
        answer = gateway.get(target)
        assert answer.status == 403, target
        assert "format/twin" in answer.headers["X-Error-Message"]
        assert "X-Error-Code" not in answer.headers
        assert "X-Repo-Commit" not in answer.headers
        assert oid not in wire(answer)
    assert b"git-lfs" not in pointer.body
    shown = len(WEIGHTS)
    assert gateway.get("/api/models/org/twin/treesize/main/secret-corner").json["size"] == shown
    assert gateway.get(f"/api/models/org/twin/treesize/main/{HIDDEN}").status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_denied_repo_yields_nothing_through_any_route(gateway, hub, world, method):
    hub.clear()
    for target in about("org/denied", world["org/denied"].main.id):
        answer = gateway.get(target, method)
        assert MARK not in wire(answer), target
        assert "X-Error-Code" not in answer.headers, target
        if (
            "/revision/" not in target
            and "/tree/" not in target
            and not re.fullmatch(r"/api/models/[^/]+/[^/]+(\?.*)?", target)
        ):
            is_tombstone = method == "HEAD" and ("/resolve/" in target or "/resolve-cache/" in target)
            assert answer.status == (200 if is_tombstone else 403), (method, target)
    assert not [r for r in hub.requests if r.target.startswith("/org/denied/")], "no byte was even fetched"


def test_a_denied_pull_request_yields_nothing_under_its_commit(gateway, world):
    commit = next(iter(world["org/pull"].pull_requests.values())).head
    for ref in (commit, commit[:9], "refs/pr/1"):
        for target in about("org/pull", commit, "note.txt", ref):
            if "/refs" in target or "safetensors-metadata" in target or target.startswith("/api/models/org/pull?"):
                continue  # these speak of the default branch, which is allowed
            answer = gateway.get(target)
            assert MARK not in wire(answer), target
    for path in ("note.txt", "pytorch_model.bin"):
        assert gateway.get(f"/api/resolve-cache/models/org/pull/{commit}/{path}").status == 403
        assert gateway.get(f"/org/pull/raw/{commit}/{path}").status == 403
        assert gateway.get(f"/org/pull/blob/refs%2Fpr%2F1/{path}").status == 403
    assert gateway.get("/api/models/org/pull/commits/refs%2Fpr%2F1").status == 403
    assert gateway.get("/api/models/org/pull/commits/main").status == 200


def test_a_private_repo_looks_absent_on_every_route(gateway, world):
    private, absent = "org/private", "org/absentee"
    commit = world[private].main.id
    for ref in ("main", commit, "no-such-branch"):
        for target in about(private, commit, ref=ref):
            answer, other = gateway.get(target), gateway.get(target.replace(private, absent))
            assert (answer.status, answer.headers["X-Error-Code"]) == (404, "RepoNotFound"), target
            assert answer.status == other.status
            assert answer.body == other.body
            assert {n.lower() for n in answer.headers} == {n.lower() for n in other.headers}, target
            assert "X-Repo-Commit" not in answer.headers


class Page(HTMLParser):
    """What a browser would build of a page: its elements with their attributes, and its text."""

    def __init__(self, body):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(body.decode())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)


@pytest.mark.parametrize("name", [INJECTION, TURNED, "no-such-<script>alert(1)</script>.txt"])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_a_name_of_a_file_does_nothing_on_a_page(gateway, name, accept):
    answer = gateway.get(f"/org/open/blob/main/{quote(name)}", headers={"Accept": accept})
    assert "\u202e".encode() not in answer.body
    if answer.headers["Content-Type"].startswith("text/html"):
        page = Page(answer.body)
        allowed = {
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "h1",
            "bdi",
            "dl",
            "dt",
            "dd",
            "code",
            "p",
            "a",
            "h2",
            "ul",
            "li",
        }
        assert {tag for tag, _ in page.elements} <= allowed
        assert not [a for _, attrs in page.elements for a in attrs if a.startswith("on") or a == "src"]
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "script" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff" or answer.status != 200
    assert "Location" not in answer.headers


def test_an_index_opens_no_shard_that_is_refused_or_not_there(gateway):
    refused = gateway.get("/api/models/org/pickled/safetensors-metadata/m.safetensors.index.json")
    assert refused.status == 403
    assert "pytorch_model.bin" in refused.json["error"]
    assert "X-Error-Code" not in refused.headers
    lacking = gateway.get("/api/models/org/lacking/safetensors-metadata/m.safetensors.index.json")
    assert (lacking.status, lacking.headers["X-Error-Code"]) in {(404, "EntryNotFound"), (403, None)}
    assert b'"headers"' not in lacking.body


# -- what they answer ------------------------------------------------------------------------------------------------------


def test_raw_gives_the_bytes_of_a_git_file_and_the_pointer_of_a_large_one(gateway, hub, world):
    for path in ("config.json", "model.safetensors", INJECTION):
        target = f"/org/open/raw/main/{quote(path)}"
        ours, theirs = gateway.get(target), fetch(hub.hub_url + target)
        assert (ours.status, ours.body) == (200, theirs.body)
        assert ours.headers["ETag"] == theirs.headers["ETag"] == f'"{world["org/open"].main.files[path].oid}"'
        assert ours.headers["X-Repo-Commit"] == theirs.headers["X-Repo-Commit"]
        head = gateway.get(target, "HEAD")
        assert head.headers["Content-Length"] == str(len(ours.body))
        part = gateway.get(target, headers={"Range": "bytes=1-"})
        assert (part.status, part.body) == (206, ours.body[1:])
        assert part.headers["Content-Range"] == f"bytes 1-{len(ours.body) - 1}/{len(ours.body)}"
        assert gateway.get(target, headers={"If-None-Match": ours.headers["ETag"]}).status == 304
        assert gateway.get(target, headers={"Range": "bytes=9999-"}).status == 416
    assert gateway.get("/org/open/raw/main/model.safetensors").body.startswith(
        b"version https://git-lfs.github.com/spec/v1\n"
    )


def test_a_missing_file_is_absent_as_on_the_hub(gateway, hub):
    for target in (
        "/org/open/raw/main/none.txt",
        "/org/open/blob/main/none.txt",
        "/org/open/raw/no-branch/config.json",
    ):
        ours, theirs = gateway.get(target), fetch(hub.hub_url + target)
        assert ours.status == theirs.status == 404
        assert ours.headers["X-Error-Code"] == theirs.headers["X-Error-Code"]
        assert ours.headers.get("X-Repo-Commit") == theirs.headers.get("X-Repo-Commit")


def test_the_page_of_a_file_tells_its_facts_and_links_to_this_very_revision(gateway, world):
    answer = gateway.get("/org/open/blob/main/model.safetensors")
    page, commit = Page(answer.body), world["org/open"].main
    assert answer.status == 200
    assert commit.files["model.safetensors"].content.sha256 in page.text
    assert f"{len(WEIGHTS):,} bytes" in page.text
    (decision,) = re.findall(r"d-[0-9a-f]{20}", page.text)
    assert fetch(f"{gateway.url}/-/decisions/{decision}").status == 200
    assert decision in {r.get("decision_id") for r in gateway.records() if r.get("route") == "blob"}
    links = [attrs["href"] for tag, attrs in page.elements if tag == "a"]
    assert f"{gateway.url}/org/open/resolve/{commit.id}/model.safetensors" in links
    assert all(link.startswith(gateway.url + "/") for link in links)
    (href,) = [link for link in links if "/resolve/" in link]
    assert fetch(href).body == WEIGHTS
    head = gateway.get("/org/open/blob/main/model.safetensors", "HEAD")
    assert (head.status, head.body) == (200, b"")


def test_resolve_cache_is_resolve_at_that_commit(gateway, hub, world):
    commit = world["org/open"].main.id
    ours = gateway.get(f"/api/resolve-cache/models/org/open/{commit}/config.json?%2Forg%2Fopen%2F..%252F=&etag=%22x%22")
    plain = gateway.get(f"/org/open/resolve/{commit}/config.json")
    assert (ours.status, ours.body, ours.headers["ETag"]) == (200, plain.body, plain.headers["ETag"])
    large = gateway.get(f"/api/resolve-cache/models/org/open/{commit}/model.safetensors")
    assert (large.status, large.body) == (200, WEIGHTS)
    assert "Location" not in large.headers


def test_the_commit_log_is_complete_page_by_page_under_our_own_address(gateway, hub):
    target, rows, seen = "/api/models/org/history/commits/main?limit=50", [], 0
    while target:
        answer = gateway.get(target)
        assert answer.status == 200
        rows += answer.json
        seen += 1
        link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
        assert answer.headers.get("Link") is None or link
        if link:
            assert link[1].startswith(f"{gateway.url}/api/models/org/history/commits/main?")
        target = link[1].removeprefix(gateway.url) if link else ""
    theirs = fetch(hub.hub_url + "/api/models/org/history/commits/main?limit=1000").json
    assert seen == 3
    assert [(r["id"], r["date"]) for r in rows] == [(r["id"], r["date"]) for r in theirs]
    assert {key for row in rows for key in row} == {"id", "title", "message", "authors", "date"}
    assert rows[0]["title"] == f"See {gateway.url}/org/history and {gateway.url}"


def test_sizes_and_verdicts_are_those_of_the_hub(gateway, hub):
    for target in (
        "/api/models/org/sharded/treesize/main",
        "/api/models/org/sharded/treesize/main/w",
        "/api/models/org/open/scan",
        "/api/models/org/open/auth-check",
        "/api/models/org/sharded/safetensors-metadata/w/m.safetensors.index.json",
        "/api/models/org/sharded/safetensors-metadata/w/m-2-of-2.safetensors",
    ):
        ours, theirs = gateway.get(target), fetch(hub.hub_url + target)
        assert ours.status == theirs.status == 200, target
        assert ours.json == theirs.json, target
    assert gateway.get("/api/models/org/open/auth-check/write").status == 403


def test_the_headers_of_shards_are_those_of_the_bytes_that_are_served(gateway):
    found = gateway.get("/api/models/org/sharded/safetensors-metadata/w/m.safetensors.index.json").json
    for name, header in found["headers"].items():
        data = gateway.get(f"/org/sharded/resolve/main/w/{name}").body
        assert header == json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    shards = {
        r.get("path") for r in gateway.records() if r.get("route") == "safetensors_metadata" and r["effect"] == "allow"
    }
    assert {"w/m-1-of-2.safetensors", "w/m-2-of-2.safetensors", "w/m.safetensors.index.json"} <= shards


def test_the_real_client_reads_headers_commits_and_access(gateway, tmp_path):
    script = """
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
api = HfApi()
m = api.get_sharded_safetensors_metadata("org/sharded", filename="w/m.safetensors.index.json")
print(sorted(m.weight_map.items()), m.metadata, m.parameter_count)
print(len(api.list_repo_commits("org/history")), api.list_repo_commits("org/history", formatted=True)[1].title)
print(api.auth_check("org/open"))
try:
    api.auth_check("org/denied")
except HfHubHTTPError as error:
    print(type(error).__name__, "license/unknown" in str(error))
"""
    run = run_client("hub-2", gateway.url, tmp_path, script)
    assert run.code == 0, run.text
    lines = run.out.splitlines()
    assert lines[0] == "[('x', 'm-1-of-2.safetensors'), ('y', 'm-2-of-2.safetensors')] {'total_size': 76} {'F32': 19}"
    assert lines[1] == "122 Change 119"
    assert lines[2] == "None"
    assert lines[3] == "HfHubHTTPError True"
