"""A zip reader for archives that every reader must understand the same way.

Sources: PKWARE APPNOTE 6.3.10 §4.3-§4.5; the disagreements of real readers (torch's miniz, CPython's zipfile) that each
rule closes are listed in docs on scanning: duplicate and case-shadowed names, data before, after and between members,
end-record comments, local headers that differ from the directory, odd flag bits, wrong CRC, wrong counts.
An archive that breaks a rule is ambiguous: it is reported as such, never read "as well as possible".
"""

from __future__ import annotations

import struct
import unicodedata
import zlib
from dataclasses import dataclass

from gateway.domain.evidence import Finding, FindingClass, Severity
from gateway.scanners.budget import InflateBudget, InflateBudgetExceeded
from gateway.scanners.formats.zip_directory import Directory, ZipFault, fault, parse_directory_end
from gateway.scanners.reader import Reader

MAX_MEMBERS = 50_000
MAX_DIRECTORY_BYTES = 16 * 1024 * 1024
MAX_MEMBER_BYTES = 64 * 1024 * 1024

STORED, DEFLATED = 0, 8
# Allowed general purpose flags: deflate level (1, 2), sizes in a descriptor (3), UTF-8 names (11).
_FLAGS_ALLOWED = 0x0006 | 0x0008 | 0x0800
_FLAG_DESCRIPTOR, _FLAG_UTF8 = 0x0008, 0x0800
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_SATURATED = 0xFFFFFFFF
_MAX_VERSION = 63
_UNIX, _S_IFMT, _S_IFREG, _S_IFDIR = 3, 0o170000, 0o100000, 0o040000


@dataclass(frozen=True, slots=True)
class Member:
    """One directory entry. `offset` is where its local header starts."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc32: int
    compressed_bytes: int
    size_bytes: int
    offset: int
    next_offset: int = 0

    @property
    def is_directory(self) -> bool:
        return self.name.endswith("/")


class ZipArchive:
    """The members of one archive; `findings` tells what other readers would see differently."""

    def __init__(self, reader: Reader, members: tuple[Member, ...], findings: list[Finding]) -> None:
        self._reader = reader
        self.members = members
        self.findings = findings

    def read(self, member: Member, budget: InflateBudget) -> bytes:
        """The whole content of one member, its local header, sizes and CRC proven equal to the directory.

        Raises ZipFault where they differ, InflateBudgetExceeded past the budget or for more than 64 MiB.
        """
        if member.size_bytes > MAX_MEMBER_BYTES:
            raise InflateBudgetExceeded(f"member of {member.size_bytes} bytes")
        start = self._locate(member)
        raw = self._reader.read(start, member.compressed_bytes)
        data = raw if member.method == STORED else _inflate(raw, member, budget)
        if len(data) != member.size_bytes:
            raise fault("zip.size-mismatch", "member is not as long as the directory says", member.name)
        if zlib.crc32(data) != member.crc32:
            raise fault("zip.bad-crc", "member does not have the CRC of the directory", member.name)
        return data

    def read_head(self, member: Member, count: int) -> bytes:
        """The first `count` bytes of one member, or all of a shorter one; its CRC stays unproven. Raises ZipFault."""
        raw = self._reader.read(self._locate(member), min(member.compressed_bytes, count))
        if member.method == STORED:
            return raw
        try:
            return zlib.decompressobj(-15).decompress(raw, count)
        except zlib.error as error:
            raise fault("zip.bad-deflate", "compressed data is broken", member.name) from error

    def _locate(self, member: Member) -> int:
        """Where the member's data starts. Raises ZipFault where the local header tells another story."""
        fixed = self._reader.read(member.offset, _LOCAL.size)
        if len(fixed) < _LOCAL.size or fixed[:4] != b"PK\x03\x04":
            raise fault("zip.no-local-header", "directory points where no member starts", member.name)
        _, _, flags, method, _, _, crc, compressed, size, name_len, extra_len = _LOCAL.unpack(fixed)
        name = self._reader.read(member.offset + _LOCAL.size, name_len)
        if name != member.raw_name:
            raise fault("zip.local-name-differs", "local header has another name than the directory", member.name)
        if flags != member.flags or method != member.method:
            raise fault("zip.local-flags-differ", "local header has other flags or method", member.name)
        extra = self._reader.read(member.offset + _LOCAL.size + name_len, extra_len)
        start: int = member.offset + _LOCAL.size + name_len + extra_len
        expected = (member.crc32, member.compressed_bytes, member.size_bytes)
        deferred = bool(flags & _FLAG_DESCRIPTOR) and crc == 0 and _absent(compressed) and _absent(size)
        if not deferred and (crc, *_local_sizes(compressed, size, extra, member.name)) != expected:
            raise fault("zip.local-sizes-differ", "local header has another CRC or size", member.name)
        end = start + member.compressed_bytes
        if flags & _FLAG_DESCRIPTOR:
            end += self._descriptor_bytes(end, member)
        if end != member.next_offset:
            raise fault("zip.gap", "bytes between members belong to none of them", member.name)
        return start

    def _descriptor_bytes(self, at: int, member: Member) -> int:
        values = (member.crc32, member.compressed_bytes, member.size_bytes)
        room = member.next_offset - at
        for layout in ("<4sI2Q", "<4s3I", "<I2Q", "<3I"):
            shape = struct.Struct(layout)
            if shape.size != room:
                continue
            fields = shape.unpack(self._reader.read(at, shape.size))
            if fields[-3:] == values and (len(fields) == 3 or fields[0] == b"PK\x07\x08"):
                return shape.size
        raise fault("zip.descriptor-differs", "data descriptor does not agree with the directory", member.name)


def open_archive(reader: Reader) -> ZipArchive:
    """Read the directory strictly. Raises ZipFault where no single meaning can be read from the archive."""
    if reader.read(0, 4) not in {b"PK\x03\x04", b"PK\x05\x06"}:
        raise fault("zip.prefix", "the archive does not start at the first byte of the file")
    directory = parse_directory_end(reader)
    if directory.size_bytes > MAX_DIRECTORY_BYTES or directory.count > MAX_MEMBERS:
        raise InflateBudgetExceeded(f"directory of {directory.count} members, {directory.size_bytes} bytes")
    findings: list[Finding] = []
    entries = _read_members(reader.read(directory.offset, directory.size_bytes), directory, findings)
    members = _check_layout(entries, directory)
    _check_unique(members, findings)
    return ZipArchive(reader, members, findings)


def _read_members(data: bytes, directory: Directory, findings: list[Finding]) -> list[Member]:
    members: list[Member] = []
    at = 0
    while at < len(data):
        if len(data) - at < _CENTRAL.size or data[at : at + 4] != b"PK\x01\x02":
            raise fault("zip.bad-directory", "the directory holds bytes that are no entry")
        member, at = _read_member(data, at, findings)
        members.append(member)
    if len(members) != directory.count:
        raise fault("zip.count-differs", "the end record counts another number of members than the directory has")
    return members


def _read_member(data: bytes, at: int, findings: list[Finding]) -> tuple[Member, int]:
    fields = _CENTRAL.unpack_from(data, at)
    made_by, flags, method, crc, compressed, size = fields[1], fields[3], fields[4], fields[7], fields[8], fields[9]
    name_len, extra_len, comment_len, disk, external, offset = *fields[10:14], fields[15], fields[16]
    end = at + _CENTRAL.size + name_len + extra_len + comment_len
    if end > len(data):
        raise fault("zip.bad-directory", "a directory entry runs past the directory")
    raw_name = data[at + _CENTRAL.size : at + _CENTRAL.size + name_len]
    extra = data[at + _CENTRAL.size + name_len : end - comment_len]
    name = _decode_name(raw_name, flags, findings)
    if fields[2] > _MAX_VERSION:
        findings.append(_finding("zip.version", "entry needs a reader of a version that there is not", name))
    if comment_len or disk:
        findings.append(_finding("zip.entry-comment", "entry has a comment or lies on another disk", name))
    if flags & ~_FLAGS_ALLOWED:
        findings.append(_finding("zip.flags", f"entry sets flag bits {flags & ~_FLAGS_ALLOWED:#06x}", name))
    if method not in {STORED, DEFLATED}:
        findings.append(_finding("zip.method", f"entry uses compression method {method}", name))
    kind = (external >> 16) & _S_IFMT
    if made_by >> 8 == _UNIX and kind not in {0, _S_IFREG, _S_IFDIR}:
        findings.append(_finding("zip.link", "entry is a link or a device", name, FindingClass.TRAVERSAL))
    compressed, size, offset = _zip64(extra, compressed, size, offset, name)
    if method == STORED and compressed != size:
        raise fault("zip.size-mismatch", "stored member has two different sizes", name)
    return Member(name, raw_name, flags, method, crc, compressed, size, offset), end


def _decode_name(raw: bytes, flags: int, findings: list[Finding]) -> str:
    try:
        name = raw.decode("utf-8" if flags & _FLAG_UTF8 else "ascii")
    except UnicodeDecodeError:
        name = raw.decode("latin-1")
        findings.append(_finding("zip.name-encoding", "name is not in the encoding that its entry declares", name))
    parts = name.removesuffix("/").split("/")
    if any(part in {"", ".", ".."} for part in parts) or ":" in parts[0]:
        message = "name leads out of the folder it is unpacked in"
        findings.append(_finding("zip.traversal", message, name, FindingClass.TRAVERSAL))
    elif "\\" in name or any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} for c in name):
        findings.append(_finding("zip.name", "name holds a backslash or an invisible character", name))
    return name


def _zip64(extra: bytes, compressed: int, size: int, offset: int, name: str) -> tuple[int, int, int]:
    """APPNOTE 4.5.3: the 64-bit values, in this order, exactly for the saturated fields."""
    wanted = [size == _SATURATED, compressed == _SATURATED, offset == _SATURATED]
    body = _zip64_body(extra, name)
    if body is None:
        if any(wanted):
            raise fault("zip.zip64", "sizes are deferred to a zip64 field that is not there", name)
        return compressed, size, offset
    if len(body) != 8 * sum(wanted) or not any(wanted):
        raise fault("zip.zip64", "zip64 field does not hold exactly the deferred values", name)
    values = list(struct.unpack(f"<{sum(wanted)}Q", body))
    size = values.pop(0) if wanted[0] else size
    compressed = values.pop(0) if wanted[1] else compressed
    offset = values.pop(0) if wanted[2] else offset
    return compressed, size, offset


def _zip64_body(extra: bytes, name: str) -> bytes | None:
    at, found = 0, None
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if len(body) != length or (kind == 1 and found is not None):
            raise fault("zip.extra", "extra field is cut short or has two zip64 parts", name)
        found = body if kind == 1 else found
        at += 4 + length
    return found


def _local_sizes(compressed: int, size: int, extra: bytes, name: str) -> tuple[int, int]:
    """Local sizes; a zip64 part, where the sizes are saturated, holds both (APPNOTE 4.5.3)."""
    if _SATURATED not in {compressed, size}:
        return compressed, size
    body = _zip64_body(extra, name)
    if body is None or len(body) < 16:
        raise fault("zip.zip64", "local sizes are deferred to a zip64 field that is not there", name)
    long_size, long_compressed = struct.unpack_from("<2Q", body)
    return long_compressed, long_size


def _absent(value: int) -> bool:
    return value in {0, _SATURATED}


def _check_layout(members: list[Member], directory: Directory) -> tuple[Member, ...]:
    """Members lie one after another from byte 0 to the directory; returns them with `next_offset` filled."""
    ordered = sorted(members, key=lambda m: m.offset)
    if not ordered:
        return ()
    if ordered[0].offset != 0:
        raise fault("zip.prefix", "bytes lie before the first member")
    placed: dict[int, int] = {}
    for member, following in zip(ordered, [*[m.offset for m in ordered[1:]], directory.offset], strict=True):
        if member.offset + _LOCAL.size + len(member.raw_name) + member.compressed_bytes > following:
            raise fault("zip.overlap", "members overlap each other or the directory", member.name)
        placed[member.offset] = following
    return tuple(_with_next(m, placed[m.offset]) for m in members)


def _with_next(m: Member, following: int) -> Member:
    return Member(m.name, m.raw_name, m.flags, m.method, m.crc32, m.compressed_bytes, m.size_bytes, m.offset, following)


def _check_unique(members: tuple[Member, ...], findings: list[Finding]) -> None:
    seen: set[str] = set()
    for member in members:
        key = unicodedata.normalize("NFKC", member.name).casefold().rstrip("/")
        if key in seen:
            findings.append(_finding("zip.duplicate", "two members have the same name (case ignored)", member.name))
        seen.add(key)


def _inflate(raw: bytes, member: Member, budget: InflateBudget) -> bytes:
    room = budget.allowance(len(raw))
    if member.size_bytes > room:
        raise InflateBudgetExceeded(f"member would inflate to {member.size_bytes} bytes")
    engine = zlib.decompressobj(-15)
    try:
        data = engine.decompress(raw, room + 1)
    except zlib.error as error:
        raise fault("zip.bad-deflate", "compressed data is broken", member.name) from error
    budget.spend(len(data))
    if len(data) > room:
        raise InflateBudgetExceeded("member inflates past its allowance")
    if not engine.eof or engine.unused_data or engine.unconsumed_tail:
        raise fault("zip.bad-deflate", "compressed data ends early or late", member.name)
    return data


def _finding(rule: str, message: str, name: str, cls: FindingClass = FindingClass.AMBIGUITY) -> Finding:
    return ZipFault.of(rule, message, name, cls, Severity.HIGH).finding


__all__ = ["DEFLATED", "STORED", "Member", "ZipArchive", "ZipFault", "open_archive"]
