"""Formats that can act, or hide something that acts, and that no reader here understands: seen, named, not judged."""

from __future__ import annotations

from collections.abc import Callable

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.budget import InflateBudgetExceeded
from gateway.scanners.formats import numpy_array
from gateway.scanners.formats.compressed import LOOK_BYTES, READABLE, name_findings
from gateway.scanners.formats.hidden_pickle import findings_in, findings_in_members
from gateway.scanners.formats.pickle import examine
from gateway.scanners.formats.pickle_machine import OpcodeBudget
from gateway.scanners.formats.zip_container import ZipFault, open_archive
from gateway.scanners.reader import Inspection, Reader, Shifted

CAUSE = "unsupported-format"


def unsupported(name: str) -> Callable[[Reader, str], Inspection]:
    """An inspector that answers `not_run` for the format `name`; a pickle that acts behind compression is told."""

    def inspect(reader: Reader, path: str) -> Inspection:
        head = reader.read(0, 8)
        found = name_findings(head, path)
        if head.startswith(READABLE):
            found += findings_in(reader.read(0, LOOK_BYTES), "", whole=reader.size <= LOOK_BYTES)
        return Inspection(name, Coverage(Surface.NOT_RUN, False, CAUSE), found)

    return inspect


def executable(_reader: Reader, _path: str) -> Inspection:
    """Machine code or a script with an interpreter line."""
    message = "the file is a program"
    finding = Finding("file.executable", FindingClass.EMBEDDED_EXE, Severity.HIGH, message)
    return Inspection("executable", Coverage(Surface.NOT_RUN, False, CAUSE), (finding,))


def archive(name: str) -> Callable[[Reader, str], Inspection]:
    """A zip whose content is not judged; what is wrong with the container itself is told."""

    def inspect(reader: Reader, path: str) -> Inspection:
        return Inspection(name, Coverage(Surface.NOT_RUN, False, CAUSE), zip_findings(reader, path))

    return inspect


def zip_findings(reader: Reader, path: str) -> tuple[Finding, ...]:
    """What the strict zip rules say of a container, and what pickles in its members do.

    numpy opens any zip and unpickles whatever member is asked for: an archive of arrays is looked through to its end.
    """
    try:
        archive = open_archive(reader)
        arrays = path.lower().endswith(".npz") or any(m.name.lower().endswith(".npy") for m in archive.members)
        return (*archive.findings, *findings_in_members(archive, every=arrays))
    except ZipFault as fault:
        return (fault.finding,)
    except InflateBudgetExceeded as error:
        return (Finding("zip.bomb", FindingClass.DOS, Severity.HIGH, str(error)),)


def objects(reader: Reader, path: str) -> Inspection:
    """A numpy array; where it holds objects, what their pickle does is told, to its end."""
    seen = numpy_array.inspect(reader, path)
    if seen.coverage.surface is not Surface.NOT_RUN:
        return seen
    report = examine(Shifted(reader, numpy_array.data_offset(reader)), "", OpcodeBudget(), persistent_ids=False)
    coverage = Coverage(Surface.PARTIAL, False, report.cause) if report.cause else seen.coverage
    return Inspection(seen.format, coverage, (*seen.findings, *report.findings))


def tar(_reader: Reader, _path: str) -> Inspection:
    """tar, also torch's oldest checkpoint form, which torch still unpickles without looking."""
    message = "a tar archive: torch loads its pickles by a path of its own, other loaders unpack it"
    finding = Finding("tar.container", FindingClass.AMBIGUITY, Severity.HIGH, message)
    return Inspection("tar", Coverage(Surface.NOT_RUN, False, CAUSE), (finding,))
