"""Every refusal form of design §5 by route and method; header safety first."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.artifact import FileEntry
from gateway.domain.decision import DecisionScope, Effect, Reason
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refused
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface.dialect import HuggingFaceDialect
from gateway.hubs.huggingface.refusals import OTHER_WORDS
from tests.hubs.huggingface.hub_world import model

KEY = b"k" * 32
DIALECT = HuggingFaceDialect("hub", "https://gate.example", KEY)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ENTRY = FileEntry("model.safetensors", 5000, "a" * 40, "b" * 64)
SMALL = FileEntry("config.json", 12, "c" * 40)
REASON = Reason("scan/code-exec", "critical", "pickle opcode os.system", "use the safetensors file")
REPO_KINDS = [k for k in RequestKind if k not in (RequestKind.WHOAMI, RequestKind.TELEMETRY, RequestKind.HARNESSES)]


def request(kind=RequestKind.RESOLVE, path="model.safetensors", ref="main", **query):
    return HubRequest(kind, model("org/name"), ref, path, query)


def denial(scope=DecisionScope.REVISION, reasons=(REASON,), effect=Effect.DENY, **known):
    return Denial(effect, scope, reasons, "dec-123", **known)


def refuse(req, method, refusal):
    rendering = DIALECT.refuse(req, method, refusal)
    return rendering, dict(rendering.headers)


def is_safe(rendering):
    return all(
        re.fullmatch(r"[A-Za-z0-9-]+", name) and re.fullmatch(r"[ -~]{0,1024}", value)
        for name, value in rendering.headers
    )


HOSTILE = [
    'a"; filename="evil.sh',
    "a\r\nX-Evil: 1",
    "a\nb",
    "a\x00b",
    "\u202egnp.exe",
    "é" * 500,
    "\u2028x",
    "x" * 5000,
    "a;b%0d%0a",
    "</script><script>alert(1)</script>",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("kind", list(RequestKind))
def test_no_hostile_text_breaks_a_header(text, method, kind):
    reason = Reason(text, text, text, text, text, text)
    entry = FileEntry(text, 5, "a" * 40)
    for refusal in (
        denial(reasons=(reason, reason)),
        Denial(Effect.QUARANTINE, DecisionScope.FILE, (reason,), text, COMMIT, entry),
        Pending(text, text, 5, text),
        Pending(text, text, 5, text, COMMIT, entry),
        Absence("entry", text, COMMIT),
        Failure(text, text),
        Refused(404, text, text),
    ):
        rendering = DIALECT.refuse(request(kind, path=text), method, refusal)
        assert is_safe(rendering)
        if rendering.body and rendering.status != 200 and kind not in OTHER_WORDS:
            assert set(json.loads(rendering.body)) == {"error"}


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=50), st.text(max_size=400))
def test_the_line_of_a_denial_always_holds_the_decision_and_the_rule(message, remedy, path, filler):
    reason = Reason("license/denied", "high", message + filler * 5, remedy + filler, path)
    rendering, headers = refuse(request(path=path), "GET", denial(reasons=(reason,)))
    line = headers["X-Error-Message"]
    assert is_safe(rendering)
    assert "dec-123" in line
    assert "license/denied" in line
    assert "Next step: " in line
    assert json.loads(rendering.body) == {"error": line}


# --- deny ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [DecisionScope.REPO, DecisionScope.REVISION])
@pytest.mark.parametrize("effect", [Effect.DENY, Effect.QUARANTINE])
def test_a_refused_revision_is_a_tombstone_on_head_and_a_reason_on_get(scope, effect):
    head, headers = refuse(request(), "HEAD", denial(scope, effect=effect, commit=COMMIT, entry=ENTRY))
    assert head.status == 200
    assert re.fullmatch(r"[0-9a-f]{40}", headers["X-Repo-Commit"])
    assert headers["X-Repo-Commit"] != COMMIT
    assert DIALECT.tombstone_ref(model("org/name"), headers["X-Repo-Commit"]) is not None
    assert re.fullmatch(r'"[0-9a-f]{64}"', headers["ETag"])
    assert headers["ETag"] == headers["X-Linked-Etag"]
    assert ENTRY.sha256 not in headers["ETag"]
    assert headers["Content-Length"] == headers["X-Linked-Size"]
    assert int(headers["Content-Length"]) < 1000
    assert headers["X-HF-Warning"].startswith("policy; ")
    assert "X-Error-Code" not in headers

    get, headers = refuse(request(), "GET", denial(scope, effect=effect, commit=COMMIT, entry=ENTRY))
    assert get.status == 403
    for part in (
        "pickle opcode os.system",
        "scan/code-exec",
        "dec-123",
        "use the safetensors file",
        "model.safetensors",
    ):
        assert part in headers["X-Error-Message"]
    assert json.loads(get.body)["error"] == headers["X-Error-Message"]
    assert not {"X-Error-Code", "X-Repo-Commit", "ETag"} & set(headers)


def test_a_refused_file_keeps_the_commit_of_its_load():
    head, headers = refuse(request(), "HEAD", denial(DecisionScope.FILE, commit=COMMIT, entry=ENTRY))
    assert (head.status, headers["X-Repo-Commit"]) == (200, COMMIT)
    assert re.fullmatch(r'"[0-9a-f]{64}"', headers["ETag"])
    assert ENTRY.sha256 not in headers["ETag"]
    get, headers = refuse(request(), "GET", denial(DecisionScope.FILE, commit=COMMIT, entry=ENTRY))
    assert get.status == 403
    assert not {"X-Error-Code", "X-Repo-Commit"} & set(headers)


def test_a_hidden_file_names_the_clients_own_listing():
    get, headers = refuse(request(), "GET", denial(DecisionScope.FILE, commit=COMMIT))
    assert get.status == 403
    assert "trees/<commit>.json" in headers["X-Error-Message"]
    assert "X-Error-Code" not in headers


def test_listings_of_a_refused_revision_are_tombstones_with_files():
    info, headers = refuse(request(RequestKind.INFO, ""), "GET", denial())
    value = json.loads(info.body)
    assert (info.status, value["id"]) == (200, "org/name")
    assert DIALECT.tombstone_ref(model("org/name"), value["sha"]) is not None
    assert {"model.safetensors", "config.json"} <= {s["rfilename"] for s in value["siblings"]}
    assert "X-HF-Warning" in headers
    tree, _ = refuse(request(RequestKind.TREE, ""), "GET", denial())
    rows = json.loads(tree.body)
    assert tree.status == 200
    assert {row["path"] for row in rows} == {s["rfilename"] for s in value["siblings"]}
    assert all(
        re.fullmatch(r"[0-9a-f]{40}", row["oid"]) and re.fullmatch(r"[0-9a-f]{64}", row["lfs"]["oid"]) for row in rows
    )
    paths, _ = refuse(request(RequestKind.PATHS_INFO, "", paths=("a/b.bin",)), "POST", denial())
    assert (paths.status, [row["path"] for row in json.loads(paths.body)]) == (200, ["a/b.bin"])
    assert "xet" not in (info.body + tree.body + paths.body).decode().lower()


def test_the_tombstone_of_a_file_is_the_same_in_head_and_tree():
    _, headers = refuse(request(), "HEAD", denial())
    tree, _ = refuse(request(RequestKind.TREE, ""), "GET", denial())
    oids = {row["path"]: row["lfs"]["oid"] for row in json.loads(tree.body)}
    assert headers["ETag"].strip('"') == oids["model.safetensors"]


@pytest.mark.parametrize("kind", [RequestKind.REFS, RequestKind.XET_TOKEN])
def test_refs_and_xet_tokens_of_a_refused_repo_say_why(kind):
    rendering, headers = refuse(request(kind, ""), "GET", denial())
    assert rendering.status == 403
    assert "scan/code-exec" in headers["X-Error-Message"]
    assert ("HF_HUB_DISABLE_XET=1" in headers["X-Error-Message"]) == (kind is RequestKind.XET_TOKEN)


def test_a_xet_token_is_refused_with_advice_also_where_the_repo_is_allowed():
    rendering, headers = refuse(request(RequestKind.XET_TOKEN, ""), "GET", Refused(403, "route/xet", "No Xet here."))
    assert rendering.status == 403
    assert "HF_HUB_DISABLE_XET=1" in headers["X-Error-Message"]


IDENTITY = Reason("identity/missing", "high", "no gateway token", "set HF_TOKEN to a gateway token")


@pytest.mark.parametrize(
    ("kind", "method", "status"),
    [
        (RequestKind.RESOLVE, "HEAD", 200),
        (RequestKind.RESOLVE, "GET", 403),
        (RequestKind.INFO, "GET", 200),
        (RequestKind.TREE, "GET", 200),
        (RequestKind.PATHS_INFO, "POST", 403),
        (RequestKind.REFS, "GET", 403),
        (RequestKind.XET_TOKEN, "GET", 403),
        (RequestKind.WRITE, "POST", 403),
    ],
)
def test_a_refused_identity_never_asks_for_a_password(kind, method, status):
    refusal = denial(DecisionScope.REPO, (IDENTITY,))
    rendering, headers = refuse(request(kind, paths=("x",)), method, refusal)
    assert rendering.status == status
    assert "WWW-Authenticate" not in headers
    if status == 403:
        assert "identity/missing" in headers["X-Error-Message"]


def test_a_refused_identity_shows_no_commit_even_in_scope_file():
    refusal = denial(DecisionScope.FILE, (IDENTITY,), commit=COMMIT, entry=ENTRY)
    _, headers = refuse(request(), "HEAD", refusal)
    assert DIALECT.tombstone_ref(model("org/name"), headers["X-Repo-Commit"]) is not None


def test_whoami_without_identity_is_401():
    rendering, _ = refuse(HubRequest(RequestKind.WHOAMI), "GET", denial(DecisionScope.REPO, (IDENTITY,)))
    assert rendering.status == 401


@pytest.mark.parametrize("kind", REPO_KINDS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_denial_is_a_401_or_carries_an_error_code(kind, method):
    for scope in DecisionScope:
        rendering, headers = refuse(request(kind), method, denial(scope, commit=COMMIT, entry=ENTRY))
        assert rendering.status in (200, 403)
        assert not {"X-Error-Code", "Location", "Link", "Retry-After"} & set(headers)


def test_the_gravest_reason_comes_first_and_the_rest_is_counted():
    low = Reason("age/new", "low", "too new", "wait")
    _, headers = refuse(request(), "GET", denial(reasons=(low, REASON, low)))
    assert "scan/code-exec and 2 more" in headers["X-Error-Message"]


def test_a_denial_without_reasons_still_speaks():
    _, headers = refuse(None, "GET", denial(reasons=()))
    assert "dec-123" in headers["X-Error-Message"]


# --- the tombstone's ids ---------------------------------------------------------------------------------------------


def test_tombstones_differ_by_repo_type_and_key_and_cannot_be_foreseen():
    def commit(dialect, repo_id="org/name"):
        rendering = dialect.refuse(HubRequest(RequestKind.RESOLVE, model(repo_id), "main", "f"), "HEAD", denial())
        return dict(rendering.headers)["X-Repo-Commit"]

    other_key = HuggingFaceDialect("hub", "https://gate.example", b"x" * 32)
    assert len({commit(DIALECT), commit(DIALECT, "org/other"), commit(other_key)}) == 3
    assert other_key.tombstone_ref(model("org/name"), commit(DIALECT)) is None
    assert commit(DIALECT) == commit(HuggingFaceDialect("hub", "https://other.example", KEY))
    assert commit(DIALECT, "ORG/name") == commit(DIALECT)
    assert DIALECT.tombstone_ref(model("org/other"), commit(DIALECT)) is None
    assert DIALECT.tombstone_ref(model("org/name"), COMMIT) is None
    assert DIALECT.tombstone_ref(model("org/name"), "é") is None
    with pytest.raises(ValueError, match="16 bytes"):
        HuggingFaceDialect("hub", "https://gate.example", b"short")


def tombstone_of(ref, commit="", method="HEAD"):
    refusal = denial(commit=commit)
    return dict(DIALECT.refuse(request(ref=ref), method, refusal).headers)["X-Repo-Commit"]


@pytest.mark.parametrize(
    ("ref", "commit", "judged"),
    [
        ("", "", ""),
        ("main", COMMIT, "main"),
        ("refs/pr/12", COMMIT, "refs/pr/12"),
        ("é", COMMIT, "é"),
        ("a-branch-with-a-long-name", COMMIT, COMMIT[:26]),
        (COMMIT, COMMIT, COMMIT[:26]),
        (COMMIT, "", COMMIT[:26]),
        ("a-branch-with-a-long-name", "", ""),
    ],
)
def test_a_tombstone_tells_what_was_refused_to_whoever_has_the_key(ref, commit, judged):
    invented = tombstone_of(ref, commit)
    assert DIALECT.tombstone_ref(model("org/name"), invented) == judged
    assert HuggingFaceDialect("hub", "https://x.example", KEY).tombstone_ref(model("org/name"), invented) == judged
    assert DIALECT.tombstone_ref(model("org/other"), invented) is None


def test_a_request_under_the_tombstone_stays_under_it():
    invented = tombstone_of("refs/pr/12", COMMIT)
    assert tombstone_of(invented, COMMIT) == invented
    info, _ = refuse(request(RequestKind.INFO, "", ref=invented), "GET", denial(commit=COMMIT))
    assert json.loads(info.body)["sha"] == invented
    _, of_ref = refuse(request(ref="refs/pr/12"), "HEAD", denial(commit=COMMIT))
    _, of_tombstone = refuse(request(ref=invented), "HEAD", denial(commit=COMMIT))
    assert of_ref["ETag"] == of_tombstone["ETag"]


@given(st.binary(min_size=20, max_size=20))
def test_no_other_commit_is_taken_for_a_tombstone(commit):
    assert DIALECT.tombstone_ref(model("org/name"), commit.hex()) is None


# --- pending, absence, failure ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [ENTRY, SMALL])
def test_pending_head_is_the_real_answer_where_it_is_known(entry):
    pending = Pending("scan/running", "the scan is running", 5, "dec-9", COMMIT, entry)
    head, headers = refuse(request(), "HEAD", pending)
    assert (head.status, headers["X-Repo-Commit"]) == (200, COMMIT)
    assert headers["ETag"] == f'"{entry.digest.value}"'
    assert headers["Content-Length"] == str(entry.size_bytes)
    assert ("X-Linked-Size" in headers) == entry.is_lfs


@pytest.mark.parametrize(
    ("req", "method", "pending"),
    [
        (request(), "GET", Pending("scan/running", "the scan is running", 7, "dec-9", COMMIT, ENTRY)),
        (request(), "HEAD", Pending("pdp/timeout", "no decision", 7)),
        (request(RequestKind.INFO, ""), "GET", Pending("pdp/timeout", "no decision", 7)),
        (request(RequestKind.TREE, ""), "HEAD", Pending("pdp/timeout", "no decision", 7, "", COMMIT, ENTRY)),
        (None, "GET", Pending("rate/limit", "too fast", 7)),
    ],
)
def test_pending_is_a_429_that_clients_wait_for(req, method, pending):
    rendering, headers = refuse(req, method, pending)
    assert rendering.status == 429
    assert headers["Retry-After"] == "7"
    assert headers["RateLimit"] == '"gateway";r=0;t=7'
    assert pending.code in headers["X-Error-Message"]
    assert not {"X-Error-Code", "X-Repo-Commit", "ETag"} & set(headers)


def test_pending_never_says_to_come_back_at_once():
    _, headers = refuse(request(), "GET", Pending("a/b", "x", 0))
    assert headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("absence", "code", "has_commit"),
    [
        (Absence("repo", "gone", COMMIT), "RepoNotFound", False),
        (Absence("revision", "gone", COMMIT), "RevisionNotFound", False),
        (Absence("entry", "gone", COMMIT), "EntryNotFound", True),
        (Absence("entry", "gone"), "EntryNotFound", False),
    ],
)
@pytest.mark.parametrize("kind", [k for k in RequestKind if k not in OTHER_WORDS])
def test_absence_in_the_hubs_own_words(absence, code, has_commit, kind):
    rendering, headers = refuse(request(kind), "GET", absence)
    assert (rendering.status, headers["X-Error-Code"]) == (404, code)
    assert ("X-Repo-Commit" in headers) == has_commit


@pytest.mark.parametrize(("timeout", "status"), [(True, 504), (False, 502)])
def test_the_hubs_trouble_is_never_an_absence(timeout, status):
    rendering, headers = refuse(request(), "HEAD", Failure("upstream/unavailable", "the hub is down", timeout))
    assert rendering.status == status
    assert "the hub is down" in headers["X-Error-Message"]
    assert "X-Error-Code" not in headers


def test_a_file_that_no_route_names_is_absent_in_words_that_clients_show():
    """huggingface_hub takes a 404 to its HEAD without a code for a broken connection, and hides our words."""
    rendering, headers = refuse(None, "HEAD", Refused(404, "route/unknown", "percent-encoded twice"))
    assert (rendering.status, headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert "percent-encoded twice" in headers["X-Error-Message"]
    assert not {"X-Repo-Commit", "ETag"} & set(headers)
    assert "X-Error-Code" not in refuse(None, "HEAD", Refused(400, "route/malformed", "no HTTP"))[1]


def test_a_refused_route_keeps_its_status():
    rendering, headers = refuse(None, "GET", Refused(404, "route/unknown", "no such path"))
    assert (rendering.status, headers["Content-Type"]) == (404, "application/json; charset=utf-8")
    assert "X-Error-Code" not in headers
    assert refuse(HubRequest(RequestKind.WRITE), "POST", Refused(403, "route/read-only", "read-only"))[0].status == 403
