"""A single numpy array (.npy): header, then numbers; an object array holds a pickle and is not judged here.

Source: numpy's format description NEP 1, versions 1.0-3.0.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from typing import Any

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.reader import Inspection, Reader

MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 10_000  # numpy's own max_header_size
_ITEM = re.compile(r"[<>|=]?(?:([?bB])(1?)|([iufcSUV])(\d{1,9})|[mM](8)(?:\[\w{1,20}\])?)\Z", re.ASCII)
_MAX_FIELDS = 1000


def inspect(reader: Reader, _path: str) -> Inspection:
    """Complete for arrays of plain numbers, text, times, or records of those, of exactly the promised length."""
    header = _header(reader)
    if header is None:
        finding = Finding("numpy.malformed", FindingClass.AMBIGUITY, Severity.HIGH, "the array header is broken")
        return Inspection("numpy", Coverage(Surface.PARTIAL, False, "malformed"), (finding,))
    start, descr, shape = header
    item_bytes = _item_bytes(descr)
    if item_bytes is None:
        return Inspection("numpy", Coverage(Surface.NOT_RUN, False, "unsupported-format"))
    if start + item_bytes * math.prod(shape) != reader.size:
        message = "the array is not as long as its header says"
        finding = Finding("numpy.size", FindingClass.AMBIGUITY, Severity.HIGH, message)
        return Inspection("numpy", Coverage(Surface.PARTIAL, False, "malformed"), (finding,))
    return Inspection("numpy", Coverage(Surface.COMPLETE, False))


def data_offset(reader: Reader) -> int:
    """Where the data of an array begins: at the pickle, for an object array. A broken header ends with the file."""
    fixed = reader.read(0, 12)
    if len(fixed) < 12:
        return reader.size
    layout, width = ("<H", 2) if fixed[6] == 1 else ("<I", 4)
    (length,) = struct.unpack_from(layout, fixed, 8)
    return int(8 + width + length)


def carries_objects(reader: Reader) -> bool:
    """May the data of this array be a pickle? A header that is not understood says yes."""
    header = _header(reader)
    return header is None or _item_bytes(header[1]) is None


def _header(reader: Reader) -> tuple[int, Any, tuple[int, ...]] | None:
    fixed = reader.read(0, 12)
    if len(fixed) < 12 or fixed[6] not in {1, 2, 3} or fixed[7] != 0:
        return None
    layout, width = ("<H", 2) if fixed[6] == 1 else ("<I", 4)
    (length,) = struct.unpack_from(layout, fixed, 8)
    if length > _MAX_HEADER_BYTES:
        return None
    try:
        value = ast.literal_eval(reader.read(8 + width, length).decode("utf-8").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    if not isinstance(value, dict) or set(value) != {"descr", "fortran_order", "shape"}:
        return None
    shape = value["shape"]
    if not isinstance(shape, tuple) or len(shape) > 64 or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape):
        return None
    return 8 + width + length, value["descr"], shape


def _item_bytes(descr: Any, depth: int = 0) -> int | None:
    """The size of one item; None for what is not made of plain values alone, such as objects."""
    if isinstance(descr, str):
        found = _ITEM.match(descr)
        if found is None:
            return None
        kind, digits = found.group(3), next((g for g in (found.group(4), found.group(5)) if g), "1")
        return int(digits) * (4 if kind == "U" else 1)
    if not isinstance(descr, list) or len(descr) > _MAX_FIELDS or depth > 4:
        return None
    total = 0
    for entry in descr:
        if not isinstance(entry, tuple) or not 2 <= len(entry) <= 3:
            return None
        size = _item_bytes(entry[1], depth + 1)
        repeat = entry[2] if len(entry) == 3 else ()
        if (
            size is None
            or not isinstance(repeat, tuple)
            or not all(type(n) is int and 0 <= n < 1 << 31 for n in repeat)
        ):
            return None
        total += size * math.prod(repeat)
    return total
