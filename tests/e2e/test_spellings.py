"""Every form of a revision, of a repo's name and of a file's name, on every route that carries it: the gateway beside the
simulated hub, which must agree wherever both speak of the same thing."""

import hashlib
import json
from urllib.parse import quote, unquote

import pytest

from gateway.simulator import builders
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import GatewayProcess, fetch
from tests.e2e.wire import QUICK, add_repo

WEIGHTS = builders.safetensors({"a": (4, 4)})
NAMES = (
    "plain.txt", "with space.txt", "größe/ユニコード.txt", "100%.txt", "50%25.txt", "a#b.txt", "what?.txt", "[1]{2}.txt", "a+b.txt",
    "semi;colon,&=.txt", "it's \"quoted\".txt", "deep/er/than/that/f.txt", "resolve/main/raw.txt", "tree/x", ".hidden", "-dash",
    "~tilde", "UPPER.TXT", "upper.txt", "e\u0301.txt", "é.txt", "empty.txt", "a..b.txt", "x" * 200 + ".txt", "emoji-🤗.md",
)  # fmt: skip
# Names whose own characters look like an escape: decoded twice they would be another file, so no request can name them.
AMBIGUOUS = {"50%25.txt"}


@pytest.fixture(scope="module")
def world():
    world = World()
    repo = add_repo(world, "org/model", {"config.json": '{"at": "first"}', "model.safetensors": WEIGHTS})
    first = repo.main.id
    repo.commit({"config.json": '{"at": "main"}'})
    repo.tag("v1.0", first)
    repo.tag("release/2025", first)
    repo.branches["deep/er/branch"] = first
    repo.branches["Branch-2"] = first
    repo.convert("parquet", {"README.md": repo.readme(), "config.json": '{"at": "parquet"}'})
    repo.pull_request({"config.json": '{"at": "pull request"}'})
    named = {name: b"" if name == "empty.txt" else f"text of {name}" for name in NAMES}
    add_repo(world, "org/names", {name: named[name] for name in NAMES if name not in AMBIGUOUS})
    add_repo(world, "gpt2", {"config.json": "{}", "model.safetensors": WEIGHTS})
    add_repo(world, "Org-Two/MixedCase", {"config.json": "{}", "model.safetensors": WEIGHTS})
    add_repo(world, "squad", {"config.json": "{}", "data.csv": "a,b\n1,2\n"}, type="dataset")
    world.rename("org/old-name", "org/model")
    world.rename("datasets/old-squad", "datasets/squad")
    world.rename("bert-base", "org/model")
    add_repo(world, "org/gated", {"config.json": "{}", "model.safetensors": WEIGHTS}, gated="manual")
    add_repo(world, "org/disabled", {"config.json": "{}"}, disabled=True)
    world.repo("org/empty", card={"license": "mit"}).commit(
        {"README.md": "---\nlicense: mit\n---\n", "zero.bin": b"", "zero.txt": b""}
    )
    return world


@pytest.fixture(scope="module")
def hub(world):
    with SimulatorThread(world) as sim:
        yield sim


@pytest.fixture(scope="module")
def gateway(hub, tmp_path_factory):
    # Pull requests are allowed here: this page is about what a name means, not whether one may have it.
    open_minded = {"provenance/pull-request": {"mode": "dryrun"}, "provenance/unreachable-commit": {"mode": "dryrun"}}
    overlay = tmp_path_factory.mktemp("overlay") / "open.yaml"
    overlay.write_text(json.dumps({"config": {"rules": open_minded}}))
    flags = ["--policy-data", str(overlay)]
    process = GatewayProcess(hub, tmp_path_factory.mktemp("spellings") / "state", *flags, config=QUICK)
    yield process
    process.stop()


def of_hub(hub, target, method="GET", headers=None, data=None):
    """The hub's answer, its redirects followed as a client does."""
    for _ in range(4):
        url = target if "://" in target else hub.hub_url + target
        answer = fetch(url, method, headers, data)
        if answer.status not in (301, 302, 307):
            return answer
        target = answer.headers["Location"]
    raise AssertionError(f"the hub redirects {target} in a circle")


def etag_of(answer):
    return answer.headers.get("X-Linked-Etag") or answer.headers["ETag"]


def entry(row):
    """A row of tree or paths-info without the hub's own Xet hash."""
    return {key: value for key, value in row.items() if key != "xetHash"}


def agree_on_file(gateway, hub, prefix, rev, path, content):
    """HEAD, GET, raw and page of one file, against the hub's own answers."""
    quoted = quote(path)
    target = f"/{prefix}/resolve/{rev}/{quoted}"
    ours, first, theirs = gateway.get(target), _first(hub, target), of_hub(hub, target)
    assert (ours.status, ours.body) == (200, content), target
    assert theirs.body == content
    assert ours.headers["X-Repo-Commit"] == first.headers["X-Repo-Commit"], target
    assert etag_of(ours) == etag_of(first), target
    head = gateway.get(target, "HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(content))), target
    assert etag_of(head) == etag_of(ours)
    raw = f"/{prefix}/raw/{rev}/{quoted}"
    assert gateway.get(raw).body == of_hub(hub, raw).body, raw
    page = gateway.get(f"/{prefix}/blob/{rev}/{quoted}")
    assert page.status == 200
    assert hashlib.sha256(content).hexdigest().encode() in page.body


def _first(hub, target):
    """The hub's own first answer about a file, past redirects to a canonical name."""
    answer = fetch(hub.hub_url + target, "HEAD")
    while answer.status == 307 and "X-Repo-Commit" not in answer.headers:
        answer = fetch(hub.hub_url + answer.headers["Location"], "HEAD")
    return answer


def agree_on_listings(gateway, hub, api, rev):
    """Info, tree, paths-info, treesize and commits of one revision, against the hub's own answers."""
    for target in (f"{api}/tree/{rev}?recursive=true", f"{api}/tree/{rev}"):
        ours, theirs = gateway.get(target), of_hub(hub, target)
        assert ours.status == theirs.status == 200, target
        assert ours.json == [entry(row) for row in theirs.json], target
    paths = [row["path"] for row in gateway.get(f"{api}/tree/{rev}?recursive=true").json]
    form = "&".join(f"paths={quote(path, safe='')}" for path in paths).encode()
    as_form = {"Content-Type": "application/x-www-form-urlencoded"}
    as_json = {"Content-Type": "application/json"}
    asked = f"{api}/paths-info/{rev}"
    ours = gateway.get(asked, "POST", as_form, form)
    assert ours.json == gateway.get(asked, "POST", as_json, json.dumps({"paths": paths}).encode()).json
    assert ours.json == [entry(row) for row in of_hub(hub, asked, "POST", as_form, form).json], asked
    info = f"{api}/revision/{rev}?blobs=true"
    ours, theirs = gateway.get(info).json, of_hub(hub, info).json
    assert (ours["sha"], ours["id"]) == (theirs["sha"], theirs["id"]), info
    assert sorted(ours["siblings"], key=str) == sorted(theirs["siblings"], key=str), info
    for target in (f"{api}/treesize/{rev}", f"{api}/commits/{rev}"):
        ours, theirs = gateway.get(target), of_hub(hub, target)
        assert ours.status == theirs.status == 200, target
        assert ours.json == theirs.json, target


REVISIONS = (
    "main", "HEAD", "v1.0", "release%2F2025", "refs%2Ftags%2Fv1.0", "refs%2Fheads%2Fmain", "deep%2Fer%2Fbranch", "Branch-2",
    "refs%2Fpr%2F1", "refs%2Fconvert%2Fparquet", "{main}", "{first}", "{main7}", "{first12}", "{pull}", "m%61in", "v1%2E0",
)  # fmt: skip


@pytest.mark.parametrize("spelling", REVISIONS)
def test_a_revision_in_every_form_means_what_it_means_on_the_hub(gateway, hub, world, spelling):
    repo = world["org/model"]
    first = repo.tag_refs["v1.0"]
    rev = spelling.format(
        main=repo.main.id, first=first, main7=repo.main.id[:7], first12=first[:12], pull=repo.pull_requests[1].head
    )
    for path, file in repo.resolve(unquote(rev)).files.items():
        agree_on_file(gateway, hub, "org/model", rev, path, file.content.read(0, file.size))
    agree_on_listings(gateway, hub, "/api/models/org/model", rev)


@pytest.mark.parametrize("rev", ["no-such", "refs%2Fpr%2F99", "refs%2Fconvert%2Fcsv", "0" * 40, "0" * 8, "v9.9"])
def test_a_revision_that_is_not_there_is_absent_as_on_the_hub(gateway, hub, rev):
    for target in (
        f"/org/model/resolve/{rev}/config.json",
        f"/org/model/raw/{rev}/config.json",
        f"/org/model/blob/{rev}/config.json",
        f"/api/models/org/model/revision/{rev}",
        f"/api/models/org/model/tree/{rev}",
        f"/api/models/org/model/treesize/{rev}/",
        f"/api/models/org/model/commits/{rev}",
    ):
        ours, theirs = gateway.get(target), of_hub(hub, target)
        assert (ours.status, ours.headers["X-Error-Code"]) == (404, "RevisionNotFound"), target
        assert (theirs.status, theirs.headers["X-Error-Code"]) == (404, "RevisionNotFound"), target
        assert "X-Repo-Commit" not in ours.headers


@pytest.mark.parametrize(
    ("kind", "asked", "canonical"),
    [
        ("models", "org/old-name", "org/model"),
        ("models", "bert-base", "org/model"),
        ("models", "ORG/Model", "org/model"),
        ("models", "org-two/mixedcase", "Org-Two/MixedCase"),
        ("models", "gpt2", "gpt2"),
        ("models", "GPT2", "gpt2"),
        ("datasets", "squad", "squad"),
        ("datasets", "old-squad", "squad"),
    ],
)
def test_a_repo_under_every_name_it_has(gateway, hub, world, kind, asked, canonical):
    prefix = "" if kind == "models" else "datasets/"
    repo = world[prefix + canonical]
    for rev in ("main", "HEAD", repo.main.id):
        for path, file in repo.main.files.items():
            agree_on_file(gateway, hub, prefix + asked, rev, path, file.content.read(0, file.size))
        agree_on_listings(gateway, hub, f"/api/{kind}/{asked}", rev)
    for target in (f"/api/{kind}/{asked}", f"/api/{kind}/{asked}/refs", f"/api/{kind}/{asked}/scan"):
        ours, theirs = gateway.get(target), of_hub(hub, target)
        assert ours.status == theirs.status == 200, target
        assert "Location" not in ours.headers
        for key in {"id", "sha", "branches", "converts", "tags", "scansDone"} & theirs.json.keys():
            assert ours.json[key] == theirs.json[key], (target, key)


@pytest.mark.parametrize("name", sorted(set(NAMES) - AMBIGUOUS))
def test_a_file_of_every_name(gateway, hub, world, name):
    repo = world["org/names"]
    file = repo.main.files[name]
    content = file.content.read(0, file.size)
    for rev in ("main", repo.main.id):
        agree_on_file(gateway, hub, "org/names", rev, name, content)
    whole = quote(name, safe="")
    assert gateway.get(f"/org/names/resolve/main/{whole}").body == content
    cached = gateway.get(f"/api/resolve-cache/models/org/names/{repo.main.id}/{quote(name)}?etag=%22{file.oid}%22")
    assert (cached.status, cached.body) == (200, content)
    size = f"/api/models/org/names/treesize/main/{whole}"
    assert gateway.get(size).json == of_hub(hub, size).json == {"path": f"/{name}", "size": len(content)}
    if content:
        part = gateway.get(f"/org/names/resolve/main/{quote(name)}", headers={"Range": "bytes=1-3"})
        assert (part.status, part.body) == (206, content[1:4])


def test_listings_of_every_name_agree(gateway, hub):
    agree_on_listings(gateway, hub, "/api/models/org/names", "main")


def test_empty_files_are_files(gateway, hub):
    agree_on_listings(gateway, hub, "/api/models/org/empty", "main")
    for path in ("zero.bin", "zero.txt"):
        answer = gateway.get(f"/org/empty/resolve/main/{path}")
        if answer.status == 200:
            assert (answer.body, answer.headers["Content-Length"]) == (b"", "0")
            ranged = gateway.get(f"/org/empty/resolve/main/{path}", headers={"Range": "bytes=0-0"})
            assert (ranged.status, ranged.headers["Content-Range"]) == (416, "bytes */0")
        else:
            assert answer.status == 403


def test_a_gated_repo_shows_its_facts_and_keeps_its_bytes(gateway, hub):
    agree_on_listings(gateway, hub, "/api/models/org/gated", "main")
    for target in (
        "/org/gated/resolve/main/config.json",
        "/org/gated/raw/main/config.json",
        "/org/gated/blob/main/config.json",
        "/api/models/org/gated/auth-check",
        "/api/models/org/gated/safetensors-metadata/model.safetensors",
    ):
        answer = gateway.get(target)
        assert answer.status == 403, target
        assert "entitlement/gated" in answer.headers["X-Error-Message"]
        assert "X-Error-Code" not in answer.headers


def test_a_disabled_repo_is_no_repo_here(gateway, hub):
    for target in (
        "/org/disabled/resolve/main/config.json",
        "/api/models/org/disabled",
        "/api/models/org/disabled/commits/main",
    ):
        answer = gateway.get(target)
        assert answer.status in {403, 404}, target
        assert answer.headers.get("X-Error-Message") != "Access to this resource is disabled."


def test_five_thousand_files_agree(gateway, hub, world):
    files = {f"part/{n % 50:02}/file-{n:05}.txt": f"{n}" for n in range(5000)}
    hub.edit(lambda world: add_repo(world, "org/many", {**files, "model.safetensors": WEIGHTS}))
    tree = gateway.get("/api/models/org/many/tree/main?recursive=true")
    assert "Link" not in tree.headers
    listed = [row["path"] for row in tree.json if row["type"] == "file"]
    assert sorted(listed) == sorted(world["org/many"].main.files)
    siblings = gateway.get("/api/models/org/many?blobs=true").json["siblings"]
    assert {s["rfilename"] for s in siblings} == set(listed)
    size = gateway.get("/api/models/org/many/treesize/main").json["size"]
    assert size == sum(file.size for file in world["org/many"].main.files.values())
    for number in (0, 2500, 4999):
        path = f"part/{number % 50:02}/file-{number:05}.txt"
        assert gateway.get(f"/org/many/resolve/main/{path}").body == f"{number}".encode()
