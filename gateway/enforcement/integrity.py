"""What follows when the hub serves other bytes than were judged: recorded, blocked for a while, judged anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from gateway.clock import Clock
from gateway.domain.artifact import Artifact
from gateway.domain.errors import IntegrityError
from gateway.enforcement.fill import Fill
from gateway.enforcement.recording import Recording
from gateway.enforcement.reports import Reports, content_key
from gateway.ports import BlobInfo, Facts

POISONED_S = 300.0
_log = structlog.get_logger("integrity")


def check_size(artifact: Artifact, blob: BlobInfo | None) -> None:
    """Raises IntegrityError where a stored blob has another size than the listing that led to it says. Only the listing
    is wrong then: the blob was verified."""
    if blob is not None and blob.size_bytes != artifact.entry.size_bytes:
        raise IntegrityError(
            f"the hub's listing gives {artifact.path!r} {artifact.entry.size_bytes} bytes, "
            f"but the file of its digest has {blob.size_bytes}"
        )


class Integrity:
    """`changed` raises the generation, so that no grant of the old bytes is remembered."""

    def __init__(
        self, facts: Facts, reports: Reports, recording: Recording, clock: Clock, changed: Callable[[], object]
    ) -> None:
        self._facts = facts
        self._reports = reports
        self._recording = recording
        self._clock = clock
        self._changed = changed

    async def refuse_poisoned(self, artifact: Artifact) -> None:
        """Raises IntegrityError while the digest is blocked."""
        value = await self._facts.get("poisoned", artifact.entry.identity)
        if isinstance(value, dict) and self._clock.now().timestamp() < float(value.get("until_s", 0)):
            raise IntegrityError(
                f"the hub served other bytes for {artifact.path!r} than its digest names; "
                f"the digest is blocked for {POISONED_S:.0f} s"
            )

    async def poison(self, artifact: Artifact, cause: str, takers: Sequence[Mapping[str, object]] = ()) -> None:
        """Block the digest for a while, forget its reports, and record the event. `takers`: who had bytes of it."""
        digest = str(artifact.entry.digest)
        until_s = self._clock.now().timestamp() + POISONED_S
        await self._facts.put("poisoned", artifact.entry.identity, {"path": artifact.path, "until_s": until_s})
        if artifact.entry.sha256 is not None:
            await self._reports.forget(content_key(artifact.entry.sha256, artifact.entry.size_bytes), artifact.path)
        self._changed()
        _log.error("integrity.mismatch", repo=str(artifact.repo), path=artifact.path, digest=digest, cause=cause)
        await self._recording.event(
            "integrity/mismatch",
            repo=str(artifact.repo),
            commit=artifact.commit,
            path=artifact.path,
            digest=digest,
            cause=cause,
            **({"takers": list(takers)} if takers else {}),
        )

    async def ended(self, fill: Fill) -> None:
        """A fill is over: learn the sha256 of a file named by git SHA-1, or act on what did not verify."""
        entry = fill.artifact.entry
        if fill.blob is not None and entry.sha256 is None:
            await self._facts.put("git_sha256", entry.git_oid, fill.blob.sha256)
        if isinstance(fill.error, IntegrityError):
            await self.poison(fill.artifact, str(fill.error), fill.takers.plain())
