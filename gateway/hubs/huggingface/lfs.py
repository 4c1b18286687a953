"""git-lfs: its batch request and the words it prints (git-lfs `docs/api/batch.md`; hub-protocol §7.1).

git-lfs shows `message` of a JSON body, nothing else; a refusal at the object's own address is retried for more than a
minute without a word, so everything is refused here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

from gateway.domain.artifact import Artifact
from gateway.domain.errors import UnroutableRequest
from gateway.domain.explaining import UNEXPLAINED, Explaining
from gateway.domain.objects import JudgedObject
from gateway.domain.outcome import Pending, Refusal
from gateway.domain.request import HubRequest
from gateway.hubs.huggingface.names import check_ref
from gateway.hubs.huggingface.plain import Plain, plainly
from gateway.ports import Rendering

MAX_BODY_BYTES: Final = 256 * 1024
MAX_OBJECTS: Final = 1000
MAX_DEPTH: Final = 8
MEDIA_TYPE: Final = "application/vnd.git-lfs+json"
_OUTAGES: Final = ("pdp/", "ledger/", "store/")  # the gateway's own, whichever part
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MAX_SIZE: Final = 1 << 53

Fields = dict[str, tuple[str, ...]]


def read_batch(content_type: str, body: bytes) -> Fields:
    """The fields of a batch: `operation`, `ref` (absent for the default branch), and `objects` as `sha256:size`.

    Never raises: what cannot be read is one field `fault` with the reason, so that git-lfs is told in its own form.
    """
    try:
        return _read(content_type, body)
    except UnroutableRequest as error:
        return {"fault": (str(error),)}


def _read(content_type: str, body: bytes) -> Fields:
    if content_type.partition(";")[0].strip().lower() not in {MEDIA_TYPE, "application/json"}:
        raise UnroutableRequest(f"An LFS batch is sent as {MEDIA_TYPE}.")
    value = _object(body)
    operation = value.get("operation")
    if operation not in ("download", "upload"):
        raise UnroutableRequest("The operation of an LFS batch is `download` or `upload`.")
    if value.get("hash_algo", "sha256") != "sha256":
        raise UnroutableRequest("Objects are named by sha256 here: no other hash_algo is known.")
    transfers = value.get("transfers") or ["basic"]
    if not isinstance(transfers, list) or "basic" not in transfers:
        raise UnroutableRequest("The only transfer of this gateway is `basic`.")
    objects = value.get("objects")
    if not isinstance(objects, list) or not 0 < len(objects) <= MAX_OBJECTS:
        raise UnroutableRequest(f"An LFS batch holds between 1 and {MAX_OBJECTS} objects.")
    fields = {"operation": (operation,), "objects": tuple(dict.fromkeys(map(_named, objects)))}
    ref = _ref(value.get("ref"))
    return {**fields, "ref": (ref,)} if ref else fields


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object, strictly: one meaning, bounded in size and depth."""
    if len(body) > MAX_BODY_BYTES:
        raise UnroutableRequest(f"The batch is larger than {MAX_BODY_BYTES} bytes: ask for fewer objects at once.")
    try:
        value = orjson.loads(body)  # strict UTF-8, no NaN
        level = [value]
        for _ in range(MAX_DEPTH):
            level = [child for item in level for child in _children(item)]
        if level or not isinstance(value, dict):
            raise UnroutableRequest("The batch is no JSON object, or is nested too deeply.")
        json.loads(body, object_pairs_hook=_once)
    except orjson.JSONDecodeError:
        raise UnroutableRequest("The batch is not valid JSON.") from None
    return value


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise UnroutableRequest("The batch names a field twice.")


def _ref(ref: Any) -> str:
    """`ref.name` as a revision of the hub, which knows branches and tags by their bare names."""
    if ref is None:
        return ""
    name = ref.get("name") if isinstance(ref, dict) else None
    if not isinstance(name, str):
        raise UnroutableRequest("The ref of an LFS batch has a name.")
    return check_ref(name.removeprefix("refs/heads/").removeprefix("refs/tags/")) if name else ""


def _named(item: Any) -> str:
    oid, size = (item.get("oid"), item.get("size")) if isinstance(item, dict) else (None, None)
    is_size = isinstance(size, int) and not isinstance(size, bool) and 0 <= size < _MAX_SIZE
    if not isinstance(oid, str) or not _SHA256.fullmatch(oid) or not is_size:
        raise UnroutableRequest("An object of an LFS batch has an oid (sha256, 64 hex digits) and a size.")
    return f"{oid}:{size}"


def batch(public_url: str, objects: Sequence[JudgedObject], explaining: Explaining = UNEXPLAINED) -> Rendering:
    """The answer to a download: each object with its own address at this gateway, or with its own refusal."""
    rows = [_row(public_url, judged, explaining) for judged in objects]
    return _json(200, {"transfer": "basic", "hash_algo": "sha256", "objects": rows})


def _row(public_url: str, judged: JudgedObject, explaining: Explaining) -> dict[str, Any]:
    row: dict[str, Any] = {"oid": judged.sha256, "size": judged.size_bytes}
    if judged.artifact is not None:
        row["actions"] = {"download": {"href": href(public_url, judged.artifact)}}
    elif judged.refusal is not None:
        plain = plainly(judged.refusal, explaining)
        row["error"] = {"code": plain.status, "message": plain.line}
    return row


def href(public_url: str, artifact: Artifact) -> str:
    """Where a file is had here: at its commit, so that what was judged is what is asked for."""
    repo = artifact.repo
    return f"{public_url}/{repo.type.prefix}{repo.id}/resolve/{artifact.commit}/{quote(artifact.path, safe='/')}"


def refusal(_request: HubRequest, refused: Refusal, explaining: Explaining = UNEXPLAINED) -> Rendering:
    """The refusal of a whole batch, or of a route of git-lfs that is not served.

    git-lfs waits by itself on a 429, and shows none of its words in the end. That is right for what passes within its
    patience; an outage of the gateway is told at once, by the status whose words it prints (hub-protocol §2, §7.1).
    """
    plain = plainly(refused, explaining)
    if isinstance(refused, Pending) and refused.code.startswith(_OUTAGES):
        return _json(403, {"message": plain.line}, Plain(403, plain.line))
    return _json(plain.status, {"message": plain.line}, plain)


def _json(status: int, value: Any, plain: Plain | None = None) -> Rendering:
    headers = (*plain.headers, ("X-Error-Message", plain.line)) if plain is not None else ()
    return Rendering(status, (*headers, ("Content-Type", MEDIA_TYPE)), orjson.dumps(value))
