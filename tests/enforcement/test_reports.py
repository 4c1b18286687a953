import pytest

from gateway.domain.errors import ScanError
from gateway.domain.evidence import Coverage, ScanReport, Surface
from gateway.enforcement.reports import OUTAGE_CAUSES, TRIES, Reports
from tests.fakes.hand_clock import HandClock
from tests.fakes.memory_facts import MemoryFacts
from tests.fakes.reading_scanner import ReadingScanner

SHA256 = "ab" * 32
SCANNER = ReadingScanner()


def failed(cause):
    return ScanReport(SCANNER.name, SCANNER.version, "unknown", Coverage(Surface.FAILED, whole_file=False, cause=cause))


@pytest.fixture
def reports():
    return Reports(MemoryFacts(), [SCANNER], HandClock())


@pytest.mark.parametrize("cause", sorted(OUTAGE_CAUSES))
async def test_an_outage_never_becomes_evidence_against_the_file(reports, cause):
    for _ in range(TRIES + 2):
        with pytest.raises(ScanError, match="ask again"):
            await reports.put(SCANNER, SHA256, "model.bin", failed(cause))
        assert await reports.get(SCANNER, SHA256, "model.bin") is None


async def test_a_file_that_kills_the_scan_every_time_is_evidence_of_failure(reports):
    for _ in range(TRIES - 1):
        with pytest.raises(ScanError):
            await reports.put(SCANNER, SHA256, "model.bin", failed("crashed"))
    await reports.put(SCANNER, SHA256, "model.bin", failed("crashed"))
    assert await reports.get(SCANNER, SHA256, "model.bin") == failed("crashed")
