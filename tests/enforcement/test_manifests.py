"""Manifests: everything that a tag leads to is judged first; what cannot be judged refuses it, whatever else is allowed."""

import asyncio
from dataclasses import replace

from gateway.domain.artifact import Artifact, FileEntry, RefKind, Repo, RepoType
from gateway.domain.decision import Decision, DecisionScope, Effect, Reason
from gateway.domain.errors import UpstreamNotFound, UpstreamUnavailable
from gateway.domain.evidence import FileFacts, Reachable, RepoFacts, RevisionFacts, Snapshot
from gateway.domain.objects import Layer, Manifest
from gateway.domain.outcome import Absence, Denial, Failure, Pending
from gateway.domain.request import HubRequest, RequestKind
from gateway.enforcement.admission import FRESH
from gateway.enforcement.background import Background, SingleFlight
from gateway.enforcement.context import GrantedFile, GrantedListing, GrantedManifest
from gateway.enforcement.manifests import MADE_BYTES, Manifests
from gateway.enforcement.recording import Recording
from tests.enforcement.whole import by
from tests.fakes.memory_facts import MemoryFacts
from tests.fakes.recording_ledger import RecordingLedger

REPO = Repo("huggingface", RepoType.MODEL, "org/name")
ALLOW = Decision(Effect.ALLOW, DecisionScope.REVISION, id="d-1")
DENIAL = Denial(Effect.DENY, DecisionScope.FILE, (Reason("scan/template", "critical", "x", "y"),), "d-2")
MODEL = "application/vnd.ollama.image.model"
OLD, NEW = "a" * 40, "b" * 40


def entry(path, number):
    return FileEntry(path, number, "e" * 40, f"{number:064x}")


GGUF, NEWER = entry("m.gguf", 7), entry("m.gguf", 8)
SMALL = Layer("5" * 64, 20, "application/vnd.ollama.image.params", "v2/params.json")
CONFIG = Layer("6" * 64, 20, "application/vnd.docker.container.image.v1+json", "v2/config.json")


def layer_of(file):
    return Layer(file.sha256, file.size_bytes, MODEL)


def listing(commit, *entries):
    files = tuple(FileFacts(e, "unknown") for e in entries)
    facts = RevisionFacts(commit, "", RefKind.BRANCH, Reachable.YES, "", files)
    return GrantedListing(Snapshot(RepoFacts(REPO, "k", "org"), facts), ALLOW)


class ScriptedAdmission:
    """`now` is what is believed of the branch, `fresh` what the hub says; `answers` by path instead of a grant."""

    def __init__(self, now, fresh=None, **answers):
        self.now, self.fresh, self.answers, self.asked = now, fresh or now, answers, []

    async def admit(self, context, request):
        self.asked.append(request)
        if not request.path:
            return self.fresh if FRESH in request.query else self.now
        assert context.patience_s is not None
        if request.path in self.answers:
            return self.answers[request.path]
        sha256, size = request.query.get("layer", (None, 0))
        known = [f.entry for found in (self.now, self.fresh) for f in found.snapshot.revision.files]
        entries = [FileEntry(request.path, int(size), "", sha256)] if sha256 else known
        file = next(e for e in entries if e.path == request.path and (sha256 or request.ref in (OLD, NEW)))
        if not sha256 and request.ref == NEW:
            file = next(f.entry for f in self.fresh.snapshot.revision.files if f.entry.path == request.path)
        return GrantedFile(Artifact(REPO, request.ref, file), ALLOW, file.sha256, "anonymous")


class ScriptedRegistry:
    def __init__(self, *manifests):
        self.manifests, self.asked = list(manifests), 0

    async def manifest(self, repo, tag, access):
        self.asked += 1
        await asyncio.sleep(0)
        found = self.manifests[0] if len(self.manifests) == 1 else self.manifests.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def manifest(*layers):
    return Manifest("application/vnd.docker.distribution.manifest.v2+json", CONFIG, layers)


class Bench:
    def __init__(self, admission, *manifests):
        self.admission, self.registry, self.ledger = admission, ScriptedRegistry(*manifests), RecordingLedger()
        self.facts = MemoryFacts()
        self.manifests = Manifests(
            admission, self.registry, self.facts, Recording(self.ledger, "s"), SingleFlight(Background()), ttl_s=60
        )

    async def tag(self, tag="latest"):
        return await self.manifests.manifest(by(), HubRequest(RequestKind.MANIFEST, REPO, path=tag))

    async def layer(self, sha256):
        return await self.manifests.layer(by(), HubRequest(RequestKind.LAYER, REPO, path=sha256))


async def test_what_is_no_file_and_no_small_piece_refuses_the_manifest_before_anything_is_fetched():
    huge = replace(SMALL, size_bytes=MADE_BYTES + 1)
    lying = replace(layer_of(GGUF), size_bytes=9, name="v2/params.json")
    for layer in (Layer("9" * 64, 5, MODEL), huge, lying, replace(SMALL, name="")):
        bench = Bench(ScriptedAdmission(listing(OLD, GGUF)), manifest(layer_of(GGUF), SMALL, layer))
        refusal = await bench.tag()
        assert isinstance(refusal, Denial)
        assert refusal.reasons[0].rule == "protocol/unjudged-layer"
        assert not [request for request in bench.admission.asked if request.path]
        assert len(bench.ledger.records) == 1


async def test_one_refused_layer_refuses_the_manifest():
    pending = Pending("scan/under-way", "x", 5)
    for answers, wanted in (
        ({"m.gguf": DENIAL}, DENIAL),
        ({"v2/params.json": DENIAL}, DENIAL),
        ({"m.gguf": pending}, pending),
    ):
        bench = Bench(ScriptedAdmission(listing(OLD, GGUF), **answers), manifest(layer_of(GGUF), SMALL))
        assert await bench.tag() is wanted


async def test_bytes_that_the_hub_names_and_does_not_have_are_its_own_trouble():
    gone = Absence("entry", "no such file")
    bench = Bench(ScriptedAdmission(listing(OLD, GGUF), **{"v2/config.json": gone}), manifest(layer_of(GGUF)))
    assert isinstance(await bench.tag(), Failure)


async def test_everything_judged_the_manifest_is_granted_and_on_record():
    bench = Bench(ScriptedAdmission(listing(OLD, GGUF)), manifest(layer_of(GGUF), SMALL, SMALL))
    granted = await bench.tag()
    assert isinstance(granted, GrantedManifest)
    assert granted.files[GGUF.sha256] == GGUF
    assert granted.files[SMALL.sha256].git_oid == ""
    assert [(r.route, r.path, r.effect) for r in bench.ledger.records] == [("manifest", "latest", "allow")]


async def test_a_branch_that_moved_on_is_asked_for_anew_once():
    bench = Bench(ScriptedAdmission(listing(OLD, GGUF), listing(NEW, NEWER)), manifest(layer_of(NEWER)))
    granted = await bench.tag()
    assert isinstance(granted, GrantedManifest)
    assert granted.files[NEWER.sha256] == NEWER
    assert [request.query for request in bench.admission.asked if not request.path] == [{}, {FRESH: ("true",)}]


async def test_a_layer_is_had_where_its_manifest_was_judged():
    bench = Bench(ScriptedAdmission(listing(OLD, GGUF)), manifest(layer_of(GGUF), SMALL))
    assert isinstance(await bench.layer(SMALL.sha256), Absence)
    await bench.tag()
    small = await bench.layer(SMALL.sha256)
    assert (small.artifact.entry.git_oid, small.artifact.commit) == ("", OLD)
    bench.admission.now = bench.admission.fresh = listing(NEW, NEWER)
    old = await bench.layer(GGUF.sha256)
    assert isinstance(old, GrantedFile)
    assert bench.admission.asked[-1].ref == OLD
    assert isinstance(await bench.layer("f" * 64), Absence)


async def test_what_is_remembered_of_one_repo_opens_nothing_of_another():
    bench = Bench(ScriptedAdmission(listing(OLD, GGUF)), manifest(layer_of(GGUF), SMALL))
    await bench.tag()
    elsewhere = listing(OLD, NEWER)
    other = replace(elsewhere.snapshot.repo, repo=replace(REPO, id="org/other"))
    bench.admission.now = replace(elsewhere, snapshot=replace(elsewhere.snapshot, repo=other))
    assert isinstance(await bench.layer(SMALL.sha256), Absence)
    assert isinstance(await bench.layer(GGUF.sha256), Absence)


async def test_the_hub_is_asked_once_for_a_herd():
    bench = Bench(ScriptedAdmission(listing(OLD, GGUF)), manifest(layer_of(GGUF)))
    answers = await asyncio.gather(*(bench.tag() for _ in range(50)))
    assert all(isinstance(answer, GrantedManifest) for answer in answers)
    await bench.tag()
    assert bench.registry.asked == 1


async def test_the_hubs_answers_are_not_mistaken_for_each_other():
    for error, wanted in (
        (UpstreamNotFound("no such tag", what="entry"), Absence),
        (UpstreamUnavailable("down"), Failure),
    ):
        bench = Bench(ScriptedAdmission(listing(OLD, GGUF)), error)
        assert isinstance(await bench.tag(), wanted)
        assert len(bench.ledger.records) == 1


async def test_a_refused_repo_is_refused_without_the_registry():
    bench = Bench(ScriptedAdmission(DENIAL), manifest(layer_of(GGUF)))
    assert await bench.tag() is DENIAL
    assert await bench.layer(GGUF.sha256) is DENIAL
    assert bench.registry.asked == 0
