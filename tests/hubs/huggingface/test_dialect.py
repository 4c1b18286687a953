"""Allowed answers: file headers, listings without what must not leave, and the routes answered here."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.artifact import Artifact, FileEntry, RefKind
from gateway.domain.decision import Decision, DecisionScope, Effect, FileEffect, Reason
from gateway.domain.evidence import Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.domain.request import HubRequest, RequestKind
from gateway.domain.siblings import file_facts
from gateway.domain.subject import ANONYMOUS, Subject, SubjectKind
from gateway.hubs.huggingface.dialect import HuggingFaceDialect
from tests.hubs.huggingface.hub_world import model

DIALECT = HuggingFaceDialect("hub", "https://gate.example/", b"k" * 32, upstream_origins=("http://hub.internal:8080",))
COMMIT = "0123456789abcdef0123456789abcdef01234567"
XET = "e" * 64


def file_row(path, size=5, lfs=""):
    row = {"type": "file", "oid": "a" * 40, "size": size, "path": path, "xetHash": XET}
    return {**row, "lfs": {"oid": lfs, "size": size, "pointerSize": 130, "xetHash": XET}} if lfs else row


TREE = (
    file_row("README.md"),
    file_row("config.json"),
    file_row("model.safetensors", 50, "b" * 64),
    file_row("pytorch_model.bin", 60, "c" * 64),
    {"type": "directory", "oid": "d" * 40, "size": 0, "path": "onnx"},
    {"type": "directory", "oid": "d" * 40, "size": 0, "path": "onnx/deep"},
    file_row("onnx/deep/model.onnx", 7, "f" * 64),
    {"type": "directory", "oid": "d" * 40, "size": 0, "path": "pickles"},
    file_row("pickles/a.pkl", 8, "9" * 64),
)
INFO = {
    "_id": "1" * 24,
    "id": "org/name",
    "modelId": "org/name",
    "sha": "9" * 40,
    "tags": ["license:mit"],
    "cardData": {"license_link": "https://huggingface.co/org/name/blob/main/LICENSE", "other": "https://x.example/l"},
    "config": {"note": "see http://hub.internal:8080/org/name", "xetEnabled": True},
    "xetEnabled": True,
    "host": "https://org-name.hf.space",
    "somethingNew": {"url": "https://cas-bridge.xethub.hf.co/x"},
    "description": "at https://cas-bridge.xethub.hf.co/x?sig=1 or https://org-name.hf.space/app",
    "securityRepoStatus": {"scansDone": True, "filesWithIssues": []},
    "gated": False,
    "downloads": 5,
}


def snapshot(tree=TREE, info=INFO):
    entries = [
        FileEntry(row["path"], row["size"], row["oid"], row.get("lfs", {}).get("oid"))
        for row in tree
        if row["type"] == "file"
    ]
    revision = RevisionFacts(COMMIT, "main", RefKind.BRANCH, Reachable.YES, "", file_facts(entries))
    return Snapshot(RepoFacts(model("org/name"), "1" * 24, "org"), revision, info, tree)


def allow(warnings=(), **files):
    effects = {path.replace("__", "/").replace("_dot_", "."): FileEffect(effect) for path, effect in files.items()}
    return Decision(Effect.ALLOW, DecisionScope.REVISION, warnings=tuple(warnings), files=effects)


def listing(kind, path="", decision=None, payload=None, snap=None, **query):
    request = HubRequest(kind, model("org/name"), "main", path, query)
    rendering = DIALECT.listing(request, snap or snapshot(), decision or allow(), payload)
    assert "link" not in {name.lower() for name, _ in rendering.headers}
    return rendering, json.loads(rendering.body)


ALL_FILES = [row["path"] for row in TREE if row["type"] == "file"]


# --- what must not leave ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expand", [(), ("sha", "siblings", "config", "cardData", "description", "somethingNew", "xetEnabled")]
)
def test_no_xet_hash_and_no_upstream_address_leaves(expand):
    answers = [
        listing(RequestKind.INFO, blobs=("true",), securityStatus=("true",), expand=expand),
        listing(RequestKind.INFO, payload=INFO, expand=expand),
        listing(RequestKind.TREE, recursive=("true",)),
        listing(RequestKind.TREE, recursive=("true",), payload=list(TREE), expand=("true",)),
        listing(RequestKind.PATHS_INFO, paths=tuple(ALL_FILES)),
        listing(
            RequestKind.REFS,
            payload={"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT, "xetHash": XET}]},
        ),
    ]
    for rendering, _ in answers:
        text = rendering.body.decode().lower()
        for word in ("xet", XET, "huggingface.co", "hf.co", "hf.space", "hub.internal", "somethingnew"):
            assert word not in text


def test_own_links_come_from_the_public_url_and_others_stay():
    _, info = listing(RequestKind.INFO)
    assert info["cardData"]["license_link"] == "https://gate.example/org/name/blob/main/LICENSE"
    assert info["cardData"]["other"] == "https://x.example/l"
    assert info["config"]["note"] == "see https://gate.example/org/name"


def test_a_host_that_only_starts_like_the_hub_is_left_alone():
    odd = {**INFO, "cardData": {"a": "https://huggingface.co.example/x"}}
    assert listing(RequestKind.INFO, snap=snapshot(info=odd))[1]["cardData"]["a"] == "https://huggingface.co.example/x"


HIDE = {"pytorch_model_dot_bin": "hide", "pickles__a_dot_pkl": "hide"}


def test_a_hidden_file_is_in_no_listing_and_a_denied_one_in_all():
    decision = allow(**HIDE, model_dot_safetensors="deny")
    visible = [p for p in ALL_FILES if p not in ("pytorch_model.bin", "pickles/a.pkl")]
    for blobs in ((), ("true",)):
        _, info = listing(RequestKind.INFO, decision=decision, blobs=blobs)
        assert [s["rfilename"] for s in info["siblings"]] == visible
    _, tree = listing(RequestKind.TREE, decision=decision, recursive=("true",))
    assert [row["path"] for row in tree if row["type"] == "file"] == visible
    assert [row["path"] for row in tree if row["type"] == "directory"] == ["onnx", "onnx/deep"]
    _, rows = listing(RequestKind.PATHS_INFO, decision=decision, paths=tuple(ALL_FILES))
    assert [row["path"] for row in rows] == visible
    _, rows = listing(RequestKind.TREE, decision=decision, recursive=("true",), payload=list(TREE), expand=("true",))
    assert [row["path"] for row in rows if row["type"] == "file"] == visible
    rendering, _ = listing(RequestKind.TREE, "pickles", decision)
    assert rendering.status == 404
    assert "X-Repo-Commit" not in dict(rendering.headers)


def test_a_hidden_file_is_in_no_verdict_and_in_no_sum():
    status = {"scansDone": True, "filesWithIssues": [{"path": p, "level": "unsafe", "x": 1} for p in ALL_FILES]}
    snap = snapshot(info={**INFO, "securityRepoStatus": status})
    decision = replace(allow(), files={"pytorch_model.bin": FileEffect.HIDE, "pickles/a.pkl": FileEffect.HIDE})
    shown = [path for path in ALL_FILES if path not in {"pytorch_model.bin", "pickles/a.pkl"}]
    verdicts = {"scansDone": True, "filesWithIssues": [{"path": p, "level": "unsafe"} for p in shown]}
    assert listing(RequestKind.SCAN, snap=snap, decision=decision)[1] == verdicts
    info = listing(RequestKind.INFO, snap=snap, decision=decision, securityStatus=("true",))[1]
    assert info["securityRepoStatus"] == verdicts
    sizes = sum(row["size"] for row in TREE if row["path"] in shown)
    assert listing(RequestKind.TREESIZE, decision=decision)[1] == {"path": "/", "size": sizes}
    assert listing(RequestKind.TREESIZE, "onnx", decision=decision)[1] == {"path": "/onnx", "size": 7}
    assert listing(RequestKind.TREESIZE, "config.json", decision=decision)[1]["size"] == 5
    for path in ("pickles", "pickles/a.pkl", "no", "onn"):
        assert listing(RequestKind.TREESIZE, path, decision=decision)[0].status == 404, path


@pytest.mark.parametrize(
    "said", [None, [], {}, {"scansDone": "yes"}, {"filesWithIssues": "x"}, {"filesWithIssues": [1]}]
)
def test_a_hub_that_says_nothing_of_its_scans_has_not_done_them(said):
    snap = snapshot(info={**INFO, "securityRepoStatus": said})
    assert listing(RequestKind.SCAN, snap=snap)[1] == {"scansDone": False, "filesWithIssues": []}


def test_an_expanded_listing_says_of_digests_and_sizes_what_was_judged():
    """The hub answers it anew: what it says now of a file may be another thing than what was decided on."""
    lied = [{**row, "oid": "0" * 40, "size": 1, "lastCommit": {"id": "c" * 40}, "x": 1} for row in TREE]
    lied += [file_row("new.bin"), {"type": "file", "path": 5}, "x", {**TREE[2], "lfs": {"oid": "0" * 64, "size": 1}}]
    for kind, query in (
        (RequestKind.TREE, {"recursive": ("true",)}),
        (RequestKind.PATHS_INFO, {"paths": (*ALL_FILES, "new.bin")}),
    ):
        plain = listing(kind, **query)[1]
        expanded = listing(kind, payload=lied, expand=("true",), **query)[1]
        assert [{k: v for k, v in row.items() if k != "lastCommit"} for row in expanded] == plain
        assert expanded[0]["lastCommit"] == {"id": "c" * 40}


def test_a_listing_is_never_emptied():
    decision = Decision(Effect.ALLOW, DecisionScope.REVISION, files=dict.fromkeys(ALL_FILES, FileEffect.HIDE))
    assert len(listing(RequestKind.INFO, decision=decision)[1]["siblings"]) == len(ALL_FILES)
    assert len(listing(RequestKind.TREE, decision=decision, recursive=("true",))[1]) == len(TREE)


def test_an_empty_revision_is_empty():
    assert listing(RequestKind.TREE, snap=snapshot(tree=()), recursive=("true",))[1] == []


# --- shapes ----------------------------------------------------------------------------------------------------------


def test_info_is_pinned_to_the_judged_commit():
    for payload in (None, INFO):
        _, info = listing(RequestKind.INFO, payload=payload)
        assert (info["id"], info["sha"], info["downloads"]) == ("org/name", COMMIT, 5)
    assert "securityRepoStatus" not in listing(RequestKind.INFO)[1]
    assert "securityRepoStatus" in listing(RequestKind.INFO, securityStatus=("true",))[1]


def test_info_gives_only_the_expanded_keys():
    _, info = listing(RequestKind.INFO, payload={**INFO, "likes": 3}, expand=("sha", "likes", "xetEnabled"))
    assert info == {"_id": "1" * 24, "id": "org/name", "modelId": "org/name", "sha": COMMIT, "likes": 3}


def test_blobs_and_tree_name_the_same_bytes():
    _, info = listing(RequestKind.INFO, blobs=("true",))
    _, tree = listing(RequestKind.TREE, recursive=("true",))
    by_path = {row["path"]: row for row in tree}
    for sibling in info["siblings"]:
        row = by_path[sibling["rfilename"]]
        assert (sibling["size"], sibling["blobId"]) == (row["size"], row["oid"])
        assert sibling.get("lfs", {}).get("sha256") == row.get("lfs", {}).get("oid")
    assert set(next(s for s in info["siblings"] if "lfs" in s)["lfs"]) == {"sha256", "size", "pointerSize"}
    assert all(set(s) == {"rfilename"} for s in listing(RequestKind.INFO)[1]["siblings"])


@pytest.mark.parametrize(
    ("path", "recursive", "expected"),
    [
        ("", (), ["README.md", "config.json", "model.safetensors", "pytorch_model.bin", "onnx", "pickles"]),
        ("onnx", (), ["onnx/deep"]),
        ("onnx", ("true",), ["onnx/deep", "onnx/deep/model.onnx"]),
        ("onnx/deep", (), ["onnx/deep/model.onnx"]),
    ],
)
def test_trees_of_one_level_and_whole_ones(path, recursive, expected):
    assert [row["path"] for row in listing(RequestKind.TREE, path, recursive=recursive)[1]] == expected


@pytest.mark.parametrize("path", ["no", "onn", "config.json", "onnx/deep/model.onnx"])
def test_a_folder_that_is_not_there_is_an_absent_entry(path):
    rendering, body = listing(RequestKind.TREE, path)
    assert rendering.status == 404
    assert dict(rendering.headers)["X-Error-Code"] == "EntryNotFound"
    assert set(body) == {"error"}


def test_paths_info_leaves_out_what_is_not_there():
    rows = listing(RequestKind.PATHS_INFO, paths=("onnx", "no", "config.json"))[1]
    assert [row["path"] for row in rows] == ["onnx", "config.json"]


def test_refs_have_all_the_keys_that_clients_require():
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}
    payload = {"branches": [main, "odd", {"name": "x"}], "pullRequests": [main], "extra": "https://huggingface.co"}
    assert listing(RequestKind.REFS, payload=payload)[1] == {"branches": [main], "converts": [], "tags": []}
    assert listing(RequestKind.REFS, payload=payload, include_prs=("true",))[1]["pullRequests"] == [main]
    assert listing(RequestKind.REFS)[1] == {"branches": [], "converts": [], "tags": []}


def test_security_status_of_files_is_kept_where_it_was_asked_for():
    status = {"status": "safe", "avScan": None, "pickleImportScan": None}
    rows = [{**TREE[0], "securityFileStatus": status}]
    assert listing(RequestKind.TREE, payload=rows, expand=("true",))[1][0]["securityFileStatus"] == status


# --- files -----------------------------------------------------------------------------------------------------------


def file_answer(entry, decision=None):
    rendering = DIALECT.file(Artifact(model("org/name"), COMMIT, entry), decision or allow())
    assert rendering.status == 200
    return rendering, dict(rendering.headers)


def test_the_headers_of_a_large_file():
    _, headers = file_answer(FileEntry("a/model.safetensors", 50, "a" * 40, "b" * 64))
    assert headers["X-Repo-Commit"] == COMMIT
    assert headers["ETag"] == headers["X-Linked-Etag"] == f'"{"b" * 64}"'
    assert headers["X-Linked-Size"] == "50"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "application/octet-stream"
    assert (
        headers["Content-Disposition"] == "inline; filename*=UTF-8''model.safetensors; filename=\"model.safetensors\";"
    )
    assert not {"Content-Length", "Location", "Link", "X-Xet-Hash"} & set(headers)


def test_the_headers_of_a_small_file():
    _, headers = file_answer(FileEntry("config.json", 12, "a" * 40))
    assert headers["ETag"] == f'"{"a" * 40}"'
    assert headers["Content-Type"].startswith("text/plain")
    assert not {"X-Linked-Etag", "X-Linked-Size"} & set(headers)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_no_file_name_escapes_its_header(name):
    rendering, headers = file_answer(FileEntry(name, 1, "a" * 40))
    assert all(re.fullmatch(r"[ -~]*", value) for _, value in rendering.headers)
    assert headers["Content-Disposition"].count('"') == 2


@pytest.mark.parametrize("path", ["x.html", "x.svg", "x.js", "x.xhtml", "x"])
def test_nothing_is_served_as_something_a_browser_runs(path):
    _, headers = file_answer(FileEntry(path, 1, "a" * 40))
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]


def test_warnings_reach_the_developer_once_per_rule():
    warnings = [
        Reason("age/new", "low", "this revision is 2 days old", "wait"),
        Reason("age/new", "low", "again", "wait"),
        Reason("license/un;known\r\n", "high", "the license is unknown é", ""),
        Reason("scan/x", "low", "of another file", "", path="other.bin"),
    ]
    rendering, _ = file_answer(FileEntry("a.bin", 1, "a" * 40), allow(warnings))
    shown = [value for name, value in rendering.headers if name == "X-HF-Warning"]
    assert shown == [
        "policy license/unknown; the license is unknown \\xe9.",
        "policy age/new; this revision is 2 days old. wait.",
    ]
    rendering, _ = listing(RequestKind.INFO, decision=allow(warnings))
    assert [name for name, _ in rendering.headers].count("X-HF-Warning") == 3


# --- answered here ---------------------------------------------------------------------------------------------------


def test_whoami_tells_who_asks_and_nothing_of_the_hub():
    rendering = DIALECT.local(HubRequest(RequestKind.WHOAMI), Subject("ada", SubjectKind.USER, frozenset({"research"})))
    value = json.loads(rendering.body)
    assert (rendering.status, value["name"], value["type"], value["orgs"]) == (200, "ada", "user", [])
    assert value["auth"]["accessToken"]["role"] == "read"
    assert DIALECT.local(HubRequest(RequestKind.WHOAMI), ANONYMOUS).status == 401


def test_telemetry_and_harnesses_end_here():
    assert DIALECT.local(HubRequest(RequestKind.TELEMETRY), ANONYMOUS).status == 200
    harnesses = DIALECT.local(HubRequest(RequestKind.HARNESSES), ANONYMOUS)
    assert json.loads(harnesses.body) == {"standardEnvVars": [], "harnesses": {}}


@pytest.mark.parametrize("kind", [RequestKind.RESOLVE, RequestKind.WRITE, RequestKind.WHOAMI])
def test_what_is_no_listing_is_no_listing(kind):
    with pytest.raises(ValueError, match="no listing"):
        DIALECT.listing(HubRequest(kind), snapshot(), allow())
