"""One file, one truth (hub-protocol §9.3): whatever route names it, oid, sha256, size and bytes are the same.

And what must not differ from route to route either: no encoding of bodies that have a length to keep, the hub's error
codes for plain absence alone, and a commit only where a client may remember the absence.
"""

import hashlib
import json
import math
from urllib.parse import quote

import pytest

from gateway.simulator import builders
from gateway.simulator.content import git_blob_id, lfs_pointer
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, fetch
from tests.e2e.walk import walk
from tests.e2e.wire import QUICK, add_repo
from tests.scanners.formats import inert_files

UNLIMITED = QUICK + "[limits]\nsubject_rate = 0\naddress_rate = 0\n"
FORMATS = {
    "weights.safetensors": builders.safetensors({"a": (64, 4)}),
    "checkpoint.bin": builders.torch_zip({"a": (4, 4)}),
    "state.pkl": builders.state_dict_pickle({"a": (2, 2)}),
    "evil.pkl": builders.pickle_call("posix", "system"),
    "tiny.gguf": builders.gguf(
        {"general.architecture": "llama", "tokenizer.chat_template": "{{ messages }}"}, {"t": (8,)}
    ),
    "table.parquet": builders.parquet(),
    "graph.onnx": b"\x08\x07\x12\x04test" * 10,
    "picture.png": inert_files.png(),
    "picture.jpg": inert_files.jpeg(),
    "sound.wav": inert_files.wav(),
    "config.json": '{"model_type": "bert"}',
    "tokenizer.model": b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02",
    "notes.txt": "some words\n" * 2000,
    "empty.txt": b"",
    "empty.bin": b"",
    "deep/er/rows.csv": "a,b\n1,2\n",
    "code.py": "print('hello')\n",
}


@pytest.fixture(scope="module")
def world():
    world = sample_world()
    repo = world.repo("org/formats", card={"license": "apache-2.0"})
    repo.commit({"README.md": repo.readme(), **FORMATS})
    add_repo(world, "org/data", {"table.parquet": builders.parquet(), "rows.csv": "a\n1\n"}, type="dataset")
    return world


@pytest.fixture(scope="module")
def hub(world):
    with SimulatorThread(world) as sim:
        yield sim


@pytest.fixture(scope="module")
def gateway(hub, tmp_path_factory):
    process = GatewayProcess(hub, tmp_path_factory.mktemp("agreement") / "state", config=UNLIMITED)
    yield process
    process.stop()


def truths(gateway, repo, kind):
    """What each listing says of each file: (route, path) -> (oid, sha256 or None, size, size of the pointer or None)."""
    api = f"/api/{kind}s/{repo.id}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    told = {}
    for name, target in (("siblings", f"{api}?blobs=true"), ("revision", f"{api}/revision/{repo.main.id}?blobs=true")):
        for row in gateway.get(target).json["siblings"]:
            lfs = row.get("lfs", {})
            told[name, row["rfilename"]] = (row["blobId"], lfs.get("sha256"), row["size"], lfs.get("pointerSize"))
            assert lfs.get("size", row["size"]) == row["size"]
    paths = sorted({path for _, path in told})
    body = "&".join(f"paths={quote(path, safe='')}" for path in paths).encode()
    listings = {
        "tree": gateway.get(f"{api}/tree/main?recursive=true").json,
        "tree at the commit": gateway.get(f"{api}/tree/{repo.main.id}?recursive=1").json,
        "expanded tree": gateway.get(f"{api}/tree/main?recursive=true&expand=true").json,
        "paths-info": gateway.get(f"{api}/paths-info/main", "POST", form, body).json,
        "expanded paths-info": gateway.get(f"{api}/paths-info/main", "POST", form, body + b"&expand=true").json,
    }
    for name, rows in listings.items():
        for row in rows:
            if row["type"] == "file":
                lfs = row.get("lfs", {})
                told[name, row["path"]] = (row["oid"], lfs.get("oid"), row["size"], lfs.get("pointerSize"))
                assert lfs.get("size", row["size"]) == row["size"]
    return told


@pytest.mark.parametrize(
    "name",
    [
        "org/formats",
        "datasets/org/data",
        "demo/good-safetensors",
        "demo/good-torch",
        "demo/good-gguf",
        "demo/pickle-with-twin",
    ],
)
def test_every_route_says_the_same_of_every_file(gateway, world, name):
    repo = world[name]
    told = truths(gateway, repo, repo.type)
    routes = {route for route, _ in told}
    assert len(routes) == 7
    shown = {path for _, path in told}
    hidden = set(repo.main.files) - shown
    assert {route: {p for r, p in told if r == route} for route in routes} == dict.fromkeys(routes, shown)
    for path in sorted(shown):
        file = repo.main.files[path]
        sha256 = file.content.sha256 if file.lfs else None
        pointer = len(lfs_pointer(file.content)) if file.lfs else None
        assert {told[route, path] for route in routes} == {(file.oid, sha256, file.size, pointer)}, path
        _bytes_agree(gateway, repo, name, file)
    for path in hidden:
        assert gateway.get(f"/{name}/resolve/main/{quote(path)}").status == 403
    sizes = sum(repo.main.files[path].size for path in shown)
    assert gateway.get(f"/api/{repo.type}s/{repo.id}/treesize/main").json["size"] == sizes


def _bytes_agree(gateway, repo, name, file):
    """HEAD, GET, raw, page, LFS batch and `/v2/` of one file; of a refused one none gives anything."""
    quoted = quote(file.path)
    target = f"/{name}/resolve/{repo.main.id}/{quoted}"
    got = gateway.get(target)
    raw = gateway.get(f"/{name}/raw/main/{quoted}")
    page = gateway.get(f"/{name}/blob/main/{quoted}")
    cached = gateway.get(f"/api/resolve-cache/{repo.type}s/{repo.id}/{repo.main.id}/{quoted}")
    large = _batch(gateway, name, file) if file.lfs else None
    if got.status != 200:
        assert {got.status, raw.status, page.status, cached.status} == {403}, file.path
        assert large is None or "actions" not in large
        return
    content = file.content.read(0, file.size)
    head = gateway.get(target, "HEAD")
    assert got.body == cached.body == content
    assert head.headers["ETag"] == got.headers["ETag"] == cached.headers["ETag"] == f'"{file.etag}"'
    for answer in (head, got):
        assert answer.headers["X-Repo-Commit"] == repo.main.id
        assert answer.headers["Content-Length"] == str(file.size)
        assert (answer.headers["X-Linked-Etag"], answer.headers["X-Linked-Size"]) == (
            (f'"{file.etag}"', str(file.size)) if file.lfs else (None, None)
        )
    assert raw.body == (lfs_pointer(file.content) if file.lfs else content)
    assert raw.headers["ETag"] == f'"{git_blob_id(raw.body)}"' == f'"{file.oid}"'
    assert file.content.sha256.encode() in page.body
    if large is not None:
        assert (large["oid"], large["size"]) == (file.content.sha256, file.size)
        assert fetch(large["actions"]["download"]["href"]).body == content
    if file.path.endswith(".gguf") and repo.type == "model":
        _layer_agrees(gateway, repo, file, content)


def _batch(gateway, name, file):
    asked = {
        "operation": "download",
        "transfers": ["basic"],
        "objects": [{"oid": file.content.sha256, "size": file.size}],
    }
    answer = gateway.get(
        f"/{name}.git/info/lfs/objects/batch",
        "POST",
        {"Content-Type": "application/vnd.git-lfs+json"},
        json.dumps(asked).encode(),
    )
    return answer.json["objects"][0] if answer.status == 200 else {}


def _layer_agrees(gateway, repo, file, content):
    layer = gateway.get(f"/v2/{repo.id}/blobs/sha256:{file.content.sha256}")
    if layer.status == 200:
        assert layer.body == content
        manifest = gateway.get(f"/v2/{repo.id}/manifests/latest").json
        named = {row["digest"]: row["size"] for row in manifest["layers"]}
        assert named.get(f"sha256:{file.content.sha256}", file.size) == file.size


@pytest.mark.parametrize("encoding", ["identity", "gzip", "gzip, deflate, br", "*", "identity;q=0, gzip"])
def test_no_body_is_encoded(gateway, world, encoding):
    repo = world["org/formats"]
    for path in ("notes.txt", "weights.safetensors", "config.json"):
        plain = gateway.get(f"/org/formats/resolve/main/{path}")
        for method in ("GET", "HEAD"):
            answer = gateway.get(f"/org/formats/resolve/main/{path}", method, {"Accept-Encoding": encoding})
            assert "Content-Encoding" not in answer.headers
            assert answer.headers["Content-Length"] == str(repo.main.files[path].size)
            assert answer.headers["ETag"] == plain.headers["ETag"]
        part = gateway.get(
            f"/org/formats/resolve/main/{path}", headers={"Accept-Encoding": encoding, "Range": "bytes=2-9"}
        )
        assert (part.status, part.body) == (206, plain.body[2:10])
        assert "Content-Encoding" not in part.headers
    for asked in walk(repo, refs=["main"], paths=["config.json"]):
        answer = gateway.get(asked.target, asked.method, {**asked.headers, "Accept-Encoding": encoding}, asked.body)
        assert "Content-Encoding" not in answer.headers, asked.target


def test_a_code_of_the_hub_is_said_of_plain_absence_alone(gateway, world):
    """Where a policy refuses, a code would make clients believe that the thing is not there (hub-protocol §1.5, §1.7)."""
    codes = set()
    for name in ("demo/no-license", "org/formats", "demo/gated", "demo/pickle-with-twin"):
        repo = world[name]
        paths = ["config.json", "pytorch_model.bin", "evil.pkl", "no-such-file.txt"]
        for asked in walk(repo, refs=["main", "no-such-branch"], paths=paths):
            answer = gateway.get(asked.target, asked.method, dict(asked.headers), asked.body)
            code, commit = answer.headers.get("X-Error-Code"), answer.headers.get("X-Repo-Commit")
            codes.add(code)
            if code is None:
                assert answer.status != 404 or asked.route.kind.value in {"git", "layer", "manifest"}, asked.target
            else:
                assert answer.status == 404, (asked.method, asked.target)
            if answer.status == 404 and commit is not None:
                assert code == "EntryNotFound", asked.target
                assert commit == repo.main.id, asked.target
                path = asked.target.partition("?")[0]
                there = [file for file in repo.main.files if path.endswith(f"/{file}")]
                assert there == [], "a client remembers for ever that this is not there"
            if answer.status == 403:
                assert commit is None, asked.target
    assert codes == {None, "RevisionNotFound", "EntryNotFound"}


def test_an_absent_repo_is_said_to_be_absent_on_every_route(gateway, world):
    repo = world.repo("org/model-to-be")
    repo.commit({"config.json": "{}"})
    targets = list(walk(repo, refs=["main"]))
    world.repos.pop("org/model-to-be")
    spoken = {"search", "whoami", "harnesses", "telemetry", "write", "git", "lfs_batch", "manifest", "layer"}
    for asked in targets:
        if asked.route.kind.value not in spoken:
            answer = gateway.get(asked.target, asked.method, dict(asked.headers), asked.body)
            assert (answer.status, answer.headers["X-Error-Code"]) == (404, "RepoNotFound"), asked.target


def test_the_sum_of_what_is_listed_is_what_a_snapshot_takes(gateway, world):
    """`usedStorage` and the sizes of shards aside: what a client adds up before it downloads is what it then reads."""
    repo = world["demo/good-safetensors"]
    rows = gateway.get("/api/models/demo/good-safetensors/tree/main?recursive=true").json
    read = [len(gateway.get(f"/demo/good-safetensors/resolve/main/{quote(row['path'])}").body) for row in rows]
    assert math.fsum(read) == sum(row["size"] for row in rows) == sum(file.size for file in repo.main.files.values())
    digests = [
        hashlib.sha256(gateway.get(f"/demo/good-safetensors/resolve/main/{r['path']}").body).hexdigest() for r in rows
    ]
    assert digests == [repo.main.files[row["path"]].content.sha256 for row in rows]
