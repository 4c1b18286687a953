"""Gathers the evidence of one file: which bytes it is, and what each scanner says of them."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from gateway.domain.artifact import Artifact
from gateway.domain.errors import IntegrityError
from gateway.domain.evidence import ScanReport
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.fills import Fills
from gateway.enforcement.integrity import Integrity
from gateway.enforcement.reports import Reports
from gateway.enforcement.source import EvidenceSource
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
        key = ("evidence", str(artifact.entry.digest), artifact.path.rsplit("/", 1)[-1])
        return await self._flights.do(key, lambda: self._gather(artifact, access))

    async def bind(self, artifact: Artifact, access: str) -> str:
        """The sha256 of the file's bytes, fetched whole where the hub names them only by git SHA-1 (P3)."""
        await self._integrity.refuse_poisoned(artifact)
        known = await self._known_sha256(artifact)
        return known if known is not None else (await self._whole(artifact, access, None)).sha256

    async def _gather(self, artifact: Artifact, access: str) -> FileEvidence:
        await self._integrity.refuse_poisoned(artifact)
        sha256 = await self._known_sha256(artifact)
        if sha256 is not None and (kept := await self._kept(sha256, artifact.path)) is not None:
            return FileEvidence(sha256, kept)
        if artifact.entry.is_lfs:
            assert sha256 is not None
            blob = await self._store.stat(sha256)
        else:
            blob = await self._whole(artifact, access, sha256)
            sha256 = blob.sha256
            if (kept := await self._kept(sha256, artifact.path)) is not None:
                return FileEvidence(sha256, kept)
        source = EvidenceSource(artifact, access, blob, self._fills, self._upstream)
        fresh = []
        for scanner in self._reports.scanners:
            report = await self._bound(source, artifact, await scanner.scan(source, artifact.path))
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
            await self._reports.put(scanner, sha256, artifact.path, report)
            fresh.append(report)
        return FileEvidence(sha256, tuple(fresh))

    async def _bound(self, source: EvidenceSource, artifact: Artifact, report: ScanReport) -> ScanReport:
        """The report bound to the bytes that will be served (P3). Raises IntegrityError, and blocks the digest."""
        try:
            return await source.bound(report)
        except IntegrityError as error:
            if self._fills.running(artifact) is None:  # else the end of the fill tells
                await self._integrity.poison(artifact, str(error))
            raise

    async def _kept(self, sha256: str, path: str) -> tuple[ScanReport, ...] | None:
        """The reports of every scanner, or None where one is missing."""
        kept = [await self._reports.get(scanner, sha256, path) for scanner in self._reports.scanners]
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
            return blob
        blob = await self._fills.start(artifact, access).wait_committed()
        await self._facts.put("git_sha256", artifact.entry.git_oid, blob.sha256)
        return blob
