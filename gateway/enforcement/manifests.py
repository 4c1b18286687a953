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
from gateway.domain.outcome import Absence, Denial, Refusal
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.admission import Admission
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.context import GrantedFile, GrantedListing, GrantedManifest, RequestContext
from gateway.enforcement.objects import by_sha256, part_of
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
        self._tags: TTLCache[tuple[Repo, str, str], Manifest] = TTLCache(_HELD, ttl_s, time.monotonic)

    async def manifest(self, context: RequestContext, request: HubRequest) -> GrantedManifest | Refusal:
        """What a tag names, where all of it is allowed; `request.path` is the tag."""
        listing = await self._listing(context, request)
        if not isinstance(listing, GrantedListing):
            return listing
        try:
            manifest = await self._named(listing.snapshot.repo.repo, request.path, listing.snapshot.repo.access)
        except GatewayError as error:
            return await self._refused(context, request, refusal_for(error, Progress()))
        entries = by_sha256(listing.snapshot)
        files: dict[str, FileEntry] = {}
        for layer in {part.sha256: part for part in manifest.parts}.values():
            result = await self._layer(context, _bare(listing), layer, entries)
            if result is None:
                return await self._refused(context, request, _unjudged(listing, layer))
            if not isinstance(result, GrantedFile):
                return result
            files[layer.sha256] = result.artifact.entry
            await self._remember(result)
        await self._recording.granted(context, request, listing, remembered=True)
        return GrantedManifest(manifest, files)

    async def layer(self, context: RequestContext, request: HubRequest) -> GrantedFile | Refusal:
        """The bytes of a digest (`request.path`): a file of the default branch, or what a manifest led to before."""
        context = replace(context, patience_s=LAYER_WAIT_S)
        listing = await self._listing(context, request)
        if not isinstance(listing, GrantedListing):
            return listing
        bare, found = _bare(listing), by_sha256(listing.snapshot).get(request.path, ())
        if found:
            result = await self._first(context, bare, found)
        else:
            value = await self._facts.get("layer", _key(listing.snapshot.repo.repo, request.path))
            if not isinstance(value, dict):
                absent = Absence("entry", "This repo has no such blob")
                return await self._refused(context, request, absent)
            result = await self._seen(context, bare, request.path, value)
        return result

    async def _listing(self, context: RequestContext, request: HubRequest) -> GrantedListing | Refusal:
        """The default branch's revision, where it is allowed."""
        asked = replace(request, kind=RequestKind.OBJECT, ref="", path="", query={})
        listing = await part_of(self._admission, context, asked)
        assert not isinstance(listing, GrantedFile)
        return listing

    async def _named(self, repo: Repo, tag: str, access: str) -> Manifest:
        """The hub's manifest, asked for once however many want it. Raises UpstreamError."""
        key = (repo, tag, access)
        if (known := self._tags.get(key)) is not None:
            return known

        async def ask() -> Manifest:
            manifest = self._tags[key] = await self._registry.manifest(repo, tag, access)
            return manifest

        return await self._flights.do(("manifest", key), ask)

    async def _layer(
        self, context: RequestContext, bare: HubRequest, layer: Layer, entries: Mapping[str, Sequence[FileEntry]]
    ) -> GrantedFile | Refusal | None:
        """One layer, judged; None where it cannot be."""
        found = [entry for entry in entries.get(layer.sha256, ()) if entry.size_bytes == layer.size_bytes]
        if found:
            return await self._first(context, bare, found)
        if layer.sha256 in entries or not layer.name or layer.size_bytes > MADE_BYTES:
            return None
        return await self._part(context, _made(bare, layer.name, layer.sha256, layer.size_bytes))

    async def _first(
        self, context: RequestContext, bare: HubRequest, found: Sequence[FileEntry]
    ) -> GrantedFile | Refusal:
        """The first of the files with these bytes that is allowed; else the refusal of the first."""
        results = [await self._part(context, replace(bare, path=found[0].path))]
        for entry in found[1:]:
            if isinstance(results[-1], GrantedFile):
                break
            results.append(await self._part(context, replace(bare, path=entry.path)))
        return results[-1] if isinstance(results[-1], GrantedFile) else results[0]

    async def _seen(
        self, context: RequestContext, bare: HubRequest, sha256: str, value: Mapping[str, Any]
    ) -> GrantedFile | Refusal:
        """A layer of a manifest that was answered before, judged anew where it was judged then."""
        bare = replace(bare, ref=str(value["commit"]))
        if value["made"]:
            return await self._part(context, _made(bare, str(value["path"]), sha256, int(value["size"])))
        return await self._part(context, replace(bare, path=str(value["path"])))

    async def _part(self, context: RequestContext, request: HubRequest) -> GrantedFile | Refusal:
        result = await part_of(self._admission, context, request)
        assert not isinstance(result, GrantedListing)
        return result

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


def _made(bare: HubRequest, name: str, sha256: str, size_bytes: int) -> HubRequest:
    return replace(bare, path=name, query={"layer": (sha256, str(size_bytes))})


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
