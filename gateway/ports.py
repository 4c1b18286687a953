"""Every port of the core: what an adapter must do, and the errors it may raise.

Adapters implement these and import nothing of each other. One interface, many wrappers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gateway.domain.artifact import Artifact, FileEntry, Repo, RepoType, Span
from gateway.domain.decision import Decision, Query
from gateway.domain.evidence import ScanReport, Snapshot
from gateway.domain.objects import JudgedObject, Manifest
from gateway.domain.outcome import Refusal
from gateway.domain.record import Durability, Record
from gateway.domain.request import HubRequest
from gateway.domain.subject import Client, Subject


class RangeSource(Protocol):
    """Bounded random access to one file's bytes: a local blob, a running fill, or range reads upstream."""

    @property
    def size_bytes(self) -> int: ...

    async def read(self, offset: int, length: int) -> bytes:
        """Return exactly the bytes [offset, offset + length) cut at the end of the file.

        Raises UpstreamError (source lost), IntegrityError (other bytes than before), StoreError.
        """


class Scanner(Protocol):
    """A PIP: looks at one file and reports. Never raises for hostile content: that is Coverage or a Finding."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    async def scan(self, source: RangeSource, path: str) -> ScanReport:
        """Report on the file; errors of `source` propagate unchanged."""


class PolicyEngine(Protocol):
    """A PDP. Raises PolicyError with its code; never answers in doubt."""

    @property
    def policy_digest(self) -> str: ...

    @property
    def data_digest(self) -> str: ...

    async def decide(self, query: Query) -> Decision:
        """Evaluate `data.gateway.decision` for the query."""

    async def ready(self) -> str:
        """Return "" when a decision can be made now, else one sentence why not."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a ref points now, and which credential opened it: "anonymous" or "gateway_token"."""

    commit: str
    access: str


@dataclass(frozen=True, slots=True)
class KnownCommit:
    """What an earlier answer said of a commit: what cannot change of it is not asked for again.

    `is_fresh`: the facts of its repo are still believed too, so that only the kind of the ref may be missing.
    """

    snapshot: Snapshot
    is_fresh: bool


class Upstream(Protocol):
    """The network end of a hub. Raises UpstreamError and its kinds."""

    async def resolve(self, repo: Repo, ref: str) -> Resolved:
        """Resolve a mutable ref ("" for the default branch) to a commit."""

    async def snapshot(
        self, repo: Repo, ref: str, commit: str, access: str, known: KnownCommit | None = None
    ) -> Snapshot:
        """All facts of one revision. `ref` is the ref asked for and decides ref_kind; `known` is of the same commit."""

    async def read_range(self, artifact: Artifact, span: Span, access: str) -> bytes:
        """Read exactly one range of a file at its pinned digest and ETag."""

    def open(
        self, artifact: Artifact, access: str, start: int = 0
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Stream the file from `start` to its end. Raises UpstreamError also between chunks."""

    async def forward(self, repo: Repo, name: str, query: Mapping[str, tuple[str, ...]], access: str) -> Any:
        """A bounded JSON answer of another read route (`refs`, or `info` / `tree` with `expand`), unfiltered."""


@dataclass(frozen=True, slots=True)
class FoundRow:
    """One repo that a search found. `is_public`: the hub says nothing to the contrary; `value` is its own JSON."""

    repo: Repo
    is_public: bool
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page of a search. `cursor` opens the next one, "" for none; `size_bytes` is that of the hub's answer."""

    rows: tuple[FoundRow, ...]
    cursor: str = ""
    size_bytes: int = 0


class Catalog(Protocol):
    """What a hub knows of its repos at large. Raises UpstreamError and its kinds."""

    async def search(self, kind: RepoType, query: Mapping[str, tuple[str, ...]]) -> FoundPage:
        """One page, asked as a stranger. `query` holds the parameters of the hub, its cursor among them."""


class Registry(Protocol):
    """The registry of a hub, which names layers by tags. Raises UpstreamError and its kinds."""

    async def manifest(self, repo: Repo, tag: str, access: str) -> Manifest:
        """What a tag names; UpstreamNotFound ("entry") where there is no such tag, or no registry."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A committed blob: verified bytes, visible under its sha256."""

    sha256: str
    size_bytes: int
    path: Path


class Staging(Protocol):
    """Unverified bytes on their way in. Left without `commit` = discarded."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def path(self) -> Path: ...

    async def write(self, chunk: bytes) -> None:
        """Append and hash. Raises StoreError (disk full)."""

    async def commit(self, expected: FileEntry) -> BlobInfo:
        """Verify size and digest (sha256, or the git blob id), fsync, make visible.

        Raises IntegrityError (nothing becomes visible) or StoreError.
        """

    async def discard(self) -> None: ...


class BlobStore(Protocol):
    """Verified bytes by sha256."""

    async def stat(self, sha256: str) -> BlobInfo | None:
        """The blob, or None. Marks it as used."""

    def pin(self, sha256: str) -> AbstractAsyncContextManager[BlobInfo | None]:
        """Keep the blob from eviction while it is served."""

    async def stage(self, size_bytes: int) -> Staging:
        """Room for `size_bytes` of unverified bytes; evicts whole blobs if the quota asks. Raises StoreError."""


class Facts(Protocol):
    """Small JSON facts by namespace and key, kept over restarts: reports, decisions, inputs, first-seen, oids."""

    async def get(self, namespace: str, key: str) -> Any | None: ...

    async def put(self, namespace: str, key: str, value: Any) -> None: ...

    async def put_if_absent(self, namespace: str, key: str, value: Any) -> Any:
        """Store unless present; return what is stored now."""


class Ledger(Protocol):
    """The audit trail. Returned = as durable as asked. Raises LedgerError: then nothing may be served."""

    async def record(self, record: Record, durability: Durability) -> None: ...

    def healthy(self) -> bool:
        """False after a failed write or sync: final until restart."""


class DecisionLog(Protocol):
    """What is on record of one decision."""

    async def find(self, decision_id: str) -> Sequence[Mapping[str, Any]]:
        """Its records of kind "decision", as they were written, oldest first: the earliest few and the latest few.

        Empty where no such decision is on record. What was recorded before the call is found. Raises LedgerError.
        """


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request presents: the bearer token ("" for none) and the peer's address."""

    token: str
    address: str


class Identifier(Protocol):
    """Who asks? Raises IdentityError with a code `identity/…`."""

    async def identify(self, credential: Credential) -> Subject | None:
        """A subject; None where this identifier does not know the kind of credential (ask the next one)."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """An answer ready for the wire. `headers` may repeat a name; no value holds CR, LF or a non-ASCII character."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


class Grammar(Protocol):
    """How a hub is asked: its URL grammar. No I/O."""

    def parse(self, method: str, raw_target: str, content_type: str = "", body: bytes = b"") -> HubRequest:
        """Read the raw request target (path and query, undecoded) and the small body of a POST.

        Raises UnroutableRequest for everything that the grammar does not name.
        """

    def tombstone_ref(self, repo: Repo, ref: str) -> str | None:
        """The refused ref (or commit prefix) that an invented commit names, "" for the default branch; else None."""


class Words(Protocol):
    """How a hub answers: its headers, its JSON and its error words. No I/O."""

    def file(self, artifact: Artifact, decision: Decision) -> Rendering:
        """Status 200 and the headers of an allowed file, without Content-Length and body."""

    def listing(self, request: HubRequest, snapshot: Snapshot, decision: Decision, payload: Any = None) -> Rendering:
        """INFO, TREE, PATHS_INFO and REFS: hidden paths removed, Xet hashes stripped, links our own.

        `payload` is the forwarded upstream JSON for REFS and for `expand` requests.
        """

    def pointer(self, artifact: Artifact) -> Rendering:
        """RAW of an allowed LFS file: the text that git keeps in its place.

        Raises UpstreamUnavailable where the hub's own is another one.
        """

    def page(self, artifact: Artifact, sha256: str, decision: Decision) -> Rendering:
        """BLOB: a page for people about an allowed file, whose judged bytes have this digest."""

    def found(self, request: HubRequest, rows: Sequence[FoundRow], cursor: str) -> Rendering:
        """SEARCH: the rows, and a link of our own to the page behind `cursor` ("" for none)."""

    def manifest(self, manifest: Manifest, files: Mapping[str, FileEntry], client: Client) -> Rendering:
        """MANIFEST: in our own words; `files` by sha256 are what its layers were judged as."""

    def layer(self, artifact: Artifact, sha256: str) -> Rendering:
        """LAYER: status 200 and the headers of an allowed one, without Content-Length and body."""

    def batch(self, objects: Sequence[JudgedObject]) -> Rendering:
        """LFS_BATCH: each object with an address of our own, or its refusal."""

    def local(self, request: HubRequest, subject: Subject) -> Rendering:
        """WHOAMI, TELEMETRY, HARNESSES: answered here."""

    def refuse(self, request: HubRequest | None, method: str, refusal: Refusal) -> Rendering:
        """The hub's own error words for a refusal, with reason, rule, decision id and next step."""


class Dialect(Grammar, Words, Protocol):
    """The pure half of a hub."""
