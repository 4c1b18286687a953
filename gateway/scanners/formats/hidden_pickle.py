"""Pickles inside containers that are not judged: compressed files, generic zips, numpy object arrays.

Such a container stays `not_run`; but where the pickle in it is seen to act, that is told, so no profile lets it pass.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable

from gateway.domain.evidence import Finding
from gateway.scanners.budget import INFLATE_LEVELS, InflateBudget, InflateBudgetExceeded
from gateway.scanners.detect import acts_as_pickle
from gateway.scanners.formats.numpy_array import MAGIC, data_offset
from gateway.scanners.formats.pickle import examine
from gateway.scanners.formats.pickle_machine import OpcodeBudget
from gateway.scanners.formats.zip_container import ZipArchive, ZipFault
from gateway.scanners.reader import BytesReader

COMPRESSED = (b"\x1f\x8b", b"x\x01", b"x\x5e", b"x\x9c", b"x\xda", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00\x00")
LOOK_BYTES = 8 * 1024 * 1024
_MAX_MEMBERS = 1000
_MAX_OPCODES = 500_000
_LZMA_MEMORY_BYTES = 128 * 1024 * 1024

_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


def findings_in(data: bytes, where: str, levels: int = INFLATE_LEVELS) -> tuple[Finding, ...]:
    """What a pickle in `data` does, also behind compression (three levels) or an array header; () without one."""
    if data.startswith(MAGIC):
        data = data[data_offset(BytesReader(data)) :]
    reader = BytesReader(data)
    if data and acts_as_pickle(reader):
        return tuple(examine(reader, where, OpcodeBudget(_MAX_OPCODES), persistent_ids=False).findings)
    inflate = _decompressor(data)
    if inflate is None or not levels:
        return ()
    try:
        inner = inflate(data)
    except _BROKEN:
        return ()
    return findings_in(inner, where, levels - 1)


def findings_in_members(archive: ZipArchive) -> tuple[Finding, ...]:
    """The same for each small member of a zip."""
    budget = InflateBudget(total_bytes=8 * LOOK_BYTES)
    found: list[Finding] = []
    for member in archive.members[:_MAX_MEMBERS]:
        if member.is_directory or member.size_bytes > LOOK_BYTES:
            continue
        try:
            found += findings_in(archive.read(member, budget), member.name)
        except ZipFault as fault:
            found.append(fault.finding)
        except InflateBudgetExceeded:
            break
    return tuple(found)


def _decompressor(data: bytes) -> Callable[[bytes], bytes] | None:
    if data.startswith(b"\x1f\x8b"):
        return lambda raw: zlib.decompressobj(31).decompress(raw, LOOK_BYTES)
    if data[:1] == b"x" and data[1:2] in {b"\x01", b"\x5e", b"\x9c", b"\xda"}:
        return lambda raw: zlib.decompressobj().decompress(raw, LOOK_BYTES)
    if data.startswith(b"BZh"):
        return lambda raw: bz2.BZ2Decompressor().decompress(raw, LOOK_BYTES)
    if data.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        return lambda raw: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY_BYTES).decompress(raw, LOOK_BYTES)
    return None
