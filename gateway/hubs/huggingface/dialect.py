"""The dialect of the Hugging Face hub: its URL grammar and its words, tied together. Pure: no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from gateway.domain.artifact import Artifact, FileEntry, Repo
from gateway.domain.decision import Decision
from gateway.domain.evidence import Snapshot
from gateway.domain.explaining import Explaining
from gateway.domain.objects import JudgedObject, Manifest
from gateway.domain.outcome import Absence, Refusal
from gateway.domain.request import HubRequest, RequestKind
from gateway.domain.subject import Client, Subject, SubjectKind
from gateway.hubs.huggingface import commits, grammar, lfs, refusals
from gateway.hubs.huggingface.files import file_headers
from gateway.hubs.huggingface.listing import UnknownFolder, json_answer, listing_value
from gateway.hubs.huggingface.manifests import blob_headers, manifest_answer, ping
from gateway.hubs.huggingface.page import file_page
from gateway.hubs.huggingface.pointer import pointer
from gateway.hubs.huggingface.scrub import HUB_ORIGINS, Scrub
from gateway.hubs.huggingface.search import next_link, row_json
from gateway.hubs.huggingface.tombstone import Tombstone
from gateway.hubs.huggingface.words import one_line, warning_headers
from gateway.ports import FoundRow, Rendering


class HuggingFaceDialect:
    """Implements `ports.Dialect`. `public_url` is where clients reach the gateway; `tombstone_key` is a secret of at
    least 16 bytes; links to `upstream_origins` in the hub's JSON are rewritten to `public_url`; `contact` is whom
    refusals name, "" for nobody."""

    def __init__(
        self,
        hub_name: str,
        public_url: str,
        tombstone_key: bytes,
        *,
        upstream_origins: tuple[str, ...] = HUB_ORIGINS,
        contact: str = "",
    ) -> None:
        self._hub = hub_name
        self._explaining = Explaining(public_url.rstrip("/"), contact)
        self._public_url = public_url.rstrip("/")
        self._tombstone = Tombstone(tombstone_key)
        self._scrub = Scrub(public_url, tuple({*HUB_ORIGINS, *upstream_origins}))

    def parse(self, method: str, raw_target: str, content_type: str = "", body: bytes = b"") -> HubRequest:
        """Read one request. Raises UnroutableRequest for everything that the grammar does not name."""
        return grammar.parse(self._hub, method, raw_target, content_type, body)

    def tombstone_ref(self, repo: Repo, ref: str) -> str | None:
        """What to judge again where `ref` is an invented commit: the ref (or a prefix of the commit) that was refused,
        "" for the default branch; None where `ref` is no invented commit of this repo."""
        return self._tombstone.ref_of(repo, ref)

    def file(self, artifact: Artifact, decision: Decision) -> Rendering:
        """Status 200 and the headers of an allowed file, without Content-Length and body."""
        concerning = [w for w in decision.warnings if w.path in ("", artifact.path)]
        warnings = warning_headers(concerning, decision.id, self._explaining)
        return Rendering(200, (*file_headers(artifact.commit, artifact.entry), *warnings))

    def listing(self, request: HubRequest, snapshot: Snapshot, decision: Decision, payload: object = None) -> Rendering:
        """Allowed metadata of a repo. 404 EntryNotFound for a folder that is not there."""
        try:
            value = listing_value(request, snapshot, decision, payload, self._scrub)
        except UnknownFolder:
            absence = Absence("entry", f"{one_line(request.path, 160)} is no folder of this revision.")
            return self.refuse(request, "GET", absence)
        warnings = warning_headers(decision.warnings, decision.id, self._explaining)
        if request.kind is RequestKind.COMMITS and (link := commits.next_link(self._public_url, request, payload)):
            return json_answer(value, headers=(("Link", link), *warnings))
        return json_answer(value, headers=warnings)

    def pointer(self, artifact: Artifact) -> Rendering:
        """RAW of an allowed LFS file: the pointer that git keeps in its place. Raises UpstreamUnavailable."""
        return pointer(artifact)

    def page(self, artifact: Artifact, sha256: str, decision: Decision) -> Rendering:
        """BLOB of an allowed file: a page for people. `sha256` is that of the bytes that were judged."""
        return file_page(self._public_url, artifact, sha256, decision)

    def found(self, request: HubRequest, rows: Sequence[FoundRow], cursor: str) -> Rendering:
        """A page of a search, with a link of our own to the next."""
        link = (("Link", next_link(self._public_url, request, cursor)),) if cursor else ()
        return json_answer([row_json(request, row, self._scrub) for row in rows], headers=link)

    def manifest(self, manifest: Manifest, files: Mapping[str, FileEntry], client: Client) -> Rendering:
        """The manifest of a registry's tag; llama.cpp is told the names of its files."""
        return manifest_answer(manifest, files, names_files=client.name.startswith("llama-cpp"))

    def layer(self, artifact: Artifact, sha256: str) -> Rendering:
        """Status 200 and the headers of an allowed layer, its own address among them."""
        return blob_headers(self._public_url, artifact, sha256)

    def batch(self, objects: Sequence[JudgedObject]) -> Rendering:
        """The answer to an LFS batch."""
        return lfs.batch(self._public_url, objects, self._explaining)

    def local(self, request: HubRequest, subject: Subject) -> Rendering:
        """WHOAMI, TELEMETRY and HARNESSES, answered here; the hub never hears of them."""
        match request.kind:
            case RequestKind.MANIFEST:
                return ping()
            case RequestKind.WHOAMI:
                return _whoami(subject)
            case RequestKind.TELEMETRY:
                return json_answer({})
            case RequestKind.HARNESSES:
                return json_answer({"standardEnvVars": [], "harnesses": {}})
            case _:
                raise ValueError(f"{request.kind} is not answered locally")

    def refuse(self, request: HubRequest | None, method: str, refusal: Refusal) -> Rendering:
        """The hub's own words for a refusal, with reason, rule, decision id and next step."""
        return refusals.render(request, method, refusal, self._tombstone, self._explaining)


def _whoami(subject: Subject) -> Rendering:
    """hub-protocol §13.4. Nobody is told who they are without a credential: 401, as on the hub."""
    if subject.kind is SubjectKind.ANONYMOUS:
        line = "No gateway token was sent: set HF_TOKEN to your gateway token."
        return json_answer({"error": line}, 401, (("X-Error-Message", line),))
    return json_answer(
        {
            "type": "user",
            "id": hashlib.sha256(subject.id.encode()).hexdigest()[:24],
            "name": subject.id,
            "fullname": subject.id,
            "isPro": False,
            "canPay": False,
            "orgs": [],
            "auth": {
                "type": "access_token",
                "accessToken": {"displayName": "gateway", "role": "read"},
            },
        }
    )
