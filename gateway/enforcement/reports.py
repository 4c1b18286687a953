"""The reports of scanners, kept by digest and size x scanner x version x file name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from gateway.clock import Clock
from gateway.domain.errors import ScanError
from gateway.domain.evidence import ScanReport, Surface
from gateway.enforcement.codec import report_from_json, report_to_json
from gateway.ports import Facts, Scanner

TRANSIENT_CAUSES = frozenset({"timeout", "cpu", "oom", "crashed", "killed", "output-limit"})
# Our own outage, or the hub's: it says nothing of the file, so that it never stands as evidence (P5).
OUTAGE_CAUSES = frozenset({"unavailable", "worker-unavailable", "unwatched", "source-timeout", "source-lost"})
TRIES = 3
FAILURE_STANDS_S = 86_400.0


class Reports:
    """A changed policy decides anew from these in milliseconds; only a changed scanner scans again.

    `content` is the `content_key` of what was looked at.
    """

    def __init__(self, facts: Facts, scanners: Sequence[Scanner], clock: Clock) -> None:
        self._facts = facts
        self._clock = clock
        self.scanners = tuple(scanners)
        self.scanner_set = ",".join(sorted(f"{s.name}@{s.version}" for s in self.scanners))

    async def get(self, scanner: Scanner, content: str, path: str) -> ScanReport | None:
        """The kept report, or None. A failure that may have passed by now stands for a day, then it is tried again."""
        key = _key(scanner, content, path)
        kept = await self._facts.get("report", key)
        if not isinstance(kept, dict):
            return None
        report = report_from_json(kept.get("report"))
        if report is None or not _is_transient(report):
            return report
        if self._clock.now().timestamp() - float(kept.get("at_s", 0)) < FAILURE_STANDS_S:
            return report
        await self._facts.put("scan_failure", key, 0)
        return None

    async def put(self, scanner: Scanner, content: str, path: str, report: ScanReport) -> None:
        """Keep a report. Raises ScanError for a failure that may pass on retry: the first tries are not kept and end
        in the pending form, the last one stands as evidence of failure (quarantine). An outage is never kept."""
        key = _key(scanner, content, path)
        if report.coverage.surface is Surface.FAILED and report.coverage.cause in OUTAGE_CAUSES:
            raise ScanError(f"the scan of {path!r} could not be run ({report.coverage.cause}); ask again")
        if _is_transient(report):
            tries = int(await self._facts.get("scan_failure", key) or 0) + 1
            await self._facts.put("scan_failure", key, tries)
            if tries < TRIES:
                raise ScanError(
                    f"the scan of {path!r} did not finish ({report.coverage.cause}), try {tries} of {TRIES}; ask again"
                )
        value = {"at_s": self._clock.now().timestamp(), "report": report_to_json(report)}
        await self._facts.put("report", key, value)

    async def forget(self, content: str, path: str) -> None:
        """Drop the reports of a file whose judged bytes proved not to be those of its digest."""
        for scanner in self.scanners:
            await self._facts.put("report", _key(scanner, content, path), None)


def content_key(sha256: str, size_bytes: int) -> str:
    """What names judged bytes: a look at the first part of a file, under a size that a listing lied about, says nothing
    of the whole."""
    return f"{sha256}:{size_bytes}"


def _is_transient(report: ScanReport) -> bool:
    return report.coverage.surface is Surface.FAILED and report.coverage.cause in TRANSIENT_CAUSES


def _key(scanner: Scanner, content: str, path: str) -> str:
    name = hashlib.sha256(path.rsplit("/", 1)[-1].lower().encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{content}:{scanner.name}:{scanner.version}:{name}"
