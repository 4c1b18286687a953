"""Manifests and layers of a registry: a tag is allowed where everything that it leads to is.

A layer is a file of the default branch's revision, judged as that file is; or a small piece that the hub made for the
registry (a template, parameters), fetched whole, verified and judged by the same scanners and policy. Anything else
cannot be judged, and refuses the manifest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cachetools import TTLCache

from gateway.domain.artifact import FileEntry, Repo
from gateway.domain.decision import DecisionScope, Effect, Reason
from gateway.domain.errors import GatewayError
from gateway.domain.objects import Layer, Manifest
from gateway.domain.outcome import Absence, Denial, Failure, Refusal
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.admission import FRESH, Admission
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.context import GrantedFile, GrantedListing, GrantedManifest, RequestContext
from gateway.enforcement.objects import by_sha256, part_of, waiting
from gateway.enforcement.recording import Recording
from gateway.enforcement.refusing import Progress, refusal_for
from gateway.ports import Facts, Registry

LAYER_WAIT_S = 20.0  # Ollama gives up after 30 s of silence
MADE_BYTES = 1 << 20  # the largest piece that is judged without being a file of the repo
_HELD = 10_000


class Manifests:
    """Answers MANIFEST and LAYER; raises LedgerError alone. `ttl_s`: how long a tag is believed."""

    def __init__(
        self,
        admission: Admission,
        registry: Registry,
        facts: Facts,
        recording: Recording,
        flights: SingleFlight,
        *,
        ttl_s: float,
    ) -> None:
        self._admission = admission
        self._registry = registry
        self._facts = facts
        self._recording = recording
        self._flights = flights
        self._tags: TTLCache[tuple[Repo, str, str, str], Manifest] = TTLCache(_HELD, ttl_s, time.monotonic)

    async def manifest(self, context: RequestContext, request: HubRequest) -> GrantedManifest | Refusal:
        """What a tag names, where all of it is allowed; `request.path` is the tag."""
        listing = await self._listing(context, request)
        if not isinstance(listing, GrantedListing):
            return listing
        try:
            manifest = await self._named(listing, request.path)
            places = _places(manifest, listing)
            if not all(places.values()):
                # The branch may have moved on since it was believed last.
                fresh = await self._listing(context, request, fresh=True)
                if not isinstance(fresh, GrantedListing):
                    return fresh
                listing, manifest = fresh, await self._named(fresh, request.path)
                places = _places(manifest, listing)
        except GatewayError as error:
            return await self._refused(context, request, refusal_for(error, Progress()))
        if (unplaced := next((layer for layer, asked in places.items() if not asked), None)) is not None:
            return await self._refused(context, request, _unjudged(listing, unplaced))
        files: dict[str, FileEntry] = {}
        until_s = time.monotonic() + LAYER_WAIT_S
        for layer, asked in places.items():
            result = await self._first(waiting(context, until_s), asked)
            if isinstance(result, Absence):
                missing = Failure("upstream/malformed", "its manifest leads to bytes that it does not have")
                return await self._refused(context, request, missing)
            if not isinstance(result, GrantedFile):
                return result
            files[layer.sha256] = result.artifact.entry
            await self._remember(result)
        await self._recording.granted(context, request, listing, remembered=True)
        return GrantedManifest(manifest, files)

    async def layer(self, context: RequestContext, request: HubRequest) -> GrantedFile | Refusal:
        """The bytes of a digest (`request.path`): a file of the default branch, or what a manifest led to before."""
        context = waiting(context, time.monotonic() + LAYER_WAIT_S)
        listing = await self._listing(context, request)
        if not isinstance(listing, GrantedListing):
            return listing
        bare = _bare(listing)
        if found := by_sha256(listing.snapshot).get(request.path):
            return await self._first(context, [replace(bare, path=entry.path) for entry in found])
        value = await self._facts.get("layer", _key(listing.snapshot.repo.repo, request.path))
        if not isinstance(value, dict):
            return await self._refused(context, request, Absence("entry", "This repo has no such blob"))
        return await self._first(context, [_seen(bare, request.path, value)])

    async def _listing(
        self, context: RequestContext, request: HubRequest, *, fresh: bool = False
    ) -> GrantedListing | Refusal:
        """The default branch's revision, where it is allowed; `fresh`: as the hub says now, whatever was believed."""
        query = {FRESH: ("true",)} if fresh else {}
        asked = replace(request, kind=RequestKind.OBJECT, ref="", path="", query=query)
        listing = await part_of(self._admission, context, asked)
        assert not isinstance(listing, GrantedFile)
        return listing

    async def _named(self, listing: GrantedListing, tag: str) -> Manifest:
        """The hub's manifest, asked for once a commit however many want it. Raises UpstreamError."""
        repo, access, commit = (
            listing.snapshot.repo.repo,
            listing.snapshot.repo.access,
            listing.snapshot.revision.commit,
        )
        key = (repo, tag, access, commit)
        if (known := self._tags.get(key)) is not None:
            return known

        async def ask() -> Manifest:
            manifest = self._tags[key] = await self._registry.manifest(repo, tag, access)
            return manifest

        return await self._flights.do(("manifest", key), ask)

    async def _first(self, context: RequestContext, asked: Sequence[HubRequest]) -> GrantedFile | Refusal:
        """The first of the files with these bytes that is allowed; else the refusal of the first."""
        refusals: list[Refusal] = []
        for request in asked:
            result = await part_of(self._admission, context, request)
            assert not isinstance(result, GrantedListing)
            if isinstance(result, GrantedFile):
                return result
            refusals.append(result)
        return refusals[0]

    async def _remember(self, granted: GrantedFile) -> None:
        """That this repo's registry led to these bytes: `main` may move before they are fetched."""
        entry, commit = granted.artifact.entry, granted.artifact.commit
        value = {"commit": commit, "path": entry.path, "size": entry.size_bytes, "made": not entry.git_oid}
        await self._facts.put("layer", _key(granted.artifact.repo, granted.sha256), value)

    async def _refused(self, context: RequestContext, request: HubRequest, refusal: Refusal) -> Refusal:
        await self._recording.refused(context, request, refusal)
        return refusal


def _bare(listing: GrantedListing) -> HubRequest:
    """A part of the request, at the commit that the default branch points to."""
    snapshot = listing.snapshot
    return HubRequest(RequestKind.OBJECT, snapshot.repo.repo, snapshot.revision.commit)


def _places(manifest: Manifest, listing: GrantedListing) -> dict[Layer, list[HubRequest]]:
    """By what each layer is judged: the files that it may be, or itself where it is a small piece; none: not at all."""
    bare, entries = _bare(listing), by_sha256(listing.snapshot)
    places: dict[Layer, list[HubRequest]] = {}
    for layer in manifest.parts:
        found = [entry for entry in entries.get(layer.sha256, ()) if entry.size_bytes == layer.size_bytes]
        places[layer] = [replace(bare, path=entry.path) for entry in found]
        if layer.sha256 not in entries and layer.name and layer.size_bytes <= MADE_BYTES:
            places[layer] = [_made(bare, layer.name, layer.sha256, layer.size_bytes)]
    return places


def _made(bare: HubRequest, name: str, sha256: str, size_bytes: int) -> HubRequest:
    return replace(bare, path=name, query={"layer": (sha256, str(size_bytes))})


def _seen(bare: HubRequest, sha256: str, value: Mapping[str, Any]) -> HubRequest:
    """A layer of a manifest that was answered before, to be judged anew where it was judged then."""
    bare = replace(bare, ref=str(value["commit"]))
    if value["made"]:
        return _made(bare, str(value["path"]), sha256, int(value["size"]))
    return replace(bare, path=str(value["path"]))


def _unjudged(listing: GrantedListing, layer: Layer) -> Denial:
    reason = Reason(
        "protocol/unjudged-layer",
        "high",
        f"the manifest leads to sha256:{layer.sha256[:12]} ({layer.media_type}), which is no file of the repo "
        "and no small piece that can be judged by itself",
        "fetch the GGUF file by name instead",
    )
    commit = listing.snapshot.revision.commit
    return Denial(Effect.DENY, DecisionScope.REVISION, (reason,), listing.decision.id, commit)


def _key(repo: Repo, sha256: str) -> str:
    return f"{repo.hub}|{repo}|{sha256}"
