"""The grammar: attacks first, then every route of the protocol page."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.errors import UnroutableRequest
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface.grammar import ROUTES, parse

SHA = "0123456789abcdef0123456789abcdef01234567"
MODEL = Repo("hub", RepoType.MODEL, "org/name")
DATASET = Repo("hub", RepoType.DATASET, "org/name")
FORM = "application/x-www-form-urlencoded"


def read(target, method="GET", content_type="", body=b""):
    return parse("hub", method, target, content_type, body)


@pytest.mark.parametrize(
    "target",
    [
        # traversal and empty segments, plain, encoded, and encoded twice
        "/org/name/resolve/main/../secret",
        "/org/name/resolve/main/a/../../b",
        "/org/name/resolve/main/%2e%2e/secret",
        "/org/name/resolve/main/a%2F..%2Fb",
        "/org/name/resolve/main/%252e%252e/secret",
        "/org/name/resolve/main/./config.json",
        "/org/name/resolve/main//config.json",
        "/org/name/resolve/main/config.json/",
        "/org/name/resolve/main/",
        "/org/name/resolve/../config.json",
        "/org/name/resolve/%2e%2e/config.json",
        "/org/name/resolve/refs%2F..%2Fmain/config.json",
        "/org/name/resolve/refs%252Fpr%252F1/config.json",
        "/org/../name/resolve/main/config.json",
        "/../org/name/resolve/main/config.json",
        "/org%2F..%2Fother/resolve/main/config.json",
        "//org/name/resolve/main/config.json",
        "//evil.example/org/name/resolve/main/config.json",
        # control characters, backslashes, broken and overlong encodings
        "/org/name/resolve/main/config.json%00",
        "/org/name/resolve/main/a%0d%0aX-Evil: 1",
        "/org/name/resolve/main/a%0D%0AX",
        "/org/name/resolve/main/a%5Cb",
        "/org/name/resolve/main/a\\b",
        "/org/name/resolve/main/a%7F",
        "/org/name/resolve/main/a%C2%85",
        "/org/name/resolve/main/a%E2%80%A8b",
        "/org/name/resolve/main/%c0%ae%c0%ae/x",
        "/org/name/resolve/main/%e0%80%af",
        "/org/name/resolve/main/%ff",
        "/org/name/resolve/main/%ed%a0%80",
        "/org/name/resolve/main/a%",
        "/org/name/resolve/main/a%2",
        "/org/name/resolve/main/a%zz",
        "/org/name/resolve/main/a b",
        "/org/name/resolve/main/é",
        "/org/name/resolve/main/a%2541",
        "/org/name/resolve/main/x#y",
        "/org/name/resolve/main\x00/x",
        # absolute and other forms
        "http://huggingface.co/org/name/resolve/main/config.json",
        "https://huggingface.co/",
        "org/name/resolve/main/config.json",
        "*",
        "",
        "/",
        # two readings
        "/a/resolve/resolve/main/f",
        "/datasets/a/resolve/resolve/main/f",
        "/api/models/a/tree/revision/main",
        # repo ids
        "/org--x/name/resolve/main/f",
        "/org/na--me/resolve/main/f",
        "/org/na..me/resolve/main/f",
        "/org/name.git/resolve/main/f",
        "/org/-name/resolve/main/f",
        "/org/name./resolve/main/f",
        f"/org/{'n' * 97}/resolve/main/f",
        "/org/na%20me/resolve/main/f",
        "/org/na%2Fme/resolve/main/f",
        "/org/%C3%A9/resolve/main/f",
        "/a/b/c/resolve/main/f",
        "/api/models/a/b/c",
        "/%64atasets/a/resolve/main/f",
        "/Datasets/a/resolve/main/f",
        "/models/a/resolve/main/f",
        "/api/a/resolve/main/f",
        "/kernels/org/name/resolve/main/f",
        "/buckets/org/name/resolve/f",
        # revisions
        "/org/name/resolve/a..b/f",
        "/org/name/resolve/-x/f",
        "/org/name/resolve/a%20b/f",
        "/org/name/resolve/a@%7Bb/f",
        "/org/name/resolve/main%2F/f",
        "/org/name/resolve/a.lock/f",
        "/org/name/resolve/x%3Ay/f",
        f"/org/name/resolve/{'r' * 257}/f",
        # other doors to bytes
        "/org/name/raw/main/",
        "/a/raw/raw/main/f",
        "/gpt2/resolve/raw/main/f",
        "/org/name/raw/main/%252e%252e/x",
        "/org/name/blob/config.json",
        "/org/name/blame/main/config.json",
        "/org/name/media/main/config.json",
        "/org/name/tree/main",
        "/org/name/commit/main.patch",
        "/api/resolve-cache/models/org/name/main/config.json",
        f"/api/resolve-cache/models/org/name/{SHA.upper()}/config.json",
        f"/api/resolve-cache/org/name/{SHA}/config.json",
        f"/api/resolve-cache/models/org/name/{SHA}/../config.json",
        f"/api/resolve-cache/models/gpt2/{SHA}/{SHA}/f",
        f"/api/resolve-cache/models/org/name/{SHA}",
        "/%61pi/models/org/name",
        "/api/%6Dodels/org/name",
        "/API/models/org/name",
        "/api/models/",
        "/api/kernels",
        "/api/models/org/name/",
        "/api/models/org/name/commits",
        "/api/models/org/name/commits/main/x",
        "/api/models/org/name/scan/x",
        "/api/models/org/name/treesize",
        "/api/models/org/name/safetensors-metadata",
        "/api/datasets/org/name/safetensors-metadata/model.safetensors",
        "/api/models/org/name/safetensors-metadata/..%2Fmodel.safetensors",
        "/api/models/org/name/likers",
        "/api/models/org/name/lfs-files",
        "/api/models/org/name/leaderboard",
        "/api/models/org/name/discussions",
        "/api/models-tags-by-type",
        "/api/models/org/name/resolve/main/f",
        "/api/unknown",
        "/api/whoami-v2/x",
        "/org/name/resolve/main/f?x=%00",
        "/org/name/resolve/main/f?%zz=1",
        "/org/name/resolve/main/" + "a" * 9000,
    ],
)
def test_what_the_grammar_does_not_name_is_refused(target):
    with pytest.raises(UnroutableRequest):
        read(target)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "get", "", "PROPFIND", "GET\r\n"])
def test_other_methods_are_refused(method):
    with pytest.raises(UnroutableRequest):
        read("/org/name/resolve/main/config.json", method)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/org/name/resolve/main/config.json", HubRequest(RequestKind.RESOLVE, MODEL, "main", "config.json")),
        ("/org/name/resolve/main/config.json?x=1&utm=2", HubRequest(RequestKind.RESOLVE, MODEL, "main", "config.json")),
        (
            "/org/name/resolve/main/config.json?download=True",
            HubRequest(RequestKind.RESOLVE, MODEL, "main", "config.json", {"download": ("true",)}),
        ),
        ("/org/name/resolve/refs%2Fpr%2F1/a/b.bin", HubRequest(RequestKind.RESOLVE, MODEL, "refs/pr/1", "a/b.bin")),
        ("/org/name/resolve/HEAD/f", HubRequest(RequestKind.RESOLVE, MODEL, "", "f")),
        (f"/org/name/resolve/{SHA}/a%2Fb", HubRequest(RequestKind.RESOLVE, MODEL, SHA, "a/b")),
        ("/org/name/resolve/main/resolve/x", HubRequest(RequestKind.RESOLVE, MODEL, "main", "resolve/x")),
        ("/org/name/resolve/main/100%25.txt", HubRequest(RequestKind.RESOLVE, MODEL, "main", "100%.txt")),
        ("/org/name/resolve/main/a%20b%5B1%5D.txt", HubRequest(RequestKind.RESOLVE, MODEL, "main", "a b[1].txt")),
        ("/org/name/resolve/main/%C3%A9.txt", HubRequest(RequestKind.RESOLVE, MODEL, "main", "é.txt")),
        ("/org/name/resolve/main/a+b", HubRequest(RequestKind.RESOLVE, MODEL, "main", "a+b")),
        ("/gpt2/resolve/main/f", HubRequest(RequestKind.RESOLVE, Repo("hub", RepoType.MODEL, "gpt2"), "main", "f")),
        ("/%6Frg/name/resolve/main/f", HubRequest(RequestKind.RESOLVE, MODEL, "main", "f")),
        ("/datasets/org/name/resolve/main/f", HubRequest(RequestKind.RESOLVE, DATASET, "main", "f")),
        (
            "/datasets/squad/resolve/main/f",
            HubRequest(RequestKind.RESOLVE, Repo("hub", RepoType.DATASET, "squad"), "main", "f"),
        ),
        (
            "/spaces/a/b/resolve/main/f",
            HubRequest(RequestKind.RESOLVE, Repo("hub", RepoType.SPACE, "a/b"), "main", "f"),
        ),
        ("/org/name/raw/main/a/b.txt", HubRequest(RequestKind.RAW, MODEL, "main", "a/b.txt")),
        ("/datasets/org/name/raw/refs%2Fpr%2F1/f", HubRequest(RequestKind.RAW, DATASET, "refs/pr/1", "f")),
        ("/gpt2/raw/main/f", HubRequest(RequestKind.RAW, Repo("hub", RepoType.MODEL, "gpt2"), "main", "f")),
        ("/org/name/blob/HEAD/%3Cb%3E", HubRequest(RequestKind.BLOB, MODEL, "", "<b>")),
        (
            f"/api/resolve-cache/models/org/name/{SHA}/a/b?%2Forg%2Fname%2Fresolve%2Frefs%252Fpr%252F1%2Fa=&etag=%22x%22",
            HubRequest(RequestKind.RESOLVE, MODEL, SHA, "a/b"),
        ),
        (
            f"/api/resolve-cache/datasets/squad/{SHA}/f?%zz",
            HubRequest(RequestKind.RESOLVE, Repo("hub", RepoType.DATASET, "squad"), SHA, "f"),
        ),
        (
            "/api/models/org/name/safetensors-metadata/sub/model.safetensors.index.json?x=1",
            HubRequest(RequestKind.SAFETENSORS_METADATA, MODEL, "", "sub/model.safetensors.index.json"),
        ),
        (
            "/api/models/org/name/commits/refs%2Fpr%2F1?expand[]=formatted&limit=5000&cursor=a%3D&p=2&x=1",
            HubRequest(
                RequestKind.COMMITS,
                MODEL,
                "refs/pr/1",
                "",
                {"expand": ("formatted",), "limit": ("1000",), "p": ("2",), "cursor": ("a=",)},
            ),
        ),
        (
            "/api/models/org/name/commits/main?expand=lastCommit&limit=-1&cursor=a%20b&p=0",
            HubRequest(RequestKind.COMMITS, MODEL, "main"),
        ),
        ("/api/models/gpt2/commits/main", HubRequest(RequestKind.COMMITS, Repo("hub", RepoType.MODEL, "gpt2"), "main")),
        ("/api/spaces/a/b/scan", HubRequest(RequestKind.SCAN, Repo("hub", RepoType.SPACE, "a/b"))),
        ("/api/models/gpt2/scan", HubRequest(RequestKind.SCAN, Repo("hub", RepoType.MODEL, "gpt2"))),
        ("/api/models/org/name/auth-check", HubRequest(RequestKind.AUTH_CHECK, MODEL)),
        ("/api/models/org/name/auth-check/write", HubRequest(RequestKind.WRITE, MODEL)),
        ("/api/models/org/name/treesize/main", HubRequest(RequestKind.TREESIZE, MODEL, "main")),
        ("/api/models/org/name/treesize/main/", HubRequest(RequestKind.TREESIZE, MODEL, "main")),
        ("/api/models/org/name/treesize/main/a%2Fb", HubRequest(RequestKind.TREESIZE, MODEL, "main", "a/b")),
        (
            "/api/models/gpt2/treesize/main/a",
            HubRequest(RequestKind.TREESIZE, Repo("hub", RepoType.MODEL, "gpt2"), "main", "a"),
        ),
        ("/api/models/org/name", HubRequest(RequestKind.INFO, MODEL)),
        ("/api/models/gpt2", HubRequest(RequestKind.INFO, Repo("hub", RepoType.MODEL, "gpt2"))),
        ("/api/datasets/org/name/revision/main", HubRequest(RequestKind.INFO, DATASET, "main")),
        (
            "/api/models/org/name/revision/refs%2Fpr%2F2?blobs=1&securityStatus=true&expand=sha&expand[]=tags",
            HubRequest(
                RequestKind.INFO,
                MODEL,
                "refs/pr/2",
                "",
                {"blobs": ("true",), "securityStatus": ("true",), "expand": ("sha", "tags")},
            ),
        ),
        (
            "/api/models/org/name/tree/main?recursive=True&expand=False&limit=10&cursor=abc",
            HubRequest(RequestKind.TREE, MODEL, "main", "", {"recursive": ("true",)}),
        ),
        ("/api/models/org/name/tree/main/a%2Fb", HubRequest(RequestKind.TREE, MODEL, "main", "a/b")),
        ("/api/models/org/name/tree/main/a/b", HubRequest(RequestKind.TREE, MODEL, "main", "a/b")),
        ("/api/models/gpt2/tree/main", HubRequest(RequestKind.TREE, Repo("hub", RepoType.MODEL, "gpt2"), "main")),
        (
            "/api/models/org/name/refs?include_prs=1",
            HubRequest(RequestKind.REFS, MODEL, "", "", {"include_prs": ("true",)}),
        ),
        ("/api/models/gpt2/refs", HubRequest(RequestKind.REFS, Repo("hub", RepoType.MODEL, "gpt2"))),
        (f"/api/models/org/name/xet-read-token/{SHA}", HubRequest(RequestKind.XET_TOKEN, MODEL, SHA)),
        (f"/api/models/org/name/xet-write-token/{SHA}", HubRequest(RequestKind.WRITE, MODEL, SHA)),
        ("/api/whoami-v2", HubRequest(RequestKind.WHOAMI)),
        ("/api/agent-harnesses", HubRequest(RequestKind.HARNESSES)),
        ("/api/telemetry/transformers/AutoModel", HubRequest(RequestKind.TELEMETRY)),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_read_route_is_read(target, expected, method):
    assert read(target, method) == expected


@pytest.mark.parametrize(
    ("content_type", "body", "query"),
    [
        (FORM, b"paths=a.txt&paths=b%2Fc%20d&expand=False", {"paths": ("a.txt", "b/c d")}),
        (FORM, b"paths=a+b&expand=True&paths=a+b", {"paths": ("a b",), "expand": ("true",)}),
        (
            "application/json; charset=utf-8",
            b'{"paths":["x/y","z/"],"expand":true}',
            {"paths": ("x/y", "z"), "expand": ("true",)},
        ),
        ("application/json", b'{"paths":"one"}', {"paths": ("one",)}),
        (FORM, b"", {"paths": ()}),
    ],
)
def test_paths_info_reads_forms_and_json(content_type, body, query):
    request = read("/api/models/org/name/paths-info/main", "POST", content_type, body)
    assert request == HubRequest(RequestKind.PATHS_INFO, MODEL, "main", "", query)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"paths=a"),
        ("", b"paths=a"),
        (FORM, b"paths=..%2Fa"),
        (FORM, b"paths=a%00"),
        (FORM, b"paths=\xc3\xa9"),
        (FORM, b"&".join(b"paths=%d" % n for n in range(1001))),
        (FORM, b"&" * 5000),
        ("application/json", b'{"paths":["a/../b"]}'),
        ("application/json", b'{"paths":["a\\u0000"]}'),
        ("application/json", b'{"paths":["a\\ud800"]}'),
        ("application/json", b'{"paths":[1]}'),
        ("application/json", b'["a"]'),
        ("application/json", b"[" * 100000),
        ("application/json", b" " * (1 << 20) + b"{}"),
    ],
)
def test_hostile_bodies_are_refused(content_type, body):
    with pytest.raises(UnroutableRequest):
        read("/api/models/org/name/paths-info/main", "POST", content_type, body)


@pytest.mark.parametrize(
    ("method", "target", "repo"),
    [
        ("POST", "/api/models/org/name/commit/main", MODEL),
        ("POST", "/api/models/org/name/preupload/main?create_pr=1", MODEL),
        ("PUT", "/api/datasets/org/name/settings", DATASET),
        ("DELETE", "/api/models/org/name/branch/x%2Fy", MODEL),
        ("POST", "/api/repos/create", None),
        ("DELETE", "/api/repos/delete", None),
        ("POST", "/api/repos/move", None),
        ("POST", "/api/validate-yaml", None),
        ("POST", "/org/name/resolve/main/f", None),
        ("PUT", "/org/name/resolve/main/f", None),
        ("PATCH", "/anything/else", None),
        ("POST", "/", None),
    ],
)
def test_every_method_that_writes_is_a_write(method, target, repo):
    assert read(target, method) == HubRequest(RequestKind.WRITE, repo)


@pytest.mark.parametrize(
    "target",
    [
        "/org/name/x/git-upload-pack",
        "/org/name.git/x/info/lfs/objects/batch",
        "/org/name.git/objects/pack",
        "/a/..%2Fb",
        "//evil.example/x",
    ],
)
def test_git_and_lfs_posts_are_not_called_writes(target):
    with pytest.raises(UnroutableRequest):
        read(target, "POST")


def test_the_table_has_a_row_for_every_kind():
    assert {route.kind for route in ROUTES} == set(RequestKind) - {RequestKind.OBJECT}


PART = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_]{0,8}", fullmatch=True)
PATH = st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6), min_size=1, max_size=4)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "BREW"]),
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(
                [
                    "/",
                    "api",
                    "models",
                    "datasets",
                    "resolve",
                    "main",
                    "..",
                    "%2F",
                    "%2e",
                    "%25",
                    "%00",
                    "a",
                    "?",
                    "&",
                    "=",
                    "tree",
                    "refs",
                ]
            ),
            max_size=14,
        ).map(lambda parts: "/" + "".join(parts)),
        st.lists(
            st.sampled_from(["api", "models", "a", "b", "resolve", "revision", "tree", "refs", "main"]), max_size=8
        ).map(lambda parts: "/" + "/".join(parts)),
    ),
    st.sampled_from(["", FORM, "application/json"]),
    st.binary(max_size=60),
)
@example("GET", "/\ud800", "", b"")
def test_parsing_never_raises_anything_else(method, target, content_type, body):
    try:
        request = read(target, method, content_type, body)
    except UnroutableRequest:
        return
    parts = request.path.split("/") if request.path else []
    assert not {"", ".", ".."} & set(parts)
    assert not any(ord(c) < 32 or c == "\\" for c in request.path + request.ref)


@given(PART, PART, PATH, st.data())
def test_equal_decoded_tuples_give_equal_requests(org, name, parts, data):
    """However a client escapes the same characters, the request is the same one, or both are refused."""
    path = "/".join(parts)

    def spelt():
        out = []
        for char in path:
            always = not (char.isascii() and char.isalnum())
            encode = (always and char != "/") or data.draw(st.booleans())
            out.append("".join(f"%{byte:02x}" for byte in char.encode()) if encode else char)
        return "".join(out)

    def outcome(spelling):
        try:
            return read(f"/{org}/{name}/resolve/main/{spelling}")
        except UnroutableRequest:
            return None

    plain = outcome(quote(path))
    assert outcome(spelt()) == plain
    assert plain is None or plain.path == path
