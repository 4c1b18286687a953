"""Gathers the evidence of one file: which bytes it is, and what each scanner says of them."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from gateway.domain.artifact import Artifact
from gateway.domain.evidence import ScanReport
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.fills import Fills
from gateway.enforcement.integrity import Integrity, check_size
from gateway.enforcement.reports import Reports, content_key
from gateway.enforcement.source import WHOLE_UP_TO_BYTES, EvidenceSource, WholeFileNeeded
from gateway.ports import BlobInfo, BlobStore, Facts, Upstream

_log = structlog.get_logger("gathering")


@dataclass(frozen=True, slots=True)
class FileEvidence:
    """The judged bytes by sha256, and one report per scanner."""

    sha256: str
    reports: tuple[ScanReport, ...]


class Gathering:
    """The PIP's side of admission: however many ask, each file is looked at once."""

    def __init__(
        self,
        reports: Reports,
        upstream: Upstream,
        store: BlobStore,
        facts: Facts,
        fills: Fills,
        integrity: Integrity,
        flights: SingleFlight,
    ) -> None:
        self._reports = reports
        self._upstream = upstream
        self._store = store
        self._facts = facts
        self._fills = fills
        self._integrity = integrity
        self._flights = flights

    async def gather(self, artifact: Artifact, access: str) -> FileEvidence:
        """Evidence of one file. Raises UpstreamError, IntegrityError, StoreError, ScanError (may pass on retry)."""
        key = ("evidence", artifact.entry.identity, artifact.path.rsplit("/", 1)[-1])
        return await self._flights.do(key, lambda: self._gather(artifact, access))

    async def bind(self, artifact: Artifact, access: str) -> str:
        """The sha256 of the file's bytes, fetched whole where the hub names them only by git SHA-1 (P3)."""
        await self._integrity.refuse_poisoned(artifact)
        known = await self._known_sha256(artifact)
        return known if known is not None else (await self._whole(artifact, access, None)).sha256

    async def _gather(self, artifact: Artifact, access: str) -> FileEvidence:
        await self._integrity.refuse_poisoned(artifact)
        sha256 = await self._known_sha256(artifact)
        if sha256 is not None and (kept := await self._kept(sha256, artifact)) is not None:
            return FileEvidence(sha256, kept)
        if not artifact.entry.is_lfs or artifact.entry.size_bytes <= WHOLE_UP_TO_BYTES:
            sha256 = (await self._whole(artifact, access, sha256)).sha256
            if (kept := await self._kept(sha256, artifact)) is not None:
                return FileEvidence(sha256, kept)
        assert sha256 is not None
        async with self._store.pin(sha256) as committed:
            check_size(artifact, committed)
            try:
                return await self._scan(artifact, access, sha256, committed)
            except WholeFileNeeded as needed:
                _log.info("scan.whole", repo=str(artifact.repo), path=artifact.path, cause=str(needed))
            blob = await self._fills.start(artifact, access).wait_committed()
            return await self._scan(artifact, access, sha256, blob)

    async def _scan(self, artifact: Artifact, access: str, sha256: str, blob: BlobInfo | None) -> FileEvidence:
        """A report by every scanner. Raises WholeFileNeeded where ranges do not do."""
        source = EvidenceSource(artifact, access, blob, self._upstream)
        fresh = []
        for scanner in self._reports.scanners:
            report = source.bound(await scanner.scan(source, artifact.path))
            _log.info(
                "scan.done",
                repo=str(artifact.repo),
                path=artifact.path,
                sha256=sha256,
                scanner=scanner.name,
                format=report.format,
                surface=report.coverage.surface.value,
                cause=report.coverage.cause,
                findings=len(report.findings),
                range_bytes=source.range_bytes,
            )
            content = content_key(sha256, artifact.entry.size_bytes)
            await self._reports.put(scanner, content, artifact.path, report)
            fresh.append(report)
        return FileEvidence(sha256, tuple(fresh))

    async def _kept(self, sha256: str, artifact: Artifact) -> tuple[ScanReport, ...] | None:
        """The reports of every scanner, or None where one is missing."""
        content = content_key(sha256, artifact.entry.size_bytes)
        kept = [await self._reports.get(scanner, content, artifact.path) for scanner in self._reports.scanners]
        known = tuple(report for report in kept if report is not None)
        return known if len(known) == len(kept) else None

    async def _known_sha256(self, artifact: Artifact) -> str | None:
        """As the hub names it, or as learnt when the bytes were fetched and verified."""
        if artifact.entry.sha256 is not None:
            return artifact.entry.sha256
        value = await self._facts.get("git_sha256", artifact.entry.git_oid)
        return value if isinstance(value, str) else None

    async def _whole(self, artifact: Artifact, access: str, known: str | None) -> BlobInfo:
        """The committed blob of a file that must be had whole before it is judged."""
        if known is not None and (blob := await self._store.stat(known)) is not None:
            check_size(artifact, blob)
            return blob
        blob = await self._fills.start(artifact, access).wait_committed()
        if not artifact.entry.is_lfs:
            await self._facts.put("git_sha256", artifact.entry.git_oid, blob.sha256)
        return blob
