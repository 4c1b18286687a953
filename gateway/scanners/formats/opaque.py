"""Formats that can act, or hide something that acts, and that no reader here understands: seen, named, not judged."""

from __future__ import annotations

from collections.abc import Callable

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.budget import InflateBudgetExceeded
from gateway.scanners.formats import numpy_array
from gateway.scanners.formats.hidden_pickle import COMPRESSED, LOOK_BYTES, findings_in, findings_in_members
from gateway.scanners.formats.zip_container import ZipFault, open_archive
from gateway.scanners.reader import Inspection, Reader

CAUSE = "unsupported-format"


def unsupported(name: str) -> Callable[[Reader, str], Inspection]:
    """An inspector that answers `not_run` for the format `name`; a pickle that acts behind compression is told."""

    def inspect(reader: Reader, _path: str) -> Inspection:
        found = findings_in(reader.read(0, LOOK_BYTES), "") if reader.read(0, 8).startswith(COMPRESSED) else ()
        return Inspection(name, Coverage(Surface.NOT_RUN, False, CAUSE), found)

    return inspect


def executable(_reader: Reader, _path: str) -> Inspection:
    """Machine code or a script with an interpreter line."""
    message = "the file is a program"
    finding = Finding("file.executable", FindingClass.EMBEDDED_EXE, Severity.HIGH, message)
    return Inspection("executable", Coverage(Surface.NOT_RUN, False, CAUSE), (finding,))


def archive(name: str) -> Callable[[Reader, str], Inspection]:
    """A zip whose content is not judged; what is wrong with the container itself is told."""

    def inspect(reader: Reader, _path: str) -> Inspection:
        return Inspection(name, Coverage(Surface.NOT_RUN, False, CAUSE), zip_findings(reader))

    return inspect


def zip_findings(reader: Reader) -> tuple[Finding, ...]:
    """What the strict zip rules say of a container, and what pickles in its small members do."""
    try:
        archive = open_archive(reader)
        return (*archive.findings, *findings_in_members(archive))
    except ZipFault as fault:
        return (fault.finding,)
    except InflateBudgetExceeded as error:
        return (Finding("zip.bomb", FindingClass.DOS, Severity.HIGH, str(error)),)


def objects(reader: Reader, path: str) -> Inspection:
    """A numpy array; where it holds objects, what their pickle does is told."""
    seen = numpy_array.inspect(reader, path)
    if seen.coverage.surface is Surface.COMPLETE:
        return seen
    found = findings_in(reader.read(0, LOOK_BYTES), "")
    return Inspection(seen.format, seen.coverage, seen.findings + found)


def tar(_reader: Reader, _path: str) -> Inspection:
    """tar, also torch's oldest checkpoint form, which torch still unpickles without looking."""
    message = "a tar archive: torch loads its pickles by a path of its own, other loaders unpack it"
    finding = Finding("tar.container", FindingClass.AMBIGUITY, Severity.HIGH, message)
    return Inspection("tar", Coverage(Surface.NOT_RUN, False, CAUSE), (finding,))
