"""Rust's hf-hub (0.x, 1.x, and TEI which stands on it) and the JavaScript client (hub-protocol §4.2)."""

from __future__ import annotations

from conformance.replays.needs import (
    HEX_ETAG,
    REFUSED_FILE,
    REFUSED_JSON,
    SHA1,
    WAITS,
    Need,
    digest,
    header,
    holds,
    lacks,
    size,
    status,
    stays,
)
from conformance.replays.python_servers import LEADS_AWAY
from conformance.replays.replay import ALLOWED, FILE_DENIED, PENDING, REPO_DENIED, Ask, Replay, of_header

RUST = {"User-Agent": "unkown/None; hf-hub/0.4.2; rust/unknown"}
RUST_1 = {"User-Agent": "hf-hub/1.0.0; rust/1.90"}
XET = "application/vnd.xet-fileinfo+json"
JS = {"Accept": f"{XET}, */*", "User-Agent": "node"}
FILE = "/{repo}/resolve/main/{path}"

_RANGED = (
    status(206), header("Content-Range", "bytes 0-0/{size}"), header("ETag", HEX_ETAG), header("X-Repo-Commit", SHA1),
    LEADS_AWAY, stays(),
)  # fmt: skip
_METADATA = Ask("metadata, by one byte", "GET", FILE, {**RUST, "Range": "bytes=0-0"}, _RANGED)
_METADATA_REFUSED = Ask("metadata: the status is all that is shown", "GET", FILE, {**RUST, "Range": "bytes=0-0"},
                        REFUSED_FILE)  # fmt: skip
_METADATA_WAITS = Ask("metadata: when to ask again", "GET", FILE, {**RUST, "Range": "bytes=0-0"}, WAITS)
_WHOLE = Ask("the file, by an open range", "GET", FILE, {**RUST, "Range": "bytes=0-"},
             (status(206), header("Content-Range", "bytes 0-[0-9]+/{size}"), digest(), stays()))  # fmt: skip

HF_HUB_0 = Replay("hf-hub-0", "hf-hub (Rust)", "0.4", {
    ALLOWED: (_METADATA, _WHOLE),
    REPO_DENIED: (_METADATA_REFUSED,),
    FILE_DENIED: (_METADATA_REFUSED,),
    PENDING: (_METADATA_WAITS,),
})  # fmt: skip


def _optional(path: str) -> Ask:
    return Ask(f"{path}, which may be absent", "GET", f"/{{repo}}/resolve/main/{path}", {**RUST, "Range": "bytes=0-0"},
               (status(200, 206, 404, 416), stays()))  # fmt: skip


TEI = Replay("tei", "text-embeddings-inference", "1.8", {
    ALLOWED: (
        _optional("1_Pooling/config.json"), _optional("config_sentence_transformers.json"), _optional("config.json"),
        _optional("tokenizer.json"), _METADATA, _WHOLE,
    ),
    REPO_DENIED: (_METADATA_REFUSED,),
    FILE_DENIED: (_METADATA_REFUSED,),
    PENDING: (_METADATA_WAITS,),
})  # fmt: skip

_HEAD_1 = (
    status(200), header("X-Repo-Commit", SHA1), header("ETag", HEX_ETAG), size(), lacks("X-Xet-Hash", "Link", "Location"),
    stays(),
)  # fmt: skip
HF_HUB_1 = Replay("hf-hub-1", "hf-hub (Rust)", "1.0-rc", {
    ALLOWED: (
        Ask("metadata", "HEAD", FILE, RUST_1, _HEAD_1, {"etag": of_header("ETag"), "commit": of_header("X-Repo-Commit")}),
        Ask("the file", "GET", "/{repo}/resolve/{commit}/{path}", RUST_1, (status(200), digest(), LEADS_AWAY, stays())),
        Ask("again: not modified", "HEAD", FILE, {**RUST_1, "If-None-Match": "{etag}"},
            (Need("status 304", lambda r, _: "" if r.status == 304 else f"status {r.status}", of_gateway=True),)),
    ),
    REPO_DENIED: (
        Ask("metadata: no trouble yet", "HEAD", FILE, RUST_1,
            (status(200), header("X-Repo-Commit", SHA1), header("ETag", HEX_ETAG), lacks("X-Xet-Hash"))),
        Ask("the file: the reason", "GET", FILE, RUST_1, REFUSED_FILE),
    ),
    FILE_DENIED: (Ask("the file: the reason", "GET", FILE, RUST_1, REFUSED_FILE),),
    PENDING: (Ask("metadata", "HEAD", FILE, RUST_1, _HEAD_1),),
})  # fmt: skip

_NO_XET = Need(
    "no answer about Xet", lambda r, _: r.header("Content-Type") if XET in r.header("Content-Type") else "", of_gateway=True
)  # fmt: skip
JS_HUB = Replay("js-hub", "@huggingface/hub", "2.17", {
    ALLOWED: (
        Ask("file information, by one byte", "GET", FILE, {**JS, "Range": "bytes=0-0"},
            (status(206), header("Content-Range", "bytes 0-0/{size}"), header("ETag", r'(?:W/)?"[0-9a-f]{40,64}"'),
             _NO_XET, LEADS_AWAY, stays())),
        Ask("the file", "GET", FILE, {"User-Agent": "node"}, (status(200), digest(), stays())),
    ),
    REPO_DENIED: (
        Ask("file information: the reason, in JSON", "GET", FILE, {**JS, "Range": "bytes=0-0"},
            (*REFUSED_JSON, header("Content-Type", r"application/json.*"))),
    ),
    FILE_DENIED: (
        Ask("file information: the reason, in JSON", "GET", FILE, {**JS, "Range": "bytes=0-0"},
            (*REFUSED_JSON, header("Content-Type", r"application/json.*"))),
    ),
    PENDING: (
        Ask("file information: when to ask again", "GET", FILE, {**JS, "Range": "bytes=0-0"},
            (*WAITS, holds("a JSON `error`", lambda value, _: bool(value["error"])))),
    ),
})  # fmt: skip
