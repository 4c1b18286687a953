"""Python source: no scanner judges code well enough, so every `.py` is a finding that a policy approves by digest."""

from __future__ import annotations

import hashlib

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.reader import Inspection, Reader

MAX_BYTES = 5 * 1024 * 1024


def inspect(reader: Reader, path: str) -> Inspection:
    """One finding of class `remote-code`, severity high, whose symbol is "sha256:<hex>" of the content.

    The file is read whole; over 5 MiB it is `partial` ("too-large") with a finding that names no digest. `path` is not
    looked at: whoever calls this has decided that a loader could import the file.
    """
    del path
    if reader.size > MAX_BYTES:
        message = "executable Python of more than 5 MiB: too large to approve"
        finding = Finding("python.code", FindingClass.REMOTE_CODE, Severity.HIGH, message)
        return Inspection("python", Coverage(Surface.PARTIAL, whole_file=False, cause="too-large"), (finding,))
    digest = hashlib.sha256(reader.read(0, reader.size)).hexdigest()
    message = "executable Python: approve by sha256"
    finding = Finding("python.code", FindingClass.REMOTE_CODE, Severity.HIGH, message, symbol=f"sha256:{digest}")
    return Inspection("python", Coverage(Surface.COMPLETE, whole_file=True), (finding,))
