"""The end of a zip archive: end record and zip64 record must agree and close the file (APPNOTE 4.3.14-4.3.16)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from gateway.domain.evidence import Finding, FindingClass, Severity
from gateway.scanners.formats.printable import printable
from gateway.scanners.reader import Reader

_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")


class ZipFault(Exception):
    """The archive means different things to different readers; `finding` says where."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding

    @classmethod
    def of(cls, rule: str, message: str, name: str, kind: FindingClass, severity: Severity) -> ZipFault:
        return cls(Finding(rule, kind, severity, message, printable(name)))


def fault(rule: str, message: str, name: str = "") -> ZipFault:
    """An ambiguity to raise."""
    return ZipFault.of(rule, message, name, FindingClass.AMBIGUITY, Severity.HIGH)


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies and how many entries it has."""

    offset: int
    size_bytes: int
    count: int


def parse_directory_end(reader: Reader) -> Directory:
    """Read the end of the archive. Raises ZipFault unless there is exactly one way to read it."""
    at = reader.size - _END.size
    tail = reader.read(at, _END.size) if at >= 0 else b""
    if len(tail) != _END.size or tail[:4] != b"PK\x05\x06":
        raise fault("zip.no-end", "the file does not end with a zip end record (comment, or bytes after it)")
    _, disk, start_disk, here, total, size, offset, comment = _END.unpack(tail)
    if disk or start_disk or here != total or comment:
        raise fault("zip.bad-end", "the end record names other disks, two counts or a comment")
    end64_at = _zip64_at(reader, at)
    if end64_at is None:
        found = Directory(offset, size, total)
    else:
        found = _parse_zip64(reader, end64_at, (total, size, offset))
        at = end64_at
    if found.offset + found.size_bytes != at:
        raise fault("zip.directory-place", "the directory does not lie right before the end record")
    return found


def _zip64_at(reader: Reader, end_at: int) -> int | None:
    """The offset of the zip64 record, None where there is none."""
    at = end_at - _LOCATOR.size
    raw = reader.read(at, _LOCATOR.size) if at >= 0 else b""
    if raw[:4] != b"PK\x06\x07":
        return None
    _, disk, offset, disks = _LOCATOR.unpack(raw)
    if disk or disks != 1 or offset + _END64.size != at:
        raise fault("zip.zip64", "the zip64 locator does not point right before itself")
    return int(offset)


def _parse_zip64(reader: Reader, at: int, short: tuple[int, int, int]) -> Directory:
    fields = _END64.unpack(reader.read(at, _END64.size))
    signature, length, _, _, disk, start_disk, here, total, size, offset = fields
    if signature != b"PK\x06\x06" or length != _END64.size - 12 or disk or start_disk or here != total:
        raise fault("zip.zip64", "the zip64 end record is not one of a single-disk archive")
    for value, long_value, saturated in zip(short, (total, size, offset), (0xFFFF, *(0xFFFFFFFF,) * 2), strict=True):
        if value not in {saturated, long_value}:
            raise fault("zip.zip64", "the end record and the zip64 record disagree")
    return Directory(offset, size, total)
