"""Parquet and Arrow: marks at both ends, the schema within bounds, and no extension type that unpickles.

Layouts after the Apache Parquet and Arrow columnar specifications. Column data is not read.
"""

from __future__ import annotations

import base64
import binascii
import re

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.reader import Inspection, Reader

_MAX_FOOTER_BYTES = 32 * 1024 * 1024
# pyarrow before 14.0.1 unpickled the metadata of this extension type on reading a schema (CVE-2023-47248).
_PICKLED_TYPE = re.compile(rb"arrow\.py_extension_type", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")


def _inspection(fmt: str, fault: str, schema: bytes) -> Inspection:
    if fault:
        finding = Finding(f"{fmt}.malformed", FindingClass.AMBIGUITY, Severity.HIGH, fault)
        return Inspection(fmt, Coverage(Surface.FAILED, whole_file=False, cause="content-mismatch"), (finding,))
    found: tuple[Finding, ...] = ()
    if _PICKLED_TYPE.search(schema) or any(_PICKLED_TYPE.search(_decoded(m.group())) for m in _BASE64.finditer(schema)):
        message = "a column type that some readers build by unpickling"
        found = (Finding(f"{fmt}.pickled-type", FindingClass.CODE_EXEC, Severity.CRITICAL, message),)
    return Inspection(fmt, Coverage(Surface.COMPLETE, whole_file=False), found)


def _decoded(text: bytes) -> bytes:
    """The bytes of a base64 run (pyarrow keeps the Arrow schema so); cut to whole groups, "" where it is none."""
    try:
        return base64.b64decode(text[: len(text) // 4 * 4])
    except binascii.Error:
        return b""


def _too_large(fmt: str) -> Inspection:
    return Inspection(fmt, Coverage(Surface.PARTIAL, whole_file=False, cause="too-large"))


def inspect_parquet(reader: Reader) -> Inspection:
    """Magic at both ends and a footer within the file; `complete` with whole_file False. Encrypted "
    "files are refused."""
    tail = reader.read(max(reader.size - 8, 0), 8)
    length = int.from_bytes(tail[:4], "little")
    if reader.size < 12 or reader.read(0, 4) != b"PAR1" or tail[4:] != b"PAR1":
        return _inspection("parquet", "a Parquet file without its marks at both ends", b"")
    if not 1 < length <= reader.size - 12:
        return _inspection("parquet", "a Parquet footer that is larger than the file", b"")
    if length > _MAX_FOOTER_BYTES:
        return _too_large("parquet")
    footer = reader.read(reader.size - 8 - length, length)
    # A thrift compact struct whose first field is the i32 `version`, and that ends with the stop byte.
    fault = "" if footer[:1] == b"\x15" and footer[-1:] == b"\0" else "a Parquet footer that is no file metadata"
    return _inspection("parquet", fault, footer)


def inspect_arrow(reader: Reader) -> Inspection:
    """Arrow file (footer within the file) or stream (schema message first); `complete` with whole_file False."""
    if reader.read(0, 8) == b"ARROW1\0\0":
        return _arrow_file(reader)
    head = reader.read(0, 8)
    length = int.from_bytes(head[4:], "little")
    if head[:4] != b"\xff\xff\xff\xff" or not 8 <= length <= reader.size - 8:
        return _inspection("arrow", "an Arrow stream without a schema", b"")
    if length > _MAX_FOOTER_BYTES:
        return _too_large("arrow")
    schema = reader.read(8, length)
    root = int.from_bytes(schema[:4], "little")
    if not 4 <= root < length:
        return _inspection("arrow", "an Arrow stream whose schema is no message", b"")
    following = reader.read(8 + length, 4)
    fault = "" if following in (b"", b"\xff\xff\xff\xff") else "an Arrow stream without a second message"
    return _inspection("arrow", fault, schema)


def _arrow_file(reader: Reader) -> Inspection:
    tail = reader.read(max(reader.size - 10, 0), 10)
    length = int.from_bytes(tail[:4], "little", signed=True)
    if tail[4:] != b"ARROW1" or not 4 <= length <= reader.size - 18:
        return _inspection("arrow", "an Arrow file without a footer", b"")
    first = int.from_bytes(reader.read(12, 4), "little")
    if max(length, first) > _MAX_FOOTER_BYTES:
        return _too_large("arrow")
    schema = reader.read(16, min(first, reader.size)) + reader.read(reader.size - 10 - length, length)
    return _inspection("arrow", "", schema)
