"""Batches of objects that are asked for by digest (git-lfs): each is judged as the file that it is.

Only what an allowed revision lists can be asked for: a digest is looked up in its files, never in the blob store, so
nobody learns by it what other repos hold. Each object then passes the one door at the resolved commit, as its file
would, and is on record, durably, before its address is told (design §8).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.domain.artifact import FileEntry
from gateway.domain.errors import GatewayError
from gateway.domain.evidence import Snapshot
from gateway.domain.objects import JudgedObject
from gateway.domain.outcome import Absence, Pending, Refusal, Refused
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.admission import Admission
from gateway.enforcement.context import Assembled, Granted, GrantedBatch, GrantedFile, GrantedListing, RequestContext
from gateway.enforcement.recording import Recording
from gateway.enforcement.refusing import UNDER_WAY

BATCH_WAIT_S = 20.0  # git-lfs gives up after 30 s of silence (lfs.activitytimeout)
AT_ONCE = 16
_LEAST_WAIT_S = 0.5


class Objects:
    """Answers LFS_BATCH; raises LedgerError alone."""

    def __init__(self, admission: Admission, recording: Recording, *, wait_s: float = BATCH_WAIT_S) -> None:
        self._admission = admission
        self._recording = recording
        self._wait_s = wait_s

    async def admit(self, context: RequestContext, request: HubRequest) -> GrantedBatch | Refusal:
        """The objects of a batch, each allowed or refused by itself; or the refusal of all."""
        if (refused := _refused_at_sight(request)) is not None:
            await self._recording.refused(context, request, refused)
            return refused
        wanted = request.query["objects"]
        bare = replace(request, kind=RequestKind.OBJECT, ref="".join(request.query.get("ref", ())), query={})
        listing = await part_of(self._admission, context, bare)
        if isinstance(listing, Absence) and listing.what == "revision" and bare.ref:
            # git-lfs names the branch of the clone, which the hub need not have.
            listing = await part_of(self._admission, context, replace(bare, ref=""))
        if not isinstance(listing, GrantedListing):
            assert not isinstance(listing, GrantedFile)
            return listing
        judged = await self._judged(context, bare, listing.snapshot, wanted)
        return _not_yet(judged) or GrantedBatch(judged)

    async def _judged(
        self, context: RequestContext, bare: HubRequest, snapshot: Snapshot, wanted: Sequence[str]
    ) -> tuple[JudgedObject, ...]:
        """Each wanted object, in the order asked."""
        entries = by_sha256(snapshot)
        until_s, turns = time.monotonic() + self._wait_s, asyncio.Semaphore(AT_ONCE)

        async def judge(named: str) -> JudgedObject:
            sha256, _, size = named.partition(":")
            found = [entry for entry in entries.get(sha256, ()) if entry.size_bytes == int(size)]
            async with turns:
                return await self._object(context, bare, snapshot, JudgedObject(sha256, int(size)), found, until_s)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(judge(named)) for named in wanted]
        except* GatewayError as failures:
            raise failures.exceptions[0] from None
        return tuple(task.result() for task in tasks)

    async def _object(
        self,
        context: RequestContext,
        bare: HubRequest,
        snapshot: Snapshot,
        wanted: JudgedObject,
        found: Sequence[FileEntry],
        until_s: float,
    ) -> JudgedObject:
        """The first of the files with these bytes that is allowed; else the refusal of the first."""
        refusals: list[Refusal] = []
        for entry in found:
            of_file = replace(bare, repo=snapshot.repo.repo, ref=snapshot.revision.commit, path=entry.path)
            result = await part_of(self._admission, waiting(context, until_s), of_file)
            if isinstance(result, GrantedFile):
                return replace(wanted, artifact=result.artifact)
            assert not isinstance(result, GrantedListing)
            refusals.append(result)
        absent = Absence("entry", "No file of this revision has this oid and size")
        return replace(wanted, refusal=refusals[0] if refusals else absent)


async def part_of(admission: Admission, context: RequestContext, request: HubRequest) -> Granted | Refusal:
    """One part of an assembled answer, by the one door: an OBJECT without a path asks for its revision."""
    result = await admission.admit(context, request)
    assert not isinstance(result, Assembled)
    return result


def waiting(context: RequestContext, until_s: float) -> RequestContext:
    """The same request, whose parts are waited for until a monotonic time, all together."""
    return replace(context, patience_s=max(_LEAST_WAIT_S, until_s - time.monotonic()))


def by_sha256(snapshot: Snapshot) -> Mapping[str, list[FileEntry]]:
    """The files of a revision by the digest that the hub names them by."""
    entries: dict[str, list[FileEntry]] = {}
    for file in snapshot.revision.files:
        if file.entry.sha256 is not None:
            entries.setdefault(file.entry.sha256, []).append(file.entry)
    return entries


def _refused_at_sight(request: HubRequest) -> Refused | None:
    """What needs neither hub nor policy: a batch that cannot be read, and an upload."""
    if fault := request.query.get("fault"):
        return Refused(400, "route/malformed", fault[0])
    if "upload" in request.query.get("operation", ()):
        return Refused(403, "route/read-only", "this gateway is read-only: publish to the hub itself")
    return None


def _not_yet(judged: Sequence[JudgedObject]) -> Pending | None:
    """Should the whole batch be asked for again? git-lfs waits and asks again for a batch, never for one object.

    So a scan under way holds all of it, and it succeeds in the end. Our own outage does not hold what is granted (P5).
    """
    waiting = [o.refusal for o in judged if isinstance(o.refusal, Pending)]
    under_way = [pending for pending in waiting if pending.code == UNDER_WAY]
    if under_way:
        return replace(under_way[0], commit="", entry=None, artifact=None)
    is_all = waiting and not any(o.artifact is not None for o in judged)
    return waiting[0] if is_all else None
