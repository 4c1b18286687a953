import hashlib

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.evidence import FindingClass, Severity, Surface
from gateway.scanners.formats.python_code import MAX_BYTES, inspect
from gateway.scanners.reader import BytesReader


@given(st.binary(max_size=300))
def test_every_python_file_is_remote_code_named_by_its_digest(raw):
    result = inspect(BytesReader(raw), "modeling_x.py")
    (finding,) = result.findings
    assert result.format == "python"
    assert (result.coverage.surface, result.coverage.whole_file) == (Surface.COMPLETE, True)
    assert (finding.cls, finding.severity) == (FindingClass.REMOTE_CODE, Severity.HIGH)
    assert finding.symbol == "sha256:" + hashlib.sha256(raw).hexdigest()


def test_code_too_large_to_approve_is_partial_and_still_a_finding():
    result = inspect(BytesReader(b"#" * (MAX_BYTES + 1)), "a.py")
    assert result.coverage.surface is Surface.PARTIAL
    assert result.findings[0].cls is FindingClass.REMOTE_CODE
    assert result.findings[0].symbol == ""
