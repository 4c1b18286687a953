"""huggingface_hub, every version: files, facts and the file system."""

import importlib.metadata
import os
import random
from pathlib import Path
from urllib.parse import urlsplit

from steps import PLAN, child, feature, folder, main, raises, repo, shown
from wire import Wire

from huggingface_hub import (
    HfApi,
    HfFileSystem,
    ModelCard,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)

API = HfApi()
HOST = urlsplit(PLAN["endpoint"]).netloc
MEMORY = {}  # the cache folder of a feature that a later one goes on with


def download(told, path, **options):
    return hf_hub_download(told.id, path, repo_type=told.type, **{"cache_dir": folder(), **options})


# -- files -------------------------------------------------------------------------------------------------------------


@feature("download-file")
def _():
    model = repo("model")
    MEMORY["cache"] = folder()
    for path in (model.small, model.weights):
        got = download(model, path, cache_dir=MEMORY["cache"])
        model.check(path, got)
        assert model.commit in got, f"cached under another commit than {model.commit}: {got}"
        MEMORY[path] = got


@feature("download-cached")
def _():
    model = repo("model")
    before = os.stat(MEMORY[model.weights])
    again = download(model, model.weights, cache_dir=MEMORY["cache"])
    assert again == MEMORY[model.weights], f"another path than before: {again}"
    after = os.stat(again)
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino), "downloaded a second time"


@feature("snapshot")
def _():
    model = repo("model")
    model.check_folder(snapshot_download(model.id, cache_dir=folder()))


@feature("snapshot-cached")
def _():
    model, home = repo("model"), folder()
    code = "import huggingface_hub, sys\nprint(huggingface_hub.snapshot_download(sys.argv[1]))\n"
    child(code, model.id, HF_HOME=home)
    with Wire() as wire:
        model.check_folder(child(code, model.id, HF_HOME=home, **wire.env).strip())
    fetched = [target for method, _, target, _ in wire.requests if method == "GET" and "/resolve/" in target]
    assert not fetched, f"fetched again: {fetched}"
    return f"{len(wire.requests)} requests"


@feature("snapshot-patterns")
def _():
    model = repo("model")
    wanted = [p for p in model.files if p.endswith(".json") and p != model.small]
    got = snapshot_download(model.id, cache_dir=folder(), allow_patterns=["*.json"], ignore_patterns=[model.small])
    model.check_folder(got, wanted)


@feature("snapshot-local-dir")
def _():
    model, target = repo("model"), folder()
    snapshot_download(model.id, local_dir=target)
    model.check_folder(target)
    snapshot_download(model.id, local_dir=target)
    model.check_folder(target)


@feature("download-local-dir")
def _():
    model, target = repo("model"), folder()
    for options in ({}, {"force_download": True}):
        got = hf_hub_download(model.id, model.weights, local_dir=target, **options)
        assert got == f"{target}/{model.weights}", got
        model.check(model.weights, got)


@feature("dry-run")
def _():
    model = repo("model")
    found = {f.filename: f.file_size for f in snapshot_download(model.id, cache_dir=folder(), dry_run=True)}
    assert found == {path: file["size"] for path, file in model.files.items()}


@feature("card")
def _():
    card = ModelCard.load(repo("model").id)
    assert card.data.license, "a card without its license"


@feature("space")
def _():
    told = repo("space")
    assert API.space_info(told.id).sha == told.commit
    told.check_folder(snapshot_download(told.id, repo_type="space", cache_dir=folder()))
    found = [s.id for s in API.list_spaces(search=told.id.split("/")[-1], limit=5)]
    assert told.id in found, f"{told.id} is not among {found}"


@feature("snapshot-dataset")
def _():
    table = repo("csv")
    table.check_folder(snapshot_download(table.id, repo_type="dataset", cache_dir=folder()))


@feature("offline")
def _():
    model, home = repo("model"), folder()
    code = "import huggingface_hub, sys\nprint(huggingface_hub.snapshot_download(sys.argv[1]))\n"
    child(code, model.id, HF_HOME=home)
    model.check_folder(
        child(code, model.id, HF_HOME=home, HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9").strip()
    )


@feature("resume")
def _():
    large, home = repo("large"), folder()
    code = "import huggingface_hub, sys\nprint(huggingface_hub.hf_hub_download(*sys.argv[1:]))\n"
    with Wire() as wire:
        wire.cut(
            r"\.safetensors|/xet/|/files/|/repos/|X-Amz|Signature",
            (5 if os.environ.get("HF_HUB_ENABLE_HF_TRANSFER") else 15) << 20,
        )
        for attempt in ("in the same call", "in the next call"):
            try:
                got = child(code, large.id, large.weights, HF_HOME=home, **wire.env).strip()
                break
            except AssertionError as error:
                if attempt == "in the next call" or not wire.cuts:
                    raise AssertionError(f"{error}, {wire.cuts} cuts") from error
        assert wire.cuts == 1, f"{wire.cuts} cuts: the test did not do what it should: {wire.requests}"
    large.check(large.weights, got)
    ranges = [r for r in wire.ranges if not r.startswith("bytes=0-")]
    return f"{attempt}, {'by ' + ranges[0] if ranges else 'from the start'}"


@feature("revisions")
def _():
    told = repo("revisions")
    path = told.told["path"]
    for name, want in told.told["named"].items():
        told.files[path] = want
        told.check(path, download(told, path, revision=name))


def at_revision(told):
    path = min(told.files, key=lambda name: told.files[name]["size"])
    told.check(path, download(told, path, revision=told.told["revision"]))


@feature("revision-pull")
def _():
    at_revision(repo("pull"))


@feature("revision-convert")
def _():
    at_revision(repo("converted"))


@feature("names")
def _():
    unusual = repo("unusual")
    for path in unusual.files:
        unusual.check(path, download(unusual, path))
    unusual.check_folder(snapshot_download(unusual.id, cache_dir=folder()))


@feature("escaped-repo")
def _():
    told = repo("escaped")
    got = snapshot_download(told.id, cache_dir=folder())
    whole = any("%" in name for name in os.listdir(got))
    told.check_folder(got, None if whole else [p for p in told.files if "%" not in p])
    return "every file" if whole else "without the file that no request can name"


@feature("escaped-name")
def _():
    told = repo("escaped")
    path = next(p for p in told.files if "%" in p)
    told.check(path, download(told, path))


@feature("empty-file")
def _():
    unusual = repo("unusual")
    path = next(p for p, f in unusual.files.items() if f["size"] == 0)
    unusual.check(path, download(unusual, path))


@feature("renamed")
def _():
    told = repo("renamed")
    told.check(told.small, hf_hub_download(told.told["former"], told.small, cache_dir=folder()))
    told.check_folder(snapshot_download(told.told["former"], cache_dir=folder()))


@feature("wrong-case")
def _():
    model = repo("model")
    model.check(model.small, hf_hub_download(model.id.swapcase(), model.small, cache_dir=folder()))


@feature("legacy-name")
def _():
    told = repo("legacy")
    told.check(told.small, download(told, told.small))
    told.check_folder(snapshot_download(told.id, cache_dir=folder()))


# -- facts -------------------------------------------------------------------------------------------------------------


@feature("model-info")
def _():
    model = repo("model")
    info = API.model_info(model.id, files_metadata=True)
    assert (info.id, info.sha) == (model.id, model.commit), f"{info.id} at {info.sha}"
    for entry in info.siblings:
        want = model.files[entry.rfilename]
        digest = entry.lfs["sha256"] if entry.lfs else entry.blob_id
        assert (entry.size, digest) == (want["size"], want["digest"]), entry.rfilename
    assert len(info.siblings) == len(model.files)


@feature("dataset-info")
def _():
    table = repo("csv")
    info = API.dataset_info(table.id)
    assert {s.rfilename for s in info.siblings} == set(table.files)


@feature("list-files")
def _():
    model = repo("model")
    assert set(API.list_repo_files(model.id)) == set(model.files)


@feature("list-tree")
def _():
    model = repo("model")
    entries = list(API.list_repo_tree(model.id, recursive=True, expand=True))
    files = {e.path: e for e in entries if hasattr(e, "size")}
    assert set(files) == set(model.files)
    for path, entry in files.items():
        digest = entry.lfs["sha256"] if entry.lfs else entry.blob_id
        assert (entry.size, digest) == (model.files[path]["size"], model.files[path]["digest"]), path
        assert entry.last_commit is not None, f"{path} without its last commit"
    for inner in [p for p in model.files if p.count("/") == 1][:1]:
        top = inner.split("/")[0]
        below = {e.path for e in API.list_repo_tree(model.id, top)}
        assert inner in below, below
        assert all(p.startswith(top + "/") for p in below), below


@feature("many-files")
def _():
    many = repo("many")
    found = API.list_repo_files(many.id)
    assert sorted(found) == sorted(many.files), f"{len(found)} files instead of {len(many.files)}"


@feature("paths-info")
def _():
    model = repo("model")
    found = API.get_paths_info(model.id, [model.small, model.weights, "nothing.here"], expand=True)
    assert {e.path: e.size for e in found} == {p: model.files[p]["size"] for p in (model.small, model.weights)}


@feature("refs")
def _():
    told = repo("revisions")
    refs = API.list_repo_refs(told.id, include_pull_requests=True)
    assert sorted(b.name for b in refs.branches) == told.told["branches"], refs
    assert sorted(t.name for t in refs.tags) == told.told["tags"], refs
    if "pull" in PLAN["repos"]:
        assert repo("pull").told["revision"] in [p.ref for p in refs.pull_requests], refs


@feature("commits")
def _():
    told = repo("revisions")
    commits = API.list_repo_commits(told.id)
    assert commits[0].commit_id == told.commit
    assert [c.commit_id for c in commits] == told.told.get("commits", [c.commit_id for c in commits])
    assert all(c.title and c.authors and c.created_at for c in commits)


@feature("search")
def _():
    model = repo("model")
    found = [m.id for m in API.list_models(search=model.id.split("/")[-1], limit=5)]
    assert model.id in found, f"{model.id} is not among {found}"


@feature("search-datasets")
def _():
    table = repo("csv")
    found = [d.id for d in API.list_datasets(search=table.id.split("/")[-1], author=table.id.split("/")[0], limit=5)]
    assert table.id in found, f"{table.id} is not among {found}"


@feature("exists")
def _():
    model = repo("model")
    assert API.repo_exists(model.id)
    assert not API.repo_exists(model.id + "-no-such")
    assert API.file_exists(model.id, model.small)
    assert not API.file_exists(model.id, "no/such.file")
    assert API.revision_exists(model.id, "main")
    assert not API.revision_exists(model.id, "no-such-branch")


@feature("safetensors-metadata")
def _():
    for told in (repo("model"), repo("sharded")):
        found = API.get_safetensors_metadata(told.id)
        assert sum(found.parameter_count.values()) > 0
        shards = [p for p in told.files if p.endswith(".safetensors")]
        assert set(found.files_metadata) == set(shards), found.files_metadata


@feature("auth-check")
def _():
    API.auth_check(repo("model").id)


@feature("whoami")
def _():
    assert API.whoami()["name"]


@feature("agreement")
def _():
    for told in [repo(role) for role in ("model", "unusual") if role in PLAN["repos"]]:
        listed = {e.path: e for e in API.list_repo_tree(told.id, recursive=True) if hasattr(e, "size")}
        for path, want in told.files.items():
            head = get_hf_file_metadata(hf_hub_url(told.id, path))
            entry = listed[path]
            digest = entry.lfs["sha256"] if entry.lfs else entry.blob_id
            assert (head.etag, head.size) == (digest, entry.size) == (want["digest"], want["size"]), path
            assert head.commit_hash == told.commit, path


# -- file system -------------------------------------------------------------------------------------------------------


@feature("fs-list")
def _():
    model, fs = repo("model"), HfFileSystem(skip_instance_cache=True)
    names = {e["name"].removeprefix(model.id + "/"): e for e in fs.ls(model.id)}
    assert set(names) == {p.split("/")[0] for p in model.files}, names
    assert {p.removeprefix(model.id + "/") for p in fs.find(model.id)} == set(model.files)
    assert fs.info(f"{model.id}/{model.weights}")["size"] == model.files[model.weights]["size"]


@feature("fs-glob")
def _():
    model, fs = repo("model"), HfFileSystem(skip_instance_cache=True)
    found = fs.glob(f"{model.id}/**")
    assert set(model.files) <= {p.removeprefix(model.id + "/") for p in found}, found
    weights = sorted(f"{model.id}/{p}" for p in model.files if "/" not in p and p.endswith(".safetensors"))
    assert sorted(fs.glob(f"{model.id}/*.safetensors")) == weights


@feature("fs-read")
def _():
    large, fs = repo("large"), HfFileSystem(skip_instance_cache=True)
    whole = Path(download(large, large.weights)).read_bytes()
    dice = random.Random(4)
    with fs.open(f"{large.id}/{large.weights}", "rb", block_size=1 << 20) as file:
        for _ in range(12):
            at, count = dice.randrange(len(whole)), dice.randrange(1, 200_000)
            file.seek(at)
            assert file.read(count) == whole[at : at + count], f"other bytes at {at}"
    assert fs.cat_file(f"{large.id}/{large.weights}", start=100, end=200) == whole[100:200]
    small = repo("model")
    small.check(small.small, fs.cat_file(f"{small.id}/{small.small}"))


# -- absence and manners -----------------------------------------------------------------------------------------------


@feature("missing")
def _():
    model = repo("model")
    raises(lambda: download(model, "no-such.file"), "EntryNotFoundError")
    raises(lambda: API.model_info(model.id + "-no-such"), "RepositoryNotFoundError")
    raises(lambda: hf_hub_download(model.id + "-no-such", "x", cache_dir=folder()), "RepositoryNotFoundError")
    raises(lambda: download(model, model.small, revision="no-such"), "RevisionNotFoundError")


@feature("gated")
def _():
    told = repo("gated")
    words = shown(raises(lambda: download(told, told.weights), "HfHubHTTPError", "HTTPStatusError", "HTTPError"))
    assert "gated" in words.lower() or "restricted" in words.lower(), words
    return words


def _watched(told, path):
    code = "import huggingface_hub, sys\nprint(huggingface_hub.hf_hub_download(*sys.argv[1:]))\n"
    code += "huggingface_hub.snapshot_download(sys.argv[1])\n"
    with Wire() as wire:
        child(code, told.id, path, HF_HOME=folder(), **wire.env)
    return wire


@feature("hosts")
def _():
    for told in [repo(role) for role in ("model", "large") if role in PLAN["repos"]]:
        wire = _watched(told, told.weights)
        assert wire.requests, "nothing was seen"
        assert wire.hosts == {HOST}, f"asked {sorted(wire.hosts - {HOST})}"


@feature("xet")
def _():
    large = repo("large")
    head = get_hf_file_metadata(hf_hub_url(large.id, large.weights))
    assert getattr(head, "xet_file_data", None) is None, "HEAD offers Xet"
    for entry in API.get_paths_info(large.id, [large.weights]) + list(API.list_repo_tree(large.id)):
        assert getattr(entry, "xet_hash", None) is None, "the listing offers Xet"
    wire = _watched(large, large.weights)
    assert not [r for r in wire.requests if "xet" in r[2]], "asked for a Xet token"
    assert wire.hosts == {HOST}


def version():
    names = ["huggingface_hub"]
    if os.environ.get("HF_HUB_ENABLE_HF_TRANSFER"):
        names.append("hf_transfer")
    elif "HF_HUB_DISABLE_XET" not in os.environ or PLAN["kind"] == "direct":
        names += ["hf_xet"] * (
            PLAN["client"].removesuffix("-path") in ("hub-0.36-xet", "hub-1.0", "hub-1", "hub-2-xet")
        )
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


main(version())
