"""PyTorch checkpoints: the zip form (since 1.6) and the legacy form (five pickles, then raw storages).

Sources: torch/serialization.py (2.13), caffe2/serialize/inline_container.h. Only the pickles can act; storages
are raw numbers that stay unread. torch's own reader matches member names without case, which the zip rules refuse.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.budget import InflateBudget, InflateBudgetExceeded
from gateway.scanners.formats.pickle import PickleReport, examine, findings_of
from gateway.scanners.formats.pickle_machine import OpcodeBudget, run
from gateway.scanners.formats.pickle_values import GlobalRef
from gateway.scanners.formats.printable import printable
from gateway.scanners.formats.zip_container import STORED, Member, ZipArchive, ZipFault, open_archive
from gateway.scanners.reader import BytesReader, Inspection, Reader

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PICKLES = 5
_STORAGE = re.compile(r"data/[0-9A-Za-z_]+\Z")
# Members that torch writes and nothing executes.
_NOTES = frozenset(
    {"version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id", "data/serialization_id"}
)
_NOTE_BYTES = 4096
_SCRIPT_IO = re.compile(rb"\b(from_file|ops\.\w+\.(save|load|read|write|open)\w*|torch\.(save|load)|torch\.ops)\b")
_ELEMENT_BYTES = {
    "Double": 8, "Float": 4, "Half": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1, "BFloat16": 2,
    "ComplexDouble": 16, "ComplexFloat": 8, "QUInt8": 1, "QInt8": 1, "QInt32": 4, "QUInt4x2": 1, "QUInt2x4": 1,
    "Untyped": 1,
}  # fmt: skip


def inspect_zip(reader: Reader, _path: str) -> Inspection:
    """A zip with a `data.pkl`: every member that is not a storage is read whole and judged."""
    try:
        archive = open_archive(reader)
        return _Checkpoint(archive).inspect()
    except ZipFault as fault:
        return Inspection("torch-zip", Coverage(Surface.PARTIAL, False, "malformed"), (fault.finding,))
    except InflateBudgetExceeded as error:
        finding = Finding("zip.bomb", FindingClass.DOS, Severity.HIGH, str(error))
        return Inspection("torch-zip", Coverage(Surface.PARTIAL, False, "inflate-budget"), (finding,))


class _Checkpoint:
    def __init__(self, archive: ZipArchive) -> None:
        self.archive = archive
        self.findings: list[Finding] = list(archive.findings)
        self.cause = ""
        self.inflate = InflateBudget()
        self.opcodes = OpcodeBudget()
        self.root = archive.members[0].name.split("/", 1)[0] + "/" if archive.members else ""
        self.script = any(self._relative(m).startswith("code/") for m in archive.members)

    def inspect(self) -> Inspection:
        if any(not m.name.startswith(self.root) for m in self.archive.members):
            self._report("torch.roots", "the archive has more than one root folder")
        storages: dict[str, Member] = {}
        wanted: list[Any] = []
        pickles = 0
        for member in self.archive.members:
            name = self._relative(member)
            if name != "data/serialization_id" and _STORAGE.match(name):
                storages[name.removeprefix("data/")] = member
                if member.method != STORED:
                    self._report("torch.compressed-storage", "a storage is compressed; torch reads it raw", member.name)
            elif name.endswith(".pkl"):
                pickles += name == "data.pkl"
                wanted += self._pickle(member, name)
            elif not member.is_directory:
                self._other(member, name)
        if pickles != 1:
            self._report("torch.no-data-pkl", "the archive has no single data.pkl under its root")
        self._check_ids(wanted, storages)
        if self.script:
            self.cause = self.cause or "torchscript"
        surface = Surface.PARTIAL if self.cause else Surface.COMPLETE
        return Inspection("torch-zip", Coverage(surface, False, self.cause), tuple(self.findings))

    def _relative(self, member: Member) -> str:
        return member.name.removeprefix(self.root)

    def _report(self, rule: str, message: str, where: str = "", cls: FindingClass = FindingClass.AMBIGUITY) -> None:
        self.findings.append(Finding(rule, cls, Severity.HIGH, message, printable(where)))

    def _pickle(self, member: Member, name: str) -> list[Any]:
        data = self.archive.read(member, self.inflate)
        report = examine(
            BytesReader(data),
            name,
            self.opcodes,
            persistent_ids=name == "data.pkl" or self.script,
            skip_modules=("__torch__.",) if self.script else (),
        )
        self.findings += report.findings
        self.cause = self.cause or report.cause
        return [pid for program in report.programs for pid in program.persistent_ids]

    def _other(self, member: Member, name: str) -> None:
        if name in _NOTES and member.size_bytes <= _NOTE_BYTES:
            self.archive.read(member, self.inflate)
        elif name.startswith("code/"):
            if _SCRIPT_IO.search(self.archive.read(member, self.inflate)):
                self._report(
                    "torch.script-io", "TorchScript code reads or writes files", member.name, FindingClass.FILE
                )
        else:
            self.cause = self.cause or "unexpected-member"

    def _check_ids(self, ids: list[Any], storages: dict[str, Member]) -> None:
        for pid in ids:
            problem = storage_problem(pid)
            if problem:
                self._report("torch.persistent-id", problem)
                return
            key = pid[2]
            constant = f"{self.root}constants/{key}"
            if key not in storages and not any(m.name == constant for m in self.archive.members if self.script):
                self._report("torch.missing-storage", "data.pkl names a storage that the archive does not have", key)
                return


def storage_problem(pid: Any) -> str:
    """What is wrong with `pid`; "" where it is torch's plain ("storage", class, key, location, numel[, view])."""
    if not isinstance(pid, tuple) or not 5 <= len(pid) <= 6 or pid[0] != "storage":
        return "a persistent id is not torch's storage tuple"
    kind, key, location, count = pid[1], pid[2], pid[3], pid[4]
    if not isinstance(kind, GlobalRef) or not kind.use.name.endswith("Storage"):
        return "a persistent id names no storage class"
    if not isinstance(key, str) or not isinstance(location, str) or not isinstance(count, int) or count < 0:
        return "a persistent id is not made of plain values"
    return "" if re.fullmatch(r"[0-9A-Za-z_]+", key) else "a storage key is no plain name"


def inspect_legacy(reader: Reader, _path: str) -> Inspection:
    """Five pickles (magic, version, system, object, keys), then per storage 8 bytes of length and its raw numbers."""
    budget, report, at = OpcodeBudget(), PickleReport(), 0
    for number in range(_LEGACY_PICKLES):
        program = run(reader, at, budget)
        report.programs.append(program)
        report.findings += findings_of(program, f"pickle {number + 1}")
        if program.end != "stopped" or program.doubts:
            report.cause = program.end if program.end != "stopped" else "malformed"
            break
        at = program.end_offset
    if not report.cause:
        report.findings += _legacy_layout(report, reader.size - at)
    surface = Surface.PARTIAL if report.cause else Surface.COMPLETE
    return Inspection("torch-legacy", Coverage(surface, False, report.cause), tuple(report.findings))


def _legacy_layout(report: PickleReport, remaining: int) -> list[Finding]:
    """Persistent ids only in the fourth pickle, and raw bytes of exactly the length that they promise."""
    outside = [p for i, p in enumerate(report.programs) if i != 3 and (p.persistent_ids or p.globals)]
    if outside:
        message = "a pickle beside the object's own imports names or loads storages"
        return [Finding("torch.legacy-stack", FindingClass.AMBIGUITY, Severity.HIGH, message)]
    sizes: dict[str, int] = {}
    for pid in report.programs[3].persistent_ids:
        problem = storage_problem(pid)
        if problem:
            return [Finding("torch.persistent-id", FindingClass.AMBIGUITY, Severity.HIGH, problem)]
        element = _ELEMENT_BYTES.get(pid[1].use.name.removesuffix("Storage"))
        if element is None:
            return [Finding("torch.persistent-id", FindingClass.AMBIGUITY, Severity.HIGH, "unknown storage class")]
        sizes[pid[2]] = 8 + element * pid[4]
    if sum(sizes.values()) != remaining:
        message = "the raw storages are not as long as the pickles say: other data follows"
        return [Finding("torch.trailing-data", FindingClass.AMBIGUITY, Severity.HIGH, message)]
    return []


__all__ = ["LEGACY_MAGIC", "inspect_legacy", "inspect_zip", "storage_problem"]
