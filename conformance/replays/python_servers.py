"""vLLM, TGI and hf_transfer: huggingface_hub's calls, in the order of those programs (hub-protocol §4.2)."""

from __future__ import annotations

from typing import Any

from conformance.replays.needs import (
    HEX_ETAG,
    REFUSED_FILE,
    SHA1,
    WAITS,
    Known,
    digest,
    header,
    holds,
    lacks,
    size,
    status,
    stays,
)
from conformance.replays.replay import ALLOWED, FILE_DENIED, PENDING, REPO_DENIED, Ask, Replay, of_header, of_json

HUB = {"User-Agent": "unknown/None; hf_hub/1.33.0; python/3.12.11", "X-Amzn-Trace-Id": "0f0e0d0c"}
PLAIN = {**HUB, "Accept-Encoding": "identity"}
LEADS_AWAY = lacks("Location", "Link", "X-Xet-Hash", "X-Xet-Refresh-Route", "Alt-Svc")
TEN_MIB = 10 << 20


def _lists_file(rows: Any, known: Known) -> bool:
    row = next(row for row in rows if row["path"] == known["name"])
    same = not known["sha256"] or row["lfs"]["oid"] == known["sha256"]
    return same and row["type"] == "file" and len(row["oid"]) == 40 and isinstance(row["size"], int)


def _lists_something(rows: Any, _: Known) -> bool:
    return any(row["type"] == "file" and row["path"] for row in rows)


def _names_file(info: Any, known: Known) -> bool:
    return any(sibling["rfilename"] == known["name"] for sibling in info["siblings"])


IS_INFO = holds("`id` and `sha`", lambda info, _: bool(info["id"]) and len(info["sha"]) == 40)
REVISION = Ask(
    "the revision's facts", "GET", "/api/models/{repo}/revision/{revision}", HUB, (status(200), IS_INFO),
    {"commit": of_json("sha")},
)  # fmt: skip
TREE = "/api/models/{repo}/tree/{commit}?recursive=true&expand=false"
HEAD = Ask(
    "the file's headers", "HEAD", "/{repo}/resolve/{commit}/{path}", PLAIN,
    (status(200), header("X-Repo-Commit", "{commit}"), header("ETag", HEX_ETAG), size(), LEADS_AWAY, stays()),
)  # fmt: skip
HEAD_OF_REFUSED = Ask(
    "the file's headers: no trouble yet", "HEAD", "/{repo}/resolve/{commit}/{path}", PLAIN,
    (status(200), header("X-Repo-Commit", SHA1), header("ETag", HEX_ETAG), lacks("X-Error-Code")),
)  # fmt: skip
GET = Ask("the file", "GET", "/{repo}/resolve/{commit}/{path}", PLAIN, (status(200), digest(), LEADS_AWAY, stays()))
GET_REFUSED = Ask("the file: the reason", "GET", "/{repo}/resolve/{commit}/{path}", PLAIN, REFUSED_FILE)
RANGE_WAITS = Ask(
    "a part of the file: when to ask again", "GET", "/{repo}/resolve/{commit}/{path}",
    {**PLAIN, "Range": "bytes=4-"}, WAITS,
)  # fmt: skip
FILES = Ask("the list of files", "GET", TREE, HUB, (status(200), holds("the file", _lists_file)))
SOME_FILES = Ask("the list of files is not empty", "GET", TREE, HUB, (status(200), holds("a file", _lists_something)))

VLLM = Replay("vllm", "vLLM", "0.33.0", {
    ALLOWED: (
        REVISION,
        FILES,
        Ask("the folder, by HfFileSystem.ls", "GET", "/api/models/{repo}/tree/{commit}?recursive=false&expand=false",
            HUB, (status(200), holds("a file", _lists_something))),
        HEAD,
        Ask("the head of the weights (safetensors)", "GET", "/{repo}/resolve/{commit}/{path}",
            {**PLAIN, "Range": "bytes=0-100000"},
            (status(206), header("Content-Range", "bytes 0-[0-9]+/{size}"), stays())),
        GET,
    ),
    REPO_DENIED: (REVISION, SOME_FILES, HEAD_OF_REFUSED, GET_REFUSED),
    FILE_DENIED: (REVISION, SOME_FILES, HEAD_OF_REFUSED, GET_REFUSED),
    PENDING: (REVISION, FILES, HEAD, RANGE_WAITS),
})  # fmt: skip

_INFO = "/api/models/{repo}/revision/{revision}"
TGI = Replay("tgi", "text-generation-inference", "3.3", {
    ALLOWED: (
        Ask("the router's info (hf-hub)", "GET", _INFO, {"User-Agent": "unkown/None; hf-hub/0.4.2; rust/unknown"},
            (status(200), holds("the file among `siblings`", _names_file), IS_INFO), {"commit": of_json("sha")}),
        Ask("the server's info (huggingface_hub)", "GET", _INFO, HUB,
            (status(200), holds("the file among `siblings`", _names_file))),
        HEAD,
        GET,
    ),
    REPO_DENIED: (REVISION, HEAD_OF_REFUSED, GET_REFUSED),
    FILE_DENIED: (REVISION, HEAD_OF_REFUSED, GET_REFUSED),
    PENDING: (REVISION, HEAD, RANGE_WAITS),
})  # fmt: skip

TRANSFER = {"User-Agent": HUB["User-Agent"], "Accept": "*/*"}
_FIRST_BYTE = Ask(
    "one byte: how long is the file?", "GET", "/{repo}/resolve/{commit}/{path}", {**TRANSFER, "Range": "bytes=0-0"},
    (status(206), header("Content-Range", "bytes 0-0/{size}"), LEADS_AWAY, stays()),
)  # fmt: skip
HF_TRANSFER = Replay("hf-transfer", "hf_transfer", "0.1.9", {
    ALLOWED: (
        Ask("the file's headers", "HEAD", "/{repo}/resolve/main/{path}", PLAIN,
            (status(200), header("X-Repo-Commit", SHA1), header("ETag", HEX_ETAG), size(), LEADS_AWAY),
            {"commit": of_header("X-Repo-Commit")}),
        _FIRST_BYTE,
        Ask("the file in ranges of 10 MiB, all at once", "GET", "/{repo}/resolve/{commit}/{path}", TRANSFER,
            (status(206), digest(), stays()), part_bytes=TEN_MIB),
    ),
    FILE_DENIED: (
        REVISION, HEAD_OF_REFUSED,
        Ask("one byte: refused", "GET", "/{repo}/resolve/{commit}/{path}", {**TRANSFER, "Range": "bytes=0-0"},
            REFUSED_FILE),
    ),
    PENDING: (REVISION, HEAD, RANGE_WAITS),
})  # fmt: skip
