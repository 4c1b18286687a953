"""The LFS batch: hostile bodies first, then the request that git-lfs sends and the answer that it reads."""

import json
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.artifact import Artifact, FileEntry, Repo, RepoType
from gateway.domain.decision import DecisionScope, Effect, Reason
from gateway.domain.explaining import Explaining
from gateway.domain.objects import JudgedObject
from gateway.domain.outcome import Absence, Denial, Pending, Refused
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface import lfs
from gateway.hubs.huggingface.grammar import parse

OID = "0" * 63 + "a"
JSON = "application/vnd.git-lfs+json; charset=utf-8"
MODEL = Repo("hub", RepoType.MODEL, "org/name")
URL = "https://gate.example/hf"


def body(**changes):
    """What git-lfs 3.3 sends."""
    value = {
        "operation": "download",
        "objects": [{"oid": OID, "size": 7}],
        "transfers": ["lfs-standalone-file", "basic", "ssh"],
        "ref": {"name": "refs/heads/main"},
        "hash_algo": "sha256",
        **changes,
    }
    return json.dumps({key: item for key, item in value.items() if item is not None}).encode()


def read(data, content_type=JSON):
    return lfs.read_batch(content_type, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"operation": "download", "objects": NaN}',
        body(operation="delete"),
        body(operation=None),
        body(operation=["download"]),
        body(objects=None),
        body(objects=[]),
        body(objects={}),
        body(objects=["x"]),
        body(objects=[{"oid": OID}]),
        body(objects=[{"oid": OID, "size": "7"}]),
        body(objects=[{"oid": OID, "size": True}]),
        body(objects=[{"oid": OID, "size": -1}]),
        body(objects=[{"oid": OID, "size": 7.0}]),
        body(objects=[{"oid": OID, "size": 1 << 60}]),
        body(objects=[{"oid": OID.upper(), "size": 7}]),
        body(objects=[{"oid": OID + "\n", "size": 7}]),
        body(objects=[{"oid": "../" + OID[3:], "size": 7}]),
        body(objects=[{"oid": OID[1:], "size": 7}]),
        body(objects=[{"oid": OID, "size": n} for n in range(lfs.MAX_OBJECTS + 1)]),
        body(hash_algo="sha1"),
        body(hash_algo=256),
        body(transfers=["tus"]),
        body(transfers="basic"),
        body(ref={"name": "refs/heads/../x"}),
        body(ref={"name": 5}),
        body(ref="main"),
        body(ref={"name": "x" * 300}),
        b'{"operation": "download", "operation": "upload", "objects": [{"oid": "%s", "size": 7}]}' % OID.encode(),
        b'{"operation": "download", "objects": [{"oid": "%s", "oid": "%s", "size": 7}]}' % (OID.encode(), b"1" * 64),
        b'{"operation": "download", "a": ' + b"[" * 900 + b"]" * 900 + b"}",
        b"[" * 100_000,
        body() + b" " * lfs.MAX_BODY_BYTES,
        body() + b"{}",
    ],
)
def test_what_cannot_be_read_is_one_fault(data):
    fields = read(data)
    assert set(fields) == {"fault"}
    assert fields["fault"][0].endswith(".")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_kind_of_body_is_a_fault(content_type):
    assert set(read(body(), content_type)) == {"fault"}


@given(st.binary(max_size=400))
def test_no_body_raises(data):
    assert set(read(data)) <= {"fault", "operation", "objects", "ref"}


def test_the_request_of_git_lfs():
    assert read(body()) == {"operation": ("download",), "objects": (f"{OID}:7",), "ref": ("main",)}
    assert read(body(), "application/json") == read(body())


@pytest.mark.parametrize(
    ("name", "ref"),
    [
        ("refs/heads/feature/x", "feature/x"),
        ("refs/tags/v1", "v1"),
        ("refs/pr/3", "refs/pr/3"),
        ("main", "main"),
    ],
)
def test_a_ref_is_a_revision_of_the_hub(name, ref):
    assert read(body(ref={"name": name}))["ref"] == (ref,)


@pytest.mark.parametrize("ref", [None, {"name": "HEAD"}, {"name": ""}])
def test_no_ref_is_the_default_branch(ref):
    assert "ref" not in read(body(ref=ref))


def test_what_may_be_left_out_may_be_left_out():
    assert read(body(ref=None, transfers=None, hash_algo=None)) == {
        "operation": ("download",), "objects": (f"{OID}:7",),
    }  # fmt: skip


def test_an_object_that_is_named_twice_is_asked_once():
    assert read(body(objects=[{"oid": OID, "size": 7}] * 3))["objects"] == (f"{OID}:7",)


@pytest.mark.parametrize(
    ("target", "repo"),
    [
        ("/org/name.git/info/lfs/objects/batch", MODEL),
        ("/org/name/info/lfs/objects/batch", MODEL),
        ("/datasets/org/name.git/info/lfs/objects/batch", Repo("hub", RepoType.DATASET, "org/name")),
        ("/gpt2.git/info/lfs/objects/batch", Repo("hub", RepoType.MODEL, "gpt2")),
    ],
)
def test_the_route(target, repo):
    asked = parse("hub", "POST", target, JSON, body())
    assert asked == HubRequest(RequestKind.LFS_BATCH, repo, query=read(body()))


def answer(*objects):
    rendering = lfs.batch(URL, objects)
    return rendering, json.loads(rendering.body)["objects"]


def artifact(path, repo=MODEL):
    return Artifact(repo, "c" * 40, FileEntry(path, 7, "d" * 40, OID))


@pytest.mark.parametrize(
    "path",
    [
        "model.bin",
        "a dir/größe [1].bin",
        "a?b#c%.bin",
        '"><script>/x.bin',
        "@evil.example/x.bin",
        "x.bin?download=true&u=evil.example",
    ],
)
def test_an_address_leads_to_the_gateway_whatever_the_file_is_called(path):
    _, (row,) = answer(JudgedObject(OID, 7, artifact(path)))
    href = row["actions"]["download"]["href"]
    parts = urlsplit(href)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "gate.example", "", "")
    assert unquote(parts.path) == f"/hf/org/name/resolve/{'c' * 40}/{path}"
    asked = parse("hub", "GET", href.removeprefix(URL))
    assert (asked.kind, asked.ref, asked.path) == (RequestKind.RESOLVE, "c" * 40, path)


def test_the_prefix_of_a_dataset_is_in_its_address():
    _, (row,) = answer(JudgedObject(OID, 7, artifact("x.bin", Repo("hub", RepoType.DATASET, "org/set"))))
    assert "/hf/datasets/org/set/resolve/" in row["actions"]["download"]["href"]


def test_each_object_has_its_own_answer():
    reason = Reason("scan/code-exec", "critical", "os.system", "use safetensors")
    denial = Denial(Effect.DENY, DecisionScope.FILE, (reason,), "d-1", "c" * 40)
    rendering, rows = answer(
        JudgedObject(OID, 7, artifact("model.bin")),
        JudgedObject("1" * 64, 1, refusal=denial),
        JudgedObject("2" * 64, 2, refusal=Absence("entry", "no such object")),
        JudgedObject("3" * 64, 3, refusal=Pending("pdp/timeout", "the engine is slow", 5)),
    )
    assert dict(rendering.headers)["Content-Type"] == "application/vnd.git-lfs+json"
    assert [row["oid"] for row in rows] == [OID, "1" * 64, "2" * 64, "3" * 64]
    assert ["error" in row for row in rows] == [False, True, True, True]
    assert [row["error"]["code"] for row in rows[1:]] == [403, 404, 429]
    assert "scan/code-exec" in rows[1]["error"]["message"]


def test_a_whole_batch_is_refused_in_a_message():
    request = HubRequest(RequestKind.LFS_BATCH, MODEL)
    rendering = lfs.refusal(request, Refused(403, "route/read-only", "read-only"))
    assert rendering.status == 403
    assert json.loads(rendering.body) == {"message": "read-only (route/read-only)."}
    waits = lfs.refusal(request, Pending("scan/under-way", "being judged", 5))
    assert (waits.status, dict(waits.headers)["Retry-After"]) == (429, "5")


@pytest.mark.parametrize("code", ["pdp/unavailable", "ledger/unwritable", "store/full"])
def test_an_outage_is_told_at_once_in_a_status_whose_words_git_lfs_prints(code):
    request = HubRequest(RequestKind.LFS_BATCH, MODEL)
    rendering = lfs.refusal(request, Pending(code, "out of order", 5), Explaining("https://gate.example"))
    assert rendering.status == 403
    assert "Retry-After" not in dict(rendering.headers)
    message = json.loads(rendering.body)["message"]
    assert message.startswith(f"Not yet: out of order ({code}). Try again in 5 s.")
    assert f"https://gate.example/-/reasons/{code}" in message
