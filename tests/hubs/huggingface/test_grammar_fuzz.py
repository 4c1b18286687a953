"""The grammar under fuzzing: nothing but its own refusal is raised, nothing unsafe gets through, and no two spellings of
one path reach different decisions.

Derandomized, so that a run finds what the last one found. GATEWAY_FUZZ_EXAMPLES raises the number of examples and draws
fresh ones: `GATEWAY_FUZZ_EXAMPLES=50000 python -m pytest tests/hubs/huggingface/test_grammar_fuzz.py`.
"""

import json
import os
import re
from dataclasses import replace
from urllib.parse import quote, unquote

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.errors import UnroutableRequest
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface.grammar import ROUTES, parse

EXAMPLES = int(os.environ.get("GATEWAY_FUZZ_EXAMPLES", "0"))
fuzz = settings(
    max_examples=EXAMPLES or 400,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
SHA = "0123456789abcdef0123456789abcdef01234567"
FORM, JSON, LFS = "application/x-www-form-urlencoded", "application/json", "application/vnd.git-lfs+json"
# The hub's rule for a repo id, written down anew.
PART = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?|[A-Za-z0-9_]"
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029]")


def read(target, method="GET", content_type="", body=b""):
    """The request, or None where it is refused; anything else that is raised is a failure."""
    try:
        return parse("hub", method, target, content_type, body)
    except UnroutableRequest:
        return None


# -- what is drawn ---------------------------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]) | st.sampled_from(
    ["OPTIONS", "CONNECT", "TRACE", "get", "", "G\0ET", "P" * 100, "ＧＥＴ"]
)
# Pieces that mean something to some parser between a client and a disk.
PIECES = st.sampled_from(
    [
        "/", "//", ".", "..", "%2e", "%2E%2e", "%2f", "%2F", "%5c", "\\", "%00", "\x00", "%0d%0a", "\r\n", "%25", "%252f",
        "%252e", "%c0%ae", "%e0%80%af", "%ed%a0%80", "%ff", "\udcff", "é", "%C3%A9", "%", "%2", "%zz", "%u002f", ";", ";a=b",
        "?", "#", "&", "=", "+", " ", "%20", "\t", "~", "@", ":", "*", "api", "models", "datasets", "spaces", "kernels",
        "resolve", "raw", "blob", "tree", "treesize", "revision", "refs", "commits", "scan", "paths-info", "info", "lfs",
        "objects", "batch", "git-upload-pack", "info/refs", ".git", "v2", "manifests", "blobs", "sha256:", "main", "HEAD",
        "refs%2Fpr%2F1", SHA, "a", "org", "name", "gpt2", "config.json", "--", "auth-check", "write", "whoami-v2",
        "resolve-cache", "safetensors-metadata", "telemetry", "-", "_", "a.lock", "．．", "／", "a" * 97,
    ]
)  # fmt: skip
NEAR = st.lists(PIECES, max_size=14).map("/".join) | st.lists(PIECES, max_size=20).map("".join)
LEGAL = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6)
PATHS = st.lists(LEGAL, min_size=1, max_size=4).map("/".join)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True) | st.sampled_from(
    [
        "resolve",
        "raw",
        "refs",
        "tree",
        "api",
        "models",
        "datasets",
        "info",
        "git-upload-pack",
        "v2",
        "main",
        "a.git",
        "a..b",
    ]
)
REFS = st.sampled_from(
    ["main", "HEAD", "refs/pr/1", "refs/convert/parquet", "v1.0", SHA, SHA[:7], "resolve", "é", "a b", "a%b"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4), max_leaves=12
)
WORDS = st.sampled_from(
    ["paths", "expand", "operation", "objects", "oid", "size", "ref", "name", "transfers", "hash_algo"]
)
BATCH = st.fixed_dictionaries(
    {},
    optional={
        "operation": st.sampled_from(["download", "upload"]) | VALUES,
        "objects": st.lists(
            st.fixed_dictionaries(
                {}, optional={"oid": st.sampled_from(["a" * 64, "A" * 64, "a"]) | VALUES, "size": VALUES}
            ),
            max_size=3,
        )
        | VALUES,
        "ref": st.fixed_dictionaries({"name": REFS | ANY_TEXT}) | VALUES,
        "transfers": VALUES,
        "hash_algo": VALUES,
        "paths": st.lists(PATHS | ANY_TEXT, max_size=3) | VALUES,
        "expand": VALUES,
    },
)
RAW_BODIES = st.sampled_from(
    [
        b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"\xef\xbb\xbf{}", b'{"paths": ["\\ud800"]}', b"NaN",
        b'{"paths": ["a"], "paths": ["b"]}', b'{"objects": [{"oid": "x", "size": ' + b"9" * 5000 + b"}]}",
        b'{"size": 1e999}', b'{"\\ud800": 1}', "{}".encode("utf-16"), b'{"a": "\x00"}', b"paths=" + b"a%2F" * 5000, b"&" * 9000,
        b"paths=%ff", b"paths=\xff", b"-0", b'{"operation": "download", "objects": [{"oid": "' + b"a" * 64 + b'", "size": '
        + b"1" * 4400 + b"}]}",
    ]
)  # fmt: skip
JSON_BODIES = (VALUES | BATCH).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
BODIES = st.binary(max_size=60) | RAW_BODIES | JSON_BODIES
TYPES = st.sampled_from(
    ["", FORM, JSON, LFS, f"{JSON}; charset=utf-8", "APPLICATION/JSON", "text/plain", ";", "é/\ud800"]
)


@st.composite
def targets_of_routes(draw):
    """A row's shape with a piece in each place, now and then with something added: most are nearly right."""
    route = draw(st.sampled_from(ROUTES))
    target = route.shape
    for place in re.findall(r"\{\w+\}", target):
        target = target.replace(place, draw(_FOR.get(place, PIECES) | PIECES | NEAR), 1)
    if draw(st.booleans()):
        target += draw(st.sampled_from(["", "/", "?", "#x", ";x", "%00", "/..", "//", "?a=%00", "?a=b&a=c"]) | NEAR)
    return target


_FOR = {
    "{prefix}": st.sampled_from(["", "datasets/", "spaces/", "kernels/"]),
    "{type}": st.sampled_from(["models", "datasets", "spaces"]),
    "{repo}": st.tuples(NAMES, NAMES).map("/".join) | NAMES,
    "{rev}": REFS.map(lambda ref: quote(ref, safe="")),
    "{commit}": st.just(SHA),
    "{tag}": st.sampled_from(["latest", "Q4_K_M"]),
    "{digest}": st.just("sha256:" + "a" * 64),
    "{git}": st.sampled_from(["info/refs", "git-upload-pack", "HEAD", "info/lfs/locks"]),
    "{path}": PATHS.map(quote),
}
TARGETS = ANY_TEXT | NEAR.map(lambda text: "/" + text) | targets_of_routes()


# -- what must hold --------------------------------------------------------------------------------------------------


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from (name, *strings(inner))
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from strings(inner)


def assert_nothing_unsafe(request):
    if request.repo is not None:
        assert request.repo.type in set(RepoType)
        parts = request.repo.id.split("/")
        assert len(parts) in (1, 2)
        assert all(re.fullmatch(PART, part) for part in parts), request.repo.id
        assert "--" not in request.repo.id
        assert ".." not in request.repo.id
        assert not request.repo.id.endswith(".git")
    if request.path:
        assert not {"", ".", ".."} & set(request.path.split("/")), request.path
    assert ".." not in request.ref
    assert not request.ref.startswith(("/", "-"))
    for text in (request.path, request.ref, *strings(dict(request.query))):
        assert not UNSAFE.search(text), text
        text.encode("utf-8")  # no half of a surrogate pair
    assert not re.search(r"%[0-9A-Fa-f]{2}", request.path), "it would decode again"
    hash(tuple(request.query.items()))


@fuzz
@given(METHODS | ANY_TEXT, TARGETS, TYPES | ANY_TEXT, BODIES)
def test_nothing_but_its_own_refusal_is_raised_and_nothing_unsafe_gets_through(method, target, content_type, body):
    request = read(target, method, content_type, body)
    if request is not None:
        assert_nothing_unsafe(request)
        assert read(target, method, content_type, body) == request, "the same bytes, the same request"


WITH_BODY = ["/org/name.git/info/lfs/objects/batch", "/api/models/org/name/paths-info/main"]


@fuzz
@given(st.sampled_from(WITH_BODY), TYPES | st.sampled_from([LFS, JSON, FORM]), RAW_BODIES | JSON_BODIES | BODIES)
def test_bodies_under_fire(target, content_type, body):
    request = read(target, "POST", content_type, body)
    if request is not None:
        assert_nothing_unsafe(request)


def spelt(request):
    """The canonical spelling of a request: method, target, content type, body. None for what has no spelling of its own."""
    repo, ref = request.repo, quote(request.ref or "HEAD", safe="")
    path = quote(request.path)
    query = [(name, value) for name, values in request.query.items() for value in values]
    fields = "&".join(f"{name}={quote(value, safe='')}" for name, value in query)
    end = f"?{fields}" if fields else ""
    api = f"/api/{repo.type.api}/{repo.id}" if repo else ""
    plain = f"/{repo.type.prefix}{repo.id}" if repo else ""
    match request.kind:
        case RequestKind.RESOLVE | RequestKind.RAW | RequestKind.BLOB:
            return "GET", f"{plain}/{request.kind.value}/{ref}/{path}{end}", "", b""
        case RequestKind.INFO:
            return "GET", f"{api}/revision/{ref}{end}" if request.ref else f"{api}{end}", "", b""
        case RequestKind.TREE | RequestKind.TREESIZE:
            below = f"/{quote(request.path, safe='')}" if request.path else ""
            return "GET", f"{api}/{request.kind.value}/{ref}{below}{end}", "", b""
        case RequestKind.PATHS_INFO:
            body = "&".join(f"{name}={quote(value, safe='')}" for name, value in query).encode()
            return "POST", f"{api}/paths-info/{ref}", FORM, body
        case RequestKind.COMMITS:
            return "GET", f"{api}/commits/{ref}{end}", "", b""
        case RequestKind.SCAN | RequestKind.REFS | RequestKind.AUTH_CHECK:
            return "GET", f"{api}/{request.kind.value.replace('_', '-')}{end}", "", b""
        case RequestKind.XET_TOKEN:
            return "GET", f"{api}/xet-read-token/{ref}", "", b""
        case RequestKind.SAFETENSORS_METADATA:
            return "GET", f"{api}/safetensors-metadata/{path}", "", b""
        case RequestKind.SEARCH:
            return "GET", f"/api/{request.path}{end}", "", b""
        case RequestKind.GIT:
            return "GET", f"{plain}.git/{path}{end}", "", b""
        case RequestKind.MANIFEST:
            return "GET", f"/v2{plain}/manifests/{path}" if repo else "/v2/", "", b""
        case RequestKind.LAYER:
            return "GET", f"/v2{plain}/blobs/sha256:{path}", "", b""
        case RequestKind.WHOAMI | RequestKind.HARNESSES:
            return "GET", {"whoami": "/api/whoami-v2", "harnesses": "/api/agent-harnesses"}[request.kind.value], "", b""
        case RequestKind.TELEMETRY:
            return "GET", "/api/telemetry/x", "", b""
        case RequestKind.WRITE:
            return "PUT", f"{api}/x" if repo else "/", "", b""
        case RequestKind.LFS_BATCH if "fault" not in request.query:
            objects = [named.split(":") for named in request.query["objects"]]
            value = {
                "operation": request.query["operation"][0],
                "objects": [{"oid": o, "size": int(s)} for o, s in objects],
            }
            if names := request.query.get("ref"):
                value["ref"] = {"name": names[0]}
            return "POST", f"{plain}.git/info/lfs/objects/batch", LFS, json.dumps(value).encode()
        case _:
            return None


@fuzz
@given(st.sampled_from(["GET", "GET", "POST", "PUT"]), targets_of_routes(), TYPES, BODIES)
def test_a_requests_own_spelling_is_read_as_itself(method, target, content_type, body):
    request = read(target, method, content_type, body)
    canonical = spelt(request) if request is not None else None
    if canonical is None:
        return
    again = read(canonical[1], canonical[0], *canonical[2:])
    if request.kind is RequestKind.TELEMETRY:
        again, request = replace(again, path=""), replace(request, path="")
    if again is None:
        assert _has_two_readings(canonical[1]), canonical
        return
    if request.kind is RequestKind.WRITE:  # refused whatever it names; only the record tells the repo
        again, request = again.kind, request.kind
    assert again == request, canonical


def _has_two_readings(target):
    """A name such as `resolve` can be read as a word of the grammar too: refused, whichever was meant."""
    try:
        parse("hub", "GET", target)
    except UnroutableRequest as refused:
        return "two ways" in str(refused) or "does not serve" in str(refused)
    return False


ROWS = [route for route in ROUTES if "{path}" in route.shape and "{repo}" in route.shape and "GET" in route.methods]


def encoded(draw, text, *, slashes):
    """`text` in one of its legal spellings: any character may be escaped, in either case of digits; some must be."""
    out = []
    for char in text:
        must = not (char.isascii() and (char.isalnum() or char in "-._~!$&'()*,:@=+")) and not (char == "/" and slashes)
        if must or draw(st.integers(0, 5)) == 0:
            form = draw(st.sampled_from(["%{:02X}", "%{:02x}"]))
            out.append("".join(form.format(byte) for byte in char.encode()))
        else:
            out.append(char)
    return "".join(out)


@fuzz
@given(st.sampled_from(ROWS), st.sampled_from(list(RepoType)), NAMES, NAMES | st.none(), REFS, PATHS, st.data())
def test_every_legal_spelling_is_one_request_or_refused(route, kind, org, name, ref, path, data):
    """However a client escapes: the same (type, repo, revision, path), or a refusal. Never another file."""
    repo_id = f"{org}/{name}" if name else org
    commit = SHA if "{commit}" in route.shape else ref

    def spell(*, plainly):
        write = (lambda text, slashes: quote(text, safe="/" if slashes else "")) if plainly else (
            lambda text, slashes: encoded(data.draw, text, slashes=slashes)
        )  # fmt: skip
        parts = {
            "{prefix}": kind.prefix, "{type}": kind.api, "{commit}": SHA, "{rev}": write(ref, False),
            "{repo}": "/".join(write(part, False) for part in repo_id.split("/")), "{path}": write(path, True),
        }  # fmt: skip
        target = route.shape
        for place, text in parts.items():
            target = target.replace(place, text)
        return target

    first, second = read(spell(plainly=True)), read(spell(plainly=False))
    for request in (first, second):
        if request is not None:
            assert_nothing_unsafe(request)
    if first is not None and second is not None:
        assert first == second
    found = first or second
    if found is not None and found.kind is route.kind and org not in {"datasets", "spaces"}:
        expected_type = kind if "{prefix}" in route.shape or "{type}" in route.shape else RepoType.MODEL
        meant = HubRequest(route.kind, Repo("hub", expected_type, repo_id), "" if commit == "HEAD" else commit, path)
        if "{rev}" not in route.shape and "{commit}" not in route.shape:
            meant = replace(meant, ref="")
        assert found == meant


@fuzz
@given(TARGETS, METHODS)
def test_what_is_read_is_what_any_other_reader_would_read(target, method):
    """A path that a laxer reader (decode until nothing changes, resolve dots, merge slashes, turn backslashes) would take
    for another one is refused: nobody behind or before the gateway sees a different file."""
    request = read(target, method)
    assume(request is not None and request.kind is not RequestKind.WRITE)
    raw = target.partition("?")[0]
    lax = raw
    while (once := unquote(lax)) != lax:
        lax = once
    assert lax == unquote(raw)
    parts = lax.replace("\\", "/").split("/")
    assert not {".", ".."} & set(parts)
    assert "" not in parts[1:-1]
    assert not UNSAFE.search(lax)
    if request.repo is not None:
        assert f"/{request.repo.id}" in lax, "the repo stands there letter by letter"
    if request.path and request.kind is not RequestKind.SEARCH:
        assert lax.endswith(request.path)


@fuzz
@given(TARGETS)
def test_head_and_get_ask_the_same(target):
    """P2: whatever opens one opens the other, and nothing else."""
    assert read(target, "HEAD") == read(target, "GET")


def bare_name(field):
    return field[0].removesuffix("[]")


FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "blobs",
                "expand",
                "expand[]",
                "securityStatus",
                "recursive",
                "limit",
                "cursor",
                "search",
                "filter",
                "author",
                "p",
                "download",
                "include_prs",
                "service",
                "full",
                "sort",
                "unknown",
            ]
        ),
        st.sampled_from(
            ["true", "false", "1", "", "x", "formatted", "siblings,cardData", "git-upload-pack", "9999999999", "%2e"]
        ),
    ),
    max_size=5,
    unique_by=bare_name,
)


@fuzz
@given(targets_of_routes(), FIELDS, st.randoms(use_true_random=False))
def test_the_order_of_fields_and_fields_that_nobody_knows_change_nothing(target, fields, random):
    path = target.partition("?")[0]
    written = [f"{name}={value}" for name, value in fields]
    plain = read(f"{path}?{'&'.join(written)}")
    random.shuffle(written)
    shuffled = read(f"{path}?{'&'.join([*written, 'nobody-knows=this', ''])}")
    assert shuffled == plain


def test_every_kind_has_a_spelling_here():
    """A kind that is added must be spelt above, else what is proven of it is nothing."""
    query = {"operation": ("download",), "objects": ("a:1",)}
    made = [HubRequest(kind, Repo("hub", RepoType.MODEL, "org/name"), "main", "path", query) for kind in RequestKind]
    assert [request.kind for request in made if spelt(request) is None] == [RequestKind.OBJECT]
