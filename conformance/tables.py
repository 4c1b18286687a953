"""A Parquet file with rows, byte by byte: plain, uncompressed, one row group (Apache Parquet; Thrift compact protocol)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

_I32, _I64, _TEXT, _LIST, _STRUCT = 5, 6, 8, 9, 12
_INT64, _BYTE_ARRAY = 2, 6  # physical types
_PLAIN, _RLE = 0, 3


def parquet(columns: Mapping[str, Sequence[int] | Sequence[str]]) -> bytes:
    """A file of required int64 and UTF-8 columns of one length."""
    out = bytearray(b"PAR1")
    chunks = []
    rows = len(next(iter(columns.values())))
    for name, values in columns.items():
        chunks.append((_STRUCT, _chunk(name, values, out)))
    schema: list[Any] = [(_STRUCT, {4: (_TEXT, "schema"), 5: (_I32, len(columns))})]
    for name, values in columns.items():
        leaf: dict[int, Any] = {1: (_I32, _type(values)), 3: (_I32, 0), 4: (_TEXT, name)}
        schema.append((_STRUCT, leaf | ({6: (_I32, 0)} if _type(values) == _BYTE_ARRAY else {})))
    group = {1: (_LIST, chunks), 2: (_I64, len(out) - 4), 3: (_I64, rows)}
    footer = _struct({1: (_I32, 1), 2: (_LIST, schema), 3: (_I64, rows), 4: (_LIST, [(_STRUCT, group)])})
    return bytes(out) + footer + struct.pack("<I", len(footer)) + b"PAR1"


def _type(values: Sequence[Any]) -> int:
    return _INT64 if isinstance(values[0], int) else _BYTE_ARRAY


def _chunk(name: str, values: Sequence[Any], out: bytearray) -> dict[int, Any]:
    """Append the one page of a column and return what the footer says of it."""
    if _type(values) == _INT64:
        data = struct.pack(f"<{len(values)}q", *values)
    else:
        data = b"".join(struct.pack("<I", len(v.encode())) + v.encode() for v in values)
    page = {1: (_I32, len(values)), 2: (_I32, _PLAIN), 3: (_I32, _RLE), 4: (_I32, _RLE)}
    head = _struct({1: (_I32, 0), 2: (_I32, len(data)), 3: (_I32, len(data)), 5: (_STRUCT, page)})
    at = len(out)
    out += head + data
    meta = {
        1: (_I32, _type(values)), 2: (_LIST, [(_I32, _PLAIN), (_I32, _RLE)]), 3: (_LIST, [(_TEXT, name)]), 4: (_I32, 0),
        5: (_I64, len(values)), 6: (_I64, len(out) - at), 7: (_I64, len(out) - at), 9: (_I64, at),
    }  # fmt: skip
    return {2: (_I64, at), 3: (_STRUCT, meta)}


def _struct(fields: Mapping[int, tuple[int, Any]]) -> bytes:
    out, last = bytearray(), 0
    for number, (kind, value) in fields.items():
        out.append((number - last) << 4 | kind)
        out += _value(kind, value)
        last = number
    return bytes(out) + b"\0"


def _value(kind: int, value: Any) -> bytes:
    if kind == _STRUCT:
        return _struct(value)
    if kind == _TEXT:
        return _varint(len(value.encode())) + bytes(value.encode())
    if kind == _LIST:
        head = bytes([len(value) << 4 | value[0][0]]) if len(value) < 15 else b""
        return head + b"".join(_value(*item) for item in value)
    return _varint(value << 1 ^ value >> 63)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
