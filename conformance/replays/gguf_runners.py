"""llama.cpp, before and since March 2026, and Ollama (hub-protocol §4.2, §7.3)."""

from __future__ import annotations

from typing import Any

from conformance.replays.needs import (
    HEX_ETAG,
    REFUSED_FILE,
    REFUSED_JSON,
    REFUSED_TEXT,
    WAITS,
    Known,
    Need,
    digest,
    header,
    holds,
    own_address,
    size,
    status,
    stays,
)
from conformance.replays.python_servers import LEADS_AWAY
from conformance.replays.replay import ALLOWED, FILE_DENIED, PENDING, REPO_DENIED, Ask, Learn, Replay
from conformance.replays.wire import Reply

LLAMA = {"User-Agent": "llama-cpp/b11434", "Accept": "application/json"}
LLAMA_FILE = {"User-Agent": "llama-cpp/b11434"}
OLD = {"User-Agent": "llama-cpp", "Accept": "application/json"}
OLLAMA = {
    "User-Agent": "ollama/0.30.0 (amd64 linux) Go/go1.25.1",
    "Accept": "application/vnd.docker.distribution.manifest.v2+json",
}
BARE = {"User-Agent": OLLAMA["User-Agent"]}
MODEL = "application/vnd.ollama.image.model"


def _branch(refs: Any) -> Any:
    return next(branch for branch in refs["branches"] if branch["name"] == "main")


def _has_file(rows: Any, known: Known) -> bool:
    """Rows whose oid is no digest are dropped; pages after the first are not asked for."""
    row = next(row for row in rows if row["path"] == known["name"])
    oid = row.get("lfs", {}).get("oid") or row["oid"]
    return len(oid) in (40, 64) and int(row["size"]) >= 0 and row["type"] == "file"


def _commit(reply: Reply) -> str:
    return str(_branch(reply.json)["targetCommit"])


_REFS = Ask("the refs: which commit is main?", "GET", "/api/models/{repo}/refs", LLAMA,
            (status(200), holds("branch main with a commit", lambda v, _: len(_branch(v)["targetCommit"]) == 40)),
            {"commit": _commit})  # fmt: skip
_TREE = Ask("the list of files", "GET", "/api/models/{repo}/tree/{commit}?recursive=true", LLAMA,
            (status(200), holds("the file with its digest", _has_file)))  # fmt: skip
_FILE = "/{repo}/resolve/{commit}/{path}"
_HEAD = Ask("the file's headers", "HEAD", _FILE, LLAMA_FILE,
            (status(200), header("ETag", HEX_ETAG), size(), header("Accept-Ranges", "bytes"), LEADS_AWAY))  # fmt: skip
_RESUME = Ask("the rest after a break", "GET", _FILE, {**LLAMA_FILE, "Range": "bytes=100-"},
              (status(206), header("Content-Range", "bytes 100-[0-9]+/{size}"), stays()))  # fmt: skip
_GET = Ask("the file", "GET", _FILE, LLAMA_FILE, (status(200), digest(), stays()))

LLAMA_CPP = Replay("llama.cpp", "llama.cpp", "b11434", {
    ALLOWED: (_REFS, _TREE, _HEAD, _GET, _RESUME),
    REPO_DENIED: (Ask("the refs: the reason, in JSON", "GET", "/api/models/{repo}/refs", LLAMA, REFUSED_JSON),),
    FILE_DENIED: (
        _REFS,
        Ask("the file's headers", "HEAD", _FILE, LLAMA_FILE, (status(200), header("ETag", HEX_ETAG))),
        Ask("the file: its status is shown", "GET", _FILE, LLAMA_FILE, REFUSED_FILE),
    ),
    PENDING: (
        _REFS, _TREE, _HEAD,
        Ask("the rest: when to ask again", "GET", _FILE, {**LLAMA_FILE, "Range": "bytes=4-"}, WAITS),
    ),
})  # fmt: skip


def _in_layer(kind: str, key: str) -> Learn:
    def learn(reply: Reply) -> str:
        rows = [reply.json["config"], *reply.json["layers"]]
        return str(next(row[key] for row in rows if row["mediaType"] == kind))

    return learn


def _is_manifest(value: Any, known: Known) -> bool:
    rows = [value["config"], *value["layers"]]
    model = next(row for row in rows if row["mediaType"] == MODEL)
    return model["digest"] == f"sha256:{known['sha256']}" and all(
        row["digest"].startswith("sha256:") and len(row["digest"]) == 71 and row["size"] >= 0 for row in rows
    )


_MANIFEST = "/v2/{repo}/manifests/{tag}"
_OLD_FILE = "/{repo}/resolve/main/{rfilename}"
OLD_LLAMA_CPP = Replay("llama.cpp-old", "llama.cpp", "before March 2026", {
    ALLOWED: (
        Ask("the manifest names the file", "GET", _MANIFEST, OLD,
            (status(200), holds("`ggufFile.rfilename`", lambda v, k: v["ggufFile"]["rfilename"] == k["name"])),
            {"rfilename": lambda reply: str(reply.json["ggufFile"]["rfilename"])}),
        Ask("the file's headers", "HEAD", _OLD_FILE, OLD, (status(200), header("ETag", HEX_ETAG), size(), LEADS_AWAY)),
        Ask("the file", "GET", _OLD_FILE, OLD, (status(200), digest(), stays())),
    ),
    REPO_DENIED: (Ask("the manifest: the reason, in text", "GET", _MANIFEST, OLD, REFUSED_TEXT),),
    FILE_DENIED: (Ask("the manifest: the reason, in text", "GET", _MANIFEST, OLD, REFUSED_TEXT),),
    PENDING: (Ask("the manifest: when to ask again", "GET", _MANIFEST, OLD, WAITS),),
})  # fmt: skip

_BLOB = "/v2/{repo}/blobs/{digest}"
_LEADS = Need(
    "status 307, or 200 with a Location",
    lambda r, _: "" if r.status in (200, 307) and r.headers.get("location") else f"status {r.status}, no Location",
)


def _place(reply: Reply) -> str:
    return reply.headers["location"]


def _layers() -> tuple[Ask, ...]:
    """Each small layer whole, by its digest; the model last, in ranges."""
    config = "application/vnd.docker.container.image.v1+json"
    learns = {"config": _in_layer(config, "digest"), "digest": _in_layer(MODEL, "digest")}
    return (
        Ask("the manifest", "GET", _MANIFEST, OLLAMA, (status(200), holds("the model's digest", _is_manifest)), learns),
        Ask("the size of the config", "HEAD", "/v2/{repo}/blobs/{config}", BARE,
            (status(200), header("Content-Length", "[1-9][0-9]*"))),
        Ask("the config", "GET", "/v2/{repo}/blobs/{config}", BARE,
            (status(200), holds("a JSON object", lambda v, _: isinstance(v, dict)))),
        Ask("the size of the model", "HEAD", _BLOB, BARE, (status(200), header("Content-Length", "{size}"))),
        Ask("where the model is: an address on the same host", "GET", _BLOB, BARE,
            (_LEADS, own_address("Location")), {"place": _place}, same_host=True),
        Ask("the model in 16 ranges at once, without Authorization", "GET", "{place}", BARE,
            (status(206), digest()), parts=16),
    )  # fmt: skip


OLLAMA_PULL = Replay("ollama", "Ollama", "0.30", {
    ALLOWED: _layers(),
    REPO_DENIED: (Ask("the manifest: the reason, in text", "GET", _MANIFEST, OLLAMA, REFUSED_TEXT),),
    FILE_DENIED: (Ask("the manifest: the reason, in text", "GET", _MANIFEST, OLLAMA, REFUSED_TEXT),),
    PENDING: (Ask("the manifest: when to ask again", "GET", _MANIFEST, OLLAMA, WAITS),),
})  # fmt: skip
