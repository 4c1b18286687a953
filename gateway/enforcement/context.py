"""Who asks, from where, with what: the frame of one request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain.artifact import Artifact, FileEntry
from gateway.domain.decision import Decision
from gateway.domain.evidence import JudgedSpan, Snapshot
from gateway.domain.objects import JudgedObject, Manifest
from gateway.domain.subject import Client, Subject
from gateway.ports import FoundRow


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The frame of one request. `mode` is "serve" or "check"; `target` the raw request target, for the record;
    `started_s` the monotonic time of its arrival; `patience_s` how long to wait for a decision, None: as clients do."""

    request_id: str
    method: str
    subject: Subject
    client: Client
    address: str
    mode: str = "serve"
    started_s: float = field(default_factory=time.monotonic)
    target: str = ""
    patience_s: float | None = None

    def asker(self, *, with_origin: bool) -> str:
        """What of the one who asks may change a decision, as a key. `with_origin`: the policy reads the client or the
        address too, which belong to the request and not to the subject."""
        if not with_origin:
            return self.subject.projection
        return f"{self.subject.projection}\x1f{self.client.name!r}\x1f{self.client.version!r}\x1f{self.address!r}"


@dataclass(frozen=True, slots=True)
class GrantedFile:
    """An allowed file. `sha256` is the digest of the bytes that were judged; `spans` bind what was read by ranges.
    `inert_in_part`: a part of it can do no harm, so that ranges may leave before the whole is verified."""

    artifact: Artifact
    decision: Decision
    sha256: str
    access: str
    spans: tuple[JudgedSpan, ...] = ()
    inert_in_part: bool = False


@dataclass(frozen=True, slots=True)
class GrantedListing:
    """An allowed metadata answer; `payload` is the forwarded JSON of routes that the snapshot does not hold."""

    snapshot: Snapshot
    decision: Decision
    payload: object = None


@dataclass(frozen=True, slots=True)
class GrantedPage:
    """A page of a search, without what this subject may not have; `cursor` opens the next one ("" for none)."""

    rows: tuple[FoundRow, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class GrantedBatch:
    """The objects of an LFS batch, each with its file or its own refusal."""

    objects: tuple[JudgedObject, ...]


@dataclass(frozen=True, slots=True)
class GrantedManifest:
    """A manifest all of whose layers are allowed; `files` by sha256 are what they were judged as."""

    manifest: Manifest
    files: Mapping[str, FileEntry]


Granted = GrantedFile | GrantedListing
Assembled = GrantedPage | GrantedBatch | GrantedManifest
