"""safetensors: 8 bytes of header length, a JSON header, then tensors that cover the rest exactly.

Source: the safetensors format description and its reference reader: header at most 100 MB, begins with `{`, no
duplicate keys, offsets contiguous from 0 to the end of the file.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.reader import Inspection, Reader

MAX_HEADER_BYTES = 100_000_000
_DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip
_MAX_NAME_CHARS = 1024
_MAX_DIMENSIONS = 64


class _Broken(Exception):
    """Why the header is not one that every reader understands."""


def looks_like(head: bytes, size: int) -> bool:
    """Does a file of `size` bytes that starts with `head` have the frame of safetensors?"""
    if len(head) < 9 or head[8:9] != b"{":
        return False
    (length,) = struct.unpack_from("<Q", head)
    return bool(2 <= length <= max(MAX_HEADER_BYTES, size))


def inspect(reader: Reader, _path: str) -> Inspection:
    """Check the whole header; tensor data stays unread."""
    try:
        _check(reader)
    except _Broken as error:
        finding = Finding("safetensors.malformed", FindingClass.AMBIGUITY, Severity.HIGH, str(error))
        return Inspection("safetensors", Coverage(Surface.PARTIAL, False, "malformed"), (finding,))
    return Inspection("safetensors", Coverage(Surface.COMPLETE, False))


def _check(reader: Reader) -> None:
    (length,) = struct.unpack("<Q", reader.read(0, 8).ljust(8, b"\0"))
    if not 2 <= length <= MAX_HEADER_BYTES or 8 + length > reader.size:
        raise _Broken("the header's length is past 100 MB or past the end of the file")
    raw = reader.read(8, length)
    if raw[:1] != b"{":
        raise _Broken("the header does not begin with {")
    header = _parse(raw)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _Broken("__metadata__ is no map of text to text")
    spans = sorted(_tensor_span(name, tensor) for name, tensor in header.items())
    at = 0
    for start, end in spans:
        if start != at:
            raise _Broken("tensors overlap or leave a hole")
        at = end
    if 8 + length + at != reader.size:
        raise _Broken("the tensors do not end where the file ends")


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_number,
            parse_float=_refuse_number,
            parse_int=_small_int,
        )
    except RecursionError:
        raise _Broken("the header is nested without end") from None
    except ValueError:
        raise _Broken("the header is no JSON") from None
    if not isinstance(value, dict):
        raise _Broken("the header is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Broken("the header names one key twice")
    return result


def _refuse_number(_text: str) -> Any:
    raise _Broken("the header holds a number that is no integer")


def _small_int(text: str) -> int:
    if len(text) > 20 or text.startswith("-"):
        raise _Broken("the header holds an absurd integer")
    return int(text)


def _tensor_span(name: str, tensor: Any) -> tuple[int, int]:
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"} or len(name) > _MAX_NAME_CHARS:
        raise _Broken("a tensor is not described by dtype, shape and data_offsets")
    bits = _DTYPE_BITS.get(tensor["dtype"]) if isinstance(tensor["dtype"], str) else None
    shape, offsets = tensor["shape"], tensor["data_offsets"]
    if bits is None or not _integers(shape) or not _integers(offsets) or len(offsets) != 2:
        raise _Broken("a tensor has an unknown dtype or a shape that is no list of integers")
    if len(shape) > _MAX_DIMENSIONS:
        raise _Broken("a tensor has too many dimensions")
    count = 1
    for dimension in shape:
        count *= dimension
        if count > 1 << 63:
            raise _Broken("a tensor's shape overflows")
    if offsets[0] > offsets[1] or (offsets[1] - offsets[0]) * 8 != count * bits:
        raise _Broken("a tensor's offsets do not fit its shape")
    return offsets[0], offsets[1]


def _integers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)
