"""Pickles inside containers that are not judged: compressed files, generic zips, numpy object arrays.

Such a container stays `not_run`; but where the pickle in it is seen to act, or goes on where nobody looked, that is
told, so no profile lets it pass.
"""

from __future__ import annotations

from gateway.domain.evidence import Finding, FindingClass, Severity, Surface
from gateway.scanners.budget import INFLATE_LEVELS, InflateBudget, InflateBudgetExceeded
from gateway.scanners.detect import acts_as_pickle
from gateway.scanners.formats.compressed import LOOK_BYTES, Broken, inflate
from gateway.scanners.formats.numpy_array import MAGIC, carries_objects, data_offset
from gateway.scanners.formats.pickle import examine
from gateway.scanners.formats.pickle_machine import OpcodeBudget
from gateway.scanners.formats.printable import printable
from gateway.scanners.formats.torch import inspect_zip as inspect_checkpoint
from gateway.scanners.formats.zip_container import Member, ZipArchive, ZipFault, open_archive
from gateway.scanners.reader import BytesReader, ReadBudgetExceeded

_MAX_MEMBERS = 1000
_MAX_OPCODES = 500_000
_HEAD_BYTES = 256 * 1024
_BEYOND_BYTES = 1 << 40


class _Prefix(BytesReader):
    """The beginning of something longer. Raises ReadBudgetExceeded where more is asked for than is there."""

    def __init__(self, data: bytes, whole: bool) -> None:
        super().__init__(data)
        self._end = len(data)
        if not whole:
            self.size += _BEYOND_BYTES

    def read(self, offset: int, length: int) -> bytes:
        if self.size > self._end and offset + length > self._end:
            raise ReadBudgetExceeded("past what was looked at")
        return super().read(offset, length)


def findings_in(data: bytes, where: str, levels: int = INFLATE_LEVELS, *, whole: bool = True) -> tuple[Finding, ...]:
    """What a pickle in `data` does, also behind compression (three levels) or an array header; () without one.

    `whole`: False where `data` is only the beginning. A pickle that is not followed to its end is a finding as well.
    """
    if data.startswith(b"PK\x03\x04"):
        return _in_inner_zip(data, where, levels) if whole and levels else _unseen(where)
    if data.startswith(MAGIC):
        if not carries_objects(BytesReader(data)):
            return ()
        data = data[data_offset(BytesReader(data)) :]
    reader = _Prefix(data, whole)
    try:
        if data and acts_as_pickle(reader):
            report = examine(reader, where, OpcodeBudget(_MAX_OPCODES), persistent_ids=False)
            return (*report.findings, *(_unseen(where) if report.cause else ()))
    except ReadBudgetExceeded:
        return _unseen(where)
    try:
        inner = inflate(data)
    except Broken:
        message = "compressed data that breaks: a loader has run what came before"
        return (Finding("file.compressed-broken", FindingClass.AMBIGUITY, Severity.HIGH, message, printable(where)),)
    if inner is None:
        return ()
    if not levels:
        message = "compressed more than three times over"
        return (Finding("file.compressed-levels", FindingClass.AMBIGUITY, Severity.HIGH, message, printable(where)),)
    return findings_in(inner[0], where, levels - 1, whole=whole and inner[1])


def _in_inner_zip(data: bytes, where: str, levels: int) -> tuple[Finding, ...]:
    """A zip inside: a checkpoint as torch reads it, anything else member by member."""
    try:
        archive = open_archive(BytesReader(data))
        if any(member.name.lower().rsplit("/", 1)[-1] == "data.pkl" for member in archive.members):
            seen = inspect_checkpoint(BytesReader(data), where)
            return (*seen.findings, *(() if seen.coverage.surface is Surface.COMPLETE else _unseen(where)))
        return (*archive.findings, *findings_in_members(archive, every=True, levels=levels - 1))
    except ZipFault as fault:
        return (fault.finding,)
    except InflateBudgetExceeded:
        return _unseen(where)


def _unseen(where: str) -> tuple[Finding, ...]:
    message = "a pickle goes on where nobody looked: behind compression, in a large member, or past the opcode budget"
    return (Finding("pickle.unseen", FindingClass.AMBIGUITY, Severity.HIGH, message, printable(where)),)


def findings_in_members(archive: ZipArchive, *, every: bool, levels: int = INFLATE_LEVELS) -> tuple[Finding, ...]:
    """The same for each member of a zip (`every`), or for the first 1000; of a large one its first 256 KiB count."""
    budget = InflateBudget(total_bytes=8 * LOOK_BYTES)
    found: list[Finding] = []
    for member in archive.members if every else archive.members[:_MAX_MEMBERS]:
        if not member.is_directory:
            try:
                found += _in_member(archive, member, budget, levels)
            except ZipFault as fault:
                found.append(fault.finding)
    return tuple(found)


def _in_member(archive: ZipArchive, member: Member, budget: InflateBudget, levels: int) -> tuple[Finding, ...]:
    if member.size_bytes <= LOOK_BYTES and budget.used_bytes + member.size_bytes <= budget.total_bytes:
        try:
            data = archive.read(member, budget)
            budget.used_bytes += member.size_bytes if member.method == 0 else 0
            return findings_in(data, member.name, levels)
        except InflateBudgetExceeded:
            pass  # a member that inflates too well: its beginning tells whether it matters
    head = archive.read_head(member, _HEAD_BYTES)
    return findings_in(head, member.name, levels, whole=len(head) >= member.size_bytes)
