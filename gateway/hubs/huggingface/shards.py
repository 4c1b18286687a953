"""`/safetensors-metadata/`: which files an index names, and what their headers say. Pure.

Built from the very bytes that were judged, so that it agrees with what is served. Format: safetensors (8 bytes of
little-endian header length, then JSON) and the index of a sharded model (`weight_map`, `metadata`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.hubs.huggingface.encoding import is_routable_path
from gateway.hubs.huggingface.listing import json_answer
from gateway.ports import Rendering

LENGTH_BYTES: Final = 8
MAX_INDEX_BYTES: Final = 8 << 20
MAX_HEADER_BYTES: Final = 8 << 20
MAX_TOTAL_BYTES: Final = 16 << 20  # as objects it takes several times that
MAX_SHARDS: Final = 512
_INDEX_SUFFIX: Final = ".index.json"


class NoMetadata(ValueError):
    """The file is no safetensors file or index that could be read; one sentence why."""


def is_index(path: str) -> bool:
    """Is the file asked for an index of shards, by its name?"""
    return path.endswith(_INDEX_SUFFIX)


def read_index(path: str, data: bytes) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    """The shards of an index, as the name used in it -> the path in the repo, and the index's own metadata.

    Raises NoMetadata.
    """
    value = _loaded(data)
    weight_map = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise NoMetadata("the index has no weight_map of names")
    names = sorted(set(weight_map.values()))
    if len(names) > MAX_SHARDS:
        raise NoMetadata(f"the index names more than {MAX_SHARDS} files")
    if not all(is_routable_path(name) for name in names):
        raise NoMetadata("the index names a file that lies outside its folder")
    folder = posixpath.dirname(path)
    metadata = value.get("metadata")
    return {name: posixpath.join(folder, name) for name in names}, metadata if isinstance(metadata, dict) else {}


def header_length(head: bytes, size_bytes: int) -> int:
    """How long the header of a file of `size_bytes` is, from its first 8 bytes. Raises NoMetadata."""
    length = int.from_bytes(head, "little")
    if len(head) != LENGTH_BYTES or not 2 <= length <= MAX_HEADER_BYTES or LENGTH_BYTES + length > size_bytes:
        raise NoMetadata("a file has no safetensors header of a readable length")
    return length


def read_header(data: bytes) -> dict[str, Any]:
    """The header, cut to what the format has. Raises NoMetadata."""
    value = _loaded(data)
    if not isinstance(value, dict):
        raise NoMetadata("a safetensors header is no JSON object")
    return {name: _entry(name, item) for name, item in value.items()}


def _entry(name: str, item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise NoMetadata("a safetensors header holds something that is no tensor")
    if name == "__metadata__":
        return {key: text for key, text in item.items() if isinstance(text, str)}
    dtype, shape, place = (item.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or not _are_counts(shape) or not _are_counts(place):
        raise NoMetadata("a safetensors header holds a tensor without type, shape or place")
    return {"dtype": dtype, "shape": shape, "data_offsets": place}


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in value)


def metadata_answer(headers: Mapping[str, Any], index_metadata: Mapping[str, Any]) -> Rendering:
    """The JSON that clients read: `headers` by shard, and the index without its map."""
    return json_answer({"headers": dict(headers), "index": {"metadata": dict(index_metadata)}})


def _loaded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise NoMetadata("the file's JSON cannot be read") from None
