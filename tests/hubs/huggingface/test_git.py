"""git's protocols: recognised whatever the spelling, refused in words that git prints, never with 401."""

import pytest

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.decision import DecisionScope, Effect, Reason
from gateway.domain.errors import UnroutableRequest
from gateway.domain.outcome import Denial, Pending, Refused
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface import git
from gateway.hubs.huggingface.grammar import parse

MODEL = Repo("hub", RepoType.MODEL, "org/name")
DATASET = Repo("hub", RepoType.DATASET, "org/name")
LEGACY = Repo("hub", RepoType.MODEL, "gpt2")
PACK = "a" * 40


def read(target, method="GET", body=b""):
    return parse("hub", method, target, "application/x-git-upload-pack-request", body)


@pytest.mark.parametrize(
    ("target", "method", "repo", "path"),
    [
        ("/org/name/info/refs?service=git-upload-pack", "GET", MODEL, "info/refs"),
        ("/org/name.git/info/refs?service=git-upload-pack", "GET", MODEL, "info/refs"),
        ("/org/name.git/info/refs", "GET", MODEL, "info/refs"),
        ("/datasets/org/name/info/refs", "HEAD", DATASET, "info/refs"),
        ("/gpt2.git/info/refs", "GET", LEGACY, "info/refs"),
        ("/org/name/git-upload-pack", "POST", MODEL, "git-upload-pack"),
        ("/org/name.git/git-upload-pack", "GET", MODEL, "git-upload-pack"),
        ("/org/name.git/git-receive-pack", "POST", MODEL, "git-receive-pack"),
        ("/org/name.git/HEAD", "GET", MODEL, "HEAD"),
        ("/org/name.git/packed-refs", "GET", MODEL, "packed-refs"),
        ("/org/name/objects/info/packs", "GET", MODEL, "objects/info/packs"),
        ("/org/name/objects/info/http-alternates", "GET", MODEL, "objects/info/http-alternates"),
        (f"/org/name/objects/aa/{'b' * 38}", "GET", MODEL, f"objects/aa/{'b' * 38}"),
        (f"/org/name.git/objects/pack/pack-{PACK}.pack", "GET", MODEL, f"objects/pack/pack-{PACK}.pack"),
        ("/org/name.git/info/lfs/locks", "GET", MODEL, "info/lfs/locks"),
        ("/org/name.git/info/lfs/locks/verify", "POST", MODEL, "info/lfs/locks/verify"),
        ("/org/name/info/lfs/objects/" + "c" * 64, "GET", MODEL, "info/lfs/objects/" + "c" * 64),
    ],
)
def test_every_route_of_git(target, method, repo, path):
    asked = read(target, method)
    assert (asked.kind, asked.repo, asked.ref, asked.path) == (RequestKind.GIT, repo, "", path)


@pytest.mark.parametrize(
    "target",
    [
        "/org/name/objects/pack/../../resolve/main/f",
        "/org/name/objects/pack/pack-x.pack",
        "/org/name.git/config",
        "/org/name.git.git/info/refs",
        "/org/name.GIT/info/refs/x",
        "/api/info/refs",
        "/a/b/c/info/refs",
        "/org/name.git/info/lfs/../lfs/locks",
        "/info/refs",
        "/xgit/info/lfs/",
    ],
)
def test_what_only_looks_like_git_has_no_route(target):
    with pytest.raises(UnroutableRequest):
        read(target)


def test_a_file_is_never_taken_for_git():
    asked = read("/org/name/resolve/main/info/refs")
    assert (asked.kind, asked.path) == (RequestKind.RESOLVE, "info/refs")
    assert read("/org/name/resolve/main/HEAD").kind is RequestKind.RESOLVE


@pytest.mark.parametrize(
    ("target", "pushes"),
    [
        ("/org/name/info/refs?service=git-receive-pack", True),
        ("/org/name/info/refs?service=git-upload-pack&service=git-receive-pack", True),
        ("/org/name/git-receive-pack", True),
        ("/org/name/info/refs?service=git-upload-pack", False),
        ("/org/name/info/refs?service=evil", False),
        ("/org/name/info/refs", False),
    ],
)
def test_a_push_is_known(target, pushes):
    assert git.is_push(read(target)) is pushes


def refuse(refusal, repo=MODEL, path="info/refs", **query):
    rendering = git.refusal(HubRequest(RequestKind.GIT, repo, "", path, query), refusal)
    return rendering.status, dict(rendering.headers), rendering.body.decode()


def test_the_refusal_is_one_line_of_text_that_says_what_to_do():
    status, headers, body = refuse(Refused(403, "route/git", "no packs"))
    assert status == 403
    assert headers["Content-Type"].startswith("text/plain")
    assert body.count("\n") == 1
    assert "(route/git)" in body
    assert "`hf download org/name`" in body
    assert headers["X-Error-Message"] == body.strip()
    assert "--repo-type dataset org/name`" in refuse(Refused(403, "route/git", "no packs"), DATASET)[2]


def test_a_push_is_not_told_to_download():
    body = refuse(Refused(403, "route/read-only", "read-only"), service=("git-receive-pack",))[2]
    assert "hf download" not in body
    assert "read-only" in body


def test_no_identity_is_no_401():
    reason = Reason("identity/missing", "high", "who are you", "set HF_TOKEN")
    status, headers, body = refuse(Denial(Effect.DENY, DecisionScope.REPO, (reason,), ""))
    assert status == 403
    assert "WWW-Authenticate" not in headers
    assert "identity/missing" in body


def test_a_wait_says_how_long():
    status, headers, _ = refuse(Pending("limit/rate", "slow down", 0))
    assert (status, headers["Retry-After"]) == (429, "1")


def test_git_lfs_reads_a_message():
    status, headers, body = refuse(Refused(404, "route/git-lfs", "no locks"), path="info/lfs/locks/verify")
    assert (status, headers["Content-Type"]) == (404, "application/vnd.git-lfs+json")
    assert body == '{"message":"no locks (route/git-lfs)."}'
