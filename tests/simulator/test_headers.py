"""Each header form of hub-protocol §13.2, as raw HTTP."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import quote, unquote, urlsplit

import pytest
import requests

from gateway.simulator import SimulatorThread
from gateway.simulator.content import git_blob_id, lfs_pointer
from tests.simulator.conftest import WEIGHTS

SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def http(sim: SimulatorThread):
    """Sends one request without following redirects."""
    with requests.Session() as session:

        def send(method: str, target: str, **options) -> requests.Response:
            url = target if target.startswith("http") else sim.hub_url + target
            return session.request(method, url, allow_redirects=False, timeout=20, **options)

        yield send


def test_a_small_file_redirects_to_the_resolve_cache(http, world) -> None:
    commit = world["demo/tiny"].main.id
    oid = git_blob_id(b'{"model_type":"bert"}')
    first = http("HEAD", "/demo/tiny/resolve/main/config.json")
    assert first.status_code == 307
    location = first.headers["Location"]
    assert location.startswith(f"/api/resolve-cache/models/demo/tiny/{commit}/config.json?")
    assert unquote(location).endswith(f'/demo/tiny/resolve/main/config.json=&etag="{oid}"')
    assert first.headers["X-Repo-Commit"] == commit
    assert first.headers["X-Linked-Etag"] == f'"{oid}"'
    assert first.headers["Accept-Ranges"] == "bytes"
    assert "X-Linked-Size" not in first.headers
    assert "X-Xet-Hash" not in first.headers
    second = http("GET", location)
    assert (second.status_code, second.content) == (200, b'{"model_type":"bert"}')
    assert second.headers["ETag"] == f'"{oid}"'
    assert second.headers["Content-Length"] == "21"
    assert second.headers["X-Repo-Commit"] == commit


def test_a_large_file_redirects_to_a_signed_cdn_link(http, sim, world) -> None:
    commit = world["demo/tiny"].main.id
    first = http("GET", "/demo/tiny/resolve/main/model.safetensors")
    assert first.status_code == 302
    assert first.headers["Location"].startswith(sim.cdn_url + "/xet-bridge-us/")
    assert first.headers["X-Repo-Commit"] == commit
    assert first.headers["X-Linked-Size"] == str(len(WEIGHTS))
    assert first.headers["X-Linked-Etag"] == f'"{SHA256}"'
    assert first.headers["Cache-Control"] == "no-store"
    assert int(first.headers["Content-Length"]) == len(first.content) != len(WEIGHTS)
    xet = first.headers["X-Xet-Hash"]
    assert len(xet) == 64
    assert xet != SHA256
    token_url = f"{sim.hub_url}/api/models/demo/tiny/xet-read-token/{commit}"
    assert first.headers["Link"].startswith(f'<{token_url}>; rel="xet-auth", <')
    assert f'/v1/reconstructions/{xet}>; rel="xet-reconstruction-info"' in first.headers["Link"]
    whole = http("GET", first.headers["Location"])
    assert (whole.status_code, whole.content) == (200, WEIGHTS)
    assert whole.headers["ETag"] == f'"{xet}"'
    assert urlsplit(first.headers["Location"]).path.endswith(f"/{xet}")


def test_ollama_gets_307(http) -> None:
    answer = http("HEAD", "/demo/tiny/resolve/main/model.safetensors", headers={"User-Agent": "ollama/0.9"})
    assert answer.status_code == 307


def test_every_answer_carries_the_hubs_common_headers(http) -> None:
    answer = http("GET", "/api/models/demo/tiny")
    assert answer.headers["X-Powered-By"] == "huggingface-moon"
    assert answer.headers["X-Request-Id"].startswith("Root=1-")
    assert answer.headers["RateLimit"] == '"api";r=498;t=172'
    assert answer.headers["RateLimit-Policy"] == '"fixed window";"api";q=500;w=300'
    assert "X-Linked-ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["Vary"] == "Origin, Accept"
    resolved = http("HEAD", "/demo/tiny/resolve/main/config.json")
    assert resolved.headers["RateLimit"].startswith('"resolvers"')


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-", 206, 100, len(WEIGHTS)),
        ("bytes=-5", 206, len(WEIGHTS) - 5, len(WEIGHTS)),
        ("bytes=10-999999999", 206, 10, len(WEIGHTS)),
        ("bytes=0-1,5-6", 200, 0, len(WEIGHTS)),
        ("bytes=9-3", 200, 0, len(WEIGHTS)),
        ("lines=0-1", 200, 0, len(WEIGHTS)),
    ],
)
def test_cdn_ranges(http, asked: str, status: int, start: int, end: int) -> None:
    link = http("GET", "/demo/tiny/resolve/main/model.safetensors").headers["Location"]
    answer = http("GET", link, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, WEIGHTS[start:end])
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(WEIGHTS)}"


def test_an_unsatisfiable_range_is_416(http) -> None:
    link = http("GET", "/demo/tiny/resolve/main/model.safetensors").headers["Location"]
    answer = http("GET", link, headers={"Range": f"bytes={len(WEIGHTS)}-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(WEIGHTS)}")
    empty = http(
        "GET", http("GET", "/demo/tiny/resolve/main/empty.txt").headers["Location"], headers={"Range": "bytes=0-0"}
    )
    assert empty.status_code == 416


def test_links_are_signed_and_expire(http, world) -> None:
    now = [1_000_000.0]
    with SimulatorThread(world, now=lambda: now[0]) as sim:
        link = http("GET", f"{sim.hub_url}/demo/tiny/resolve/main/model.safetensors").headers["Location"]
        assert http("GET", link).status_code == 200
        assert http("GET", link.replace("Signature=", "Signature=0")).status_code == 403
        assert http("GET", link.replace("Expires=1", "Expires=2")).status_code == 403
        assert http("GET", link.partition("?")[0]).status_code == 403
        now[0] += 3601
        expired = http("GET", link)
        assert (expired.status_code, b"Request has expired" in expired.content) == (403, True)


def test_an_old_link_goes_on_naming_the_old_bytes(http, sim) -> None:
    link = http("GET", "/demo/tiny/resolve/main/model.safetensors").headers["Location"]
    sim.edit(lambda w: w["demo/tiny"].commit({"model.safetensors": b"new"}))
    assert http("GET", link).content == WEIGHTS
    assert http("GET", http("GET", "/demo/tiny/resolve/main/model.safetensors").headers["Location"]).content == b"new"


@pytest.mark.parametrize("path", ["config.json", "model.safetensors"])
def test_if_none_match_is_304(http, world, path: str) -> None:
    etag = world["demo/tiny"].main.files[path].etag
    answer = http("HEAD", f"/demo/tiny/resolve/main/{path}", headers={"If-None-Match": f'"{etag}"'})
    assert (answer.status_code, answer.headers["ETag"]) == (304, f'"{etag}"')
    other = http("HEAD", f"/demo/tiny/resolve/main/{path}", headers={"If-None-Match": '"other"'})
    assert other.status_code in (302, 307)


def test_raw_is_the_git_blob(http, world) -> None:
    file = world["demo/tiny"].main.files["model.safetensors"]
    assert http("GET", "/demo/tiny/raw/main/model.safetensors").content == lfs_pointer(file.content)
    assert http("GET", "/demo/tiny/raw/main/config.json").content == b'{"model_type":"bert"}'


@pytest.mark.parametrize(
    ("target", "token", "status", "code", "words"),
    [
        ("/api/models/demo/none", "", 401, None, "Invalid username or password."),
        ("/api/models/demo/private", "", 401, None, "Invalid username or password."),
        ("/demo/private/resolve/main/config.json", "", 401, None, "Invalid username or password."),
        ("/api/models/demo/none", "hf_stranger", 404, "RepoNotFound", "Repository not found"),
        ("/api/models/demo/private", "hf_stranger", 404, "RepoNotFound", "Repository not found"),
        ("/demo/tiny/resolve/main/none.bin", "", 404, "EntryNotFound", "Entry not found"),
        ("/demo/tiny/resolve/none/config.json", "", 404, "RevisionNotFound", "Invalid rev id: none"),
        ("/api/models/demo/tiny/tree/main/none", "", 404, "EntryNotFound", "Entry not found"),
        ("/demo/gated/resolve/main/config.json", "", 401, "GatedRepo", "be authenticated"),
        ("/demo/gated/resolve/main/config.json", "hf_stranger", 403, "GatedRepo", "not in the authorized list"),
        ("/demo/disabled/resolve/main/config.json", "", 403, None, "Access to this resource is disabled."),
        ("/api/models/demo/tiny", "hf_unknown", 401, None, "Invalid credentials in Authorization header"),
        ("/api/whoami-v2", "", 401, None, "Invalid username or password."),
        ("/api/nothing", "", 404, None, "we can't find the page"),
        ("/demo/tiny/commit/abc.patch", "", 404, None, "we can't find the page"),
        ("/api/models/demo/tiny?expand=secrets", "", 400, None, "Invalid option"),
    ],
)
def test_refusals_in_the_hubs_own_words(http, world, target, token, status, code, words) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = http("GET", target, headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("X-Error-Code") == code
    assert words in answer.headers["X-Error-Message"]
    assert answer.json() == {"error": answer.headers["X-Error-Message"]}
    head = http("HEAD", target, headers=headers)
    assert (head.status_code, head.headers["X-Error-Message"]) == (status, answer.headers["X-Error-Message"])
    if code == "EntryNotFound":
        assert answer.headers["X-Repo-Commit"] == world["demo/tiny"].main.id
    if status == 401 and words.startswith("Invalid username") and "whoami" not in target:
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="Authentication required"')


def test_metadata_of_gated_repos_stays_public(http) -> None:
    assert http("GET", "/api/models/demo/gated").json()["gated"] == "manual"
    assert len(http("GET", "/api/models/demo/gated/tree/main").json()) == 2


def test_renames_and_case_redirect_relatively_with_their_query(http) -> None:
    answer = http("GET", "/api/models/demo/old-name/tree/main?recursive=true")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/api/models/demo/tiny/tree/main?recursive=true")
    answer = http("HEAD", "/DEMO/Tiny/resolve/refs%2Fpr%2F1/a%20b.txt")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/demo/tiny/resolve/refs%2Fpr%2F1/a%20b.txt")
    answer = http("HEAD", "/datasets/demo/TABLE/resolve/main/data.csv")
    assert answer.headers["Location"] == "/datasets/demo/table/resolve/main/data.csv"


def test_tree_entries(http, world) -> None:
    files = world["demo/tiny"].main.files
    rows = {row["path"]: row for row in http("GET", "/api/models/demo/tiny/tree/main?recursive=True").json()}
    assert rows["model.safetensors"] == {
        "type": "file",
        "oid": git_blob_id(lfs_pointer(files["model.safetensors"].content)),
        "size": len(WEIGHTS),
        "path": "model.safetensors",
        "lfs": {"oid": SHA256, "size": len(WEIGHTS), "pointerSize": 131},
        "xetHash": files["model.safetensors"].xet,
    }
    assert set(rows["config.json"]) == {"type", "oid", "size", "path"}
    assert rows["onnx/deep"]["type"] == "directory"
    top = [row["path"] for row in http("GET", "/api/models/demo/tiny/tree/main").json()]
    assert top == ["onnx", "sub dir", ".gitattributes", "README.md", "config.json", "empty.txt", "model.safetensors"]
    below = http("GET", "/api/models/demo/tiny/tree/main/onnx%2Fdeep").json()
    assert [row["path"] for row in below] == ["onnx/deep/model.onnx"]


def test_expanded_entries_carry_commit_and_scan(http, sim, world) -> None:
    sim.edit(lambda w: w["demo/tiny"].scan_levels.update({"model.safetensors": "unsafe"}))
    rows = {row["path"]: row for row in http("GET", "/api/models/demo/tiny/tree/main?expand=true").json()}
    assert rows["model.safetensors"]["securityFileStatus"]["status"] == "unsafe"
    assert rows["config.json"]["securityFileStatus"]["pickleImportScan"]["version"] == "0.0.0"
    assert rows["config.json"]["lastCommit"]["id"] == world["demo/tiny"].main.id
    status = http("GET", "/api/models/demo/tiny?securityStatus=true").json()["securityRepoStatus"]
    assert status == {"scansDone": True, "filesWithIssues": [{"path": "model.safetensors", "level": "unsafe"}]}
    assert http("GET", "/api/models/demo/tiny/scan").json() == status


def test_pages_are_linked_absolutely(http, sim) -> None:
    sim.edit(lambda w: w.repo("demo/many").commit({f"{n:04d}.txt": "x" for n in range(1001)}))
    first = http("GET", "/api/models/demo/many/tree/main?recursive=true")
    assert len(first.json()) == 1000
    link = first.links["next"]["url"]
    assert link.startswith(f"{sim.hub_url}/api/models/demo/many/tree/main?")
    assert "limit=1000" in link
    last = http("GET", link)
    assert [row["path"] for row in last.json()] == ["1000.txt"]
    assert "Link" not in last.headers


def test_paths_info_by_form_and_json(http) -> None:
    form = http(
        "POST", "/api/models/demo/tiny/paths-info/main", data={"paths": ["config.json", "none"], "expand": "false"}
    )
    asked = {"paths": ["config.json", "none"], "expand": True}
    body = http("POST", "/api/models/demo/tiny/paths-info/main", json=asked)
    assert [row["path"] for row in form.json()] == ["config.json"] == [row["path"] for row in body.json()]
    assert "lastCommit" not in form.json()[0]
    assert "lastCommit" in body.json()[0]
    bad = http("POST", "/api/models/demo/tiny/paths-info/main", data="[", headers={"Content-Type": "application/json"})
    assert bad.status_code == 400


def test_info_shapes(http, world) -> None:
    info = http("GET", "/api/models/demo/tiny").json()
    repo = world["demo/tiny"]
    assert (info["id"], info["modelId"], info["_id"], info["sha"]) == (
        "demo/tiny",
        "demo/tiny",
        repo.stable_key,
        repo.main.id,
    )
    assert info["createdAt"] == "2025-01-15T10:00:00.000Z"
    assert info["lastModified"] == "2025-01-15T10:01:00.000Z"
    assert info["cardData"] == {"license": "apache-2.0", "base_model": "demo/base"}
    assert "base_model:demo/base" in info["tags"]
    assert info["siblings"][0] == {"rfilename": ".gitattributes"}
    blobs = http("GET", "/api/models/demo/tiny/revision/HEAD?blobs=true").json()["siblings"]
    weights = next(row for row in blobs if row["rfilename"] == "model.safetensors")
    assert weights["lfs"] == {"sha256": SHA256, "size": len(WEIGHTS), "pointerSize": 131}
    expanded = http("GET", "/api/models/demo/tiny?expand[]=sha&expand[]=likes").json()
    assert set(expanded) == {"_id", "id", "sha", "likes"}
    old = http("GET", f"/api/models/demo/tiny/revision/{repo.main.parent}").json()
    assert [row["rfilename"] for row in old["siblings"]] == ["README.md"]


def test_a_renamed_repo_keeps_its_stable_key_and_a_new_one_gets_its_own(http, sim, world) -> None:
    before = http("GET", "/api/models/demo/tiny").json()["_id"]
    sim.edit(lambda w: w.rename("demo/tiny", "demo/moved"))
    assert http("GET", "/api/models/demo/moved").json()["_id"] == before
    sim.edit(lambda w: w.repo("demo/tiny").commit({"config.json": "another repo under the old name"}))
    assert http("GET", "/api/models/demo/tiny").json()["_id"] != before


def test_the_xet_token_is_handed_out_in_both_forms(http, sim) -> None:
    answer = http("GET", "/api/models/demo/tiny/xet-read-token/main")
    body = answer.json()
    assert answer.headers["X-Xet-Cas-Url"] == body["casUrl"] == sim.cdn_url
    assert answer.headers["X-Xet-Access-Token"] == body["accessToken"]
    assert answer.headers["X-Xet-Token-Expiration"] == str(body["exp"])
    assert http("GET", f"{sim.cdn_url}/v1/reconstructions/{'a' * 64}").status_code == 404


def test_whoami_telemetry_harnesses_and_writes(http) -> None:
    who = http("GET", "/api/whoami-v2", headers={"Authorization": "Bearer hf_granted"}).json()
    assert (who["name"], who["auth"]["accessToken"]["role"]) == ("grace", "read")
    assert http("HEAD", "/api/telemetry/some/topic").status_code == 200
    assert http("GET", "/api/agent-harnesses").json() == {"standardEnvVars": [], "harnesses": {}}
    assert http("POST", "/api/models/demo/tiny/commit/main", data="{}").status_code == 405
    assert http("GET", "/api/models/demo/gated/auth-check").status_code == 401


def test_the_log_holds_what_was_sent(http, sim) -> None:
    sim.clear()
    link = http("GET", "/demo/tiny/resolve/main/model.safetensors", headers={"Authorization": "Bearer hf_granted"})
    http("GET", link.headers["Location"], headers={"Range": "bytes=0-99"})
    hub, cdn = sim.requests
    assert (hub.host, hub.method, hub.target) == ("hub", "GET", "/demo/tiny/resolve/main/model.safetensors")
    assert (hub.authorization, hub.status, hub.file) == ("Bearer hf_granted", 302, "demo/tiny/model.safetensors")
    assert (cdn.host, cdn.range, cdn.status, cdn.bytes_sent) == ("cdn", "bytes=0-99", 206, 100)
    assert cdn.authorization == ""
    assert sim.bytes_sent("*/model.safetensors", host="cdn") == 100
    assert json.dumps(cdn.as_json())


HOSTILE_NAMES = [
    'quo"te.txt',
    "new\nline.bin",
    "nul\0.bin",
    "bidi\u202etxt.bin",
    "back\\slash.txt",
    "ques?tion#.bin",
    "%2e%2e.txt",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_file_names_are_served_and_listed(http, sim, name: str) -> None:
    sim.edit(lambda w: w["demo/tiny"].commit({name: b"bytes"}))
    first = http("GET", f"/demo/tiny/resolve/main/{quote(name)}")
    assert first.status_code in (302, 307)
    answer = http("GET", first.headers["Location"])
    assert (answer.status_code, answer.content) == (200, b"bytes")
    assert "\n" not in answer.headers["Content-Disposition"]
    assert name in [row["path"] for row in http("GET", "/api/models/demo/tiny/tree/main").json()]


def test_malformed_requests_get_an_answer(http) -> None:
    assert http("GET", "/api/models/demo/tiny/tree/main?cursor=junk").status_code == 400
    assert http("GET", "/%ff/%00/resolve/main/x").status_code == 401
    for target in (
        "/",
        "/resolve",
        "/resolve/main",
        "/api",
        "/api/models/",
        "/api/resolve-cache/models",
        "//",
        "/datasets",
    ):
        assert http("GET", target).status_code in (200, 401, 404), target
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http("POST", "/api/models/demo/tiny/paths-info/main", data=b"\xff\xfe", headers=form).json() == []
