"""The `/v2/` registry of GGUF files, which Ollama and llama.cpp before March 2026 speak (hub-protocol §7.3).

What the hub says is read strictly and told anew: known keys only, so that neither a foreign address nor a field that
is invented tomorrow gets through. Format: Docker image manifest v2, schema 2; OCI image manifest 1.1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.domain.artifact import Artifact, FileEntry, Repo
from gateway.domain.errors import UpstreamUnavailable
from gateway.domain.explaining import UNEXPLAINED, Explaining
from gateway.domain.objects import Layer, Manifest
from gateway.domain.outcome import Refusal
from gateway.domain.request import HubRequest
from gateway.hubs.huggingface.files import INERT
from gateway.hubs.huggingface.limits import malformed
from gateway.hubs.huggingface.plain import plainly, text_answer
from gateway.ports import Rendering

MANIFEST_BYTES: Final = 1 << 20
MAX_LAYERS: Final = 64
TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
DIGEST: Final = r"sha256:(?P<path>[0-9a-f]{64})"
MANIFEST_TYPES: Final = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
_OLLAMA: Final = "application/vnd.ollama.image."
MODEL, PROJECTOR = f"{_OLLAMA}model", f"{_OLLAMA}projector"
# Small layers that the hub makes itself, and the names by which the scanners are told what they claim to be.
NAMES: Final[Mapping[str, str]] = {
    "application/vnd.docker.container.image.v1+json": "v2/config.json",
    "application/vnd.oci.image.config.v1+json": "v2/config.json",
    f"{_OLLAMA}params": "v2/params.json",
    f"{_OLLAMA}messages": "v2/messages.json",
    f"{_OLLAMA}template": "v2/template.txt",
    f"{_OLLAMA}system": "v2/system.txt",
    f"{_OLLAMA}prompt": "v2/prompt.txt",
    f"{_OLLAMA}license": "v2/license.txt",
}
_MEDIA_TYPE: Final = re.compile(r"application/[a-z0-9][a-z0-9.+_-]{0,99}")
_SHA256: Final = re.compile(r"sha256:([0-9a-f]{64})")
_POINTER_BYTES: Final = 134


def manifest_of(value: Any) -> Manifest:
    """The hub's manifest, every field checked. Raises UpstreamUnavailable (`upstream/malformed`)."""
    if not isinstance(value, dict) or value.get("schemaVersion") != 2:
        raise malformed("The hub's manifest is none of version 2.")
    media_type, layers = value.get("mediaType", MANIFEST_TYPES[0]), value.get("layers")
    if media_type not in MANIFEST_TYPES or not isinstance(layers, list) or not 0 < len(layers) <= MAX_LAYERS:
        raise malformed("The hub's manifest has an unknown type, or no list of layers.")
    return Manifest(str(media_type), _layer(value.get("config")), tuple(map(_layer, layers)))


def _layer(value: Any) -> Layer:
    row = value if isinstance(value, dict) else {}
    digest, media_type, size = row.get("digest"), row.get("mediaType"), row.get("size")
    found = _SHA256.fullmatch(digest) if isinstance(digest, str) else None
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 53:
        raise malformed("The hub's manifest holds a layer without a valid size.")
    if found is None or not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
        raise malformed("The hub's manifest holds a layer without a valid digest or type.")
    return Layer(found[1], size, media_type, NAMES.get(media_type, ""))


def is_made_by_hub(entry: FileEntry) -> bool:
    """Do the bytes lie in no revision, but in the registry alone?"""
    return entry.git_oid == ""


def blob_path(repo: Repo, sha256: str) -> str:
    """Where a layer is had, at the hub and here alike."""
    return f"/v2/{repo.id}/blobs/sha256:{sha256}"


def unknown_tag(error: UpstreamUnavailable) -> bool:
    """Does the hub say, by a status of its own choice (400), that it has no manifest to give?"""
    return error.code == "upstream/unexpected-status"


def manifest_answer(manifest: Manifest, files: Mapping[str, FileEntry], *, names_files: bool) -> Rendering:
    """The manifest in our own words. `files` by sha256 are those of the revision; `names_files` tells llama.cpp, which
    fetches by name (`ggufFile`, `mmprojFile`)."""
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": manifest.media_type,
        "config": _row(manifest.config),
        "layers": [_row(layer) for layer in manifest.layers],
    }
    for key, media_type in (("ggufFile", MODEL), ("mmprojFile", PROJECTOR)) if names_files else ():
        entry = next((files[la.sha256] for la in manifest.layers if la.media_type == media_type), None)
        if entry is not None:
            value[key] = _file(entry)
    body = orjson.dumps(value)
    digest = ("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
    return Rendering(200, (("Content-Type", manifest.media_type), digest, *INERT), body)


def _row(layer: Layer) -> dict[str, Any]:
    return {"mediaType": layer.media_type, "digest": f"sha256:{layer.sha256}", "size": layer.size_bytes}


def _file(entry: FileEntry) -> dict[str, Any]:
    lfs = {"sha256": entry.sha256, "size": entry.size_bytes, "pointerSize": _POINTER_BYTES}
    return {"rfilename": entry.path, "blobId": entry.git_oid, "size": entry.size_bytes, "lfs": lfs}


def blob_headers(public_url: str, artifact: Artifact, sha256: str) -> Rendering:
    """Status 200 and the headers of an allowed layer. `Location` names this very address: Ollama fails without one,
    and then reads it in ranges (the one answer of 200 that has it, hub-protocol §7.3)."""
    headers = (
        ("ETag", f'"{sha256}"'),
        ("Docker-Content-Digest", f"sha256:{sha256}"),
        ("Location", f"{public_url}{blob_path(artifact.repo, sha256)}"),
        ("Accept-Ranges", "bytes"),
        ("Content-Type", "application/octet-stream"),
        *INERT,
    )
    return Rendering(200, headers)


def ping() -> Rendering:
    """`GET /v2/`: this is a registry."""
    return Rendering(
        200, (("Content-Type", "application/json"), ("Docker-Distribution-Api-Version", "registry/2.0")), b"{}"
    )


def refusal(_request: HubRequest, refused: Refusal, explaining: Explaining = UNEXPLAINED) -> Rendering:
    """The refusal as Ollama prints it: `pull model manifest: 403: <the line>`."""
    return text_answer(plainly(refused, explaining))
