"""The composition root: settings in, a running gateway out. The only place where names of adapters appear.

From the outside in, a request meets: the door (parse, identify, limit) -> admission (resolve, remember, decide, gather,
record) -> delivery (blob, or the shared fill) -> the wire. Wrappers, innermost first: the upstream is asked through
one single-flight per question (`SingleFlight`), its answers are remembered by `Resolving` and `Forwarding`; the policy
engine is wrapped by `KeptInputs` (stores each input once), `BatchedEngine` (huge revisions) and `DecisionMemory`; whole
requests are remembered by `HotMemory`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from gateway.clock import Clock, SystemClock
from gateway.domain.request import RequestKind
from gateway.enforcement.admission import Admission
from gateway.enforcement.background import Background, SingleFlight
from gateway.enforcement.batching import BatchedEngine
from gateway.enforcement.beginnings import Beginnings
from gateway.enforcement.checking import Checking
from gateway.enforcement.deciding import Deciding
from gateway.enforcement.delivery import Delivery
from gateway.enforcement.fills import Fills
from gateway.enforcement.forwarding import Forwarding
from gateway.enforcement.gathering import Gathering
from gateway.enforcement.integrity import Integrity
from gateway.enforcement.manifests import Manifests
from gateway.enforcement.memory import DecisionMemory
from gateway.enforcement.objects import Objects
from gateway.enforcement.recording import Recording
from gateway.enforcement.reports import Reports
from gateway.enforcement.resolving import Resolving
from gateway.enforcement.searching import Searching
from gateway.enforcement.withholding import Withholding
from gateway.hubs.huggingface.config import DEFAULT_REDIRECT_HOSTS, UpstreamConfig
from gateway.hubs.huggingface.dialect import HuggingFaceDialect
from gateway.hubs.huggingface.upstream import HuggingFaceUpstream
from gateway.identity.redaction import redact
from gateway.ledger.decision_log import SegmentDecisionLog
from gateway.ledger.writer import SegmentLedger
from gateway.policy.bundle import Bundle
from gateway.policy.embedded import EmbeddedEngine
from gateway.policy.inputs import KeptInputs
from gateway.policy.masks import masks_of
from gateway.ports import DecisionLog, Dialect, Ledger, PolicyEngine, Scanner
from gateway.scanners.isolation import Limits as ScanLimits
from gateway.scanners.own import OwnScanner
from gateway.settings import Settings
from gateway.shipped import policy_data_dir, rego_dir
from gateway.stores.blobs import LocalBlobStore
from gateway.stores.facts import SqliteFacts
from gateway.stores.generation import Generation
from gateway.stores.layout import StateDirectory
from gateway.stores.quota import Limits as StoreLimits

# The newest rows kept of what can be had again; first sights, learnt digests and blocks are kept for ever.
KEPT_ROWS = {
    "ref": 200_000, "ref_kind": 200_000, "forwarded": 20_000, "withheld": 200_000, "layer": 200_000, "snapshot": 20_000,
    "decision": 1_000_000, "report": 1_000_000, "input": 1_000_000,
}  # fmt: skip
FACTS_BYTES = 8 << 30  # a stranger's listings are long: they must not take the disk from the ledger


@dataclass(frozen=True, slots=True)
class Core:
    """Everything between the wire and the adapters."""

    dialect: Dialect
    admission: Admission
    checking: Checking
    delivery: Delivery
    recording: Recording
    engine: PolicyEngine
    ledger: Ledger
    state: StateDirectory
    generation: Generation
    bundle: Bundle
    clock: Clock
    beginnings: Beginnings
    decision_log: DecisionLog
    circuits: Callable[[], Mapping[str, str]] = field(kw_only=True)  # upstream hosts that do not answer, and why


def load_bundle(settings: Settings) -> Bundle:
    """The policy library and data that the settings name. Raises ConfigError with every mistake."""
    return Bundle.load(
        Path(settings.policy.rego) if settings.policy.rego else rego_dir(),
        policy_data_dir(),
        settings.policy.profile,
        [Path(entry) for entry in settings.policy.data],
    )


@dataclass(frozen=True, slots=True)
class _Adapters:
    """What the core is wired to, started."""

    clock: Clock
    bundle: Bundle
    state: StateDirectory
    generation: Generation
    ledger: SegmentLedger
    decision_log: SegmentDecisionLog
    facts: SqliteFacts
    store: LocalBlobStore
    scanner: Scanner
    engine: PolicyEngine
    upstream: HuggingFaceUpstream
    background: Background


@asynccontextmanager
async def composed(settings: Settings, public_url: str) -> AsyncIterator[Core]:
    """Build the gateway on its state directory; everything is closed in reverse order at the end.

    Raises ConfigError (settings, policy, state, a second process on one state directory), PolicyError, LedgerError.
    """
    async with AsyncExitStack() as stack:
        adapters = await _started(settings, stack)
        core = _wired(settings, adapters, public_url)
        stack.push_async_callback(core.recording.flush)
        stack.push_async_callback(adapters.background.close)
        yield core


async def _started(settings: Settings, stack: AsyncExitStack) -> _Adapters:
    clock = SystemClock()
    bundle = load_bundle(settings)
    masks = await masks_of(bundle)
    state = stack.enter_context(StateDirectory.open(Path(settings.state.dir)))
    generation = Generation.open(state.layout.generation)
    stack.callback(generation.close)
    ledger = SegmentLedger(
        state.layout.ledger,
        "gateway",
        clock,
        segment_bytes=settings.ledger.segment_bytes,
        durability=settings.ledger.durability,
        masks=masks.record,
    )
    await ledger.start()
    stack.push_async_callback(ledger.close)
    decision_log = SegmentDecisionLog(state.layout.ledger)
    stack.push_async_callback(decision_log.close)
    facts = SqliteFacts(state.layout.facts, keep=KEPT_ROWS, most_bytes=FACTS_BYTES)
    stack.push_async_callback(facts.close)
    limits = StoreLimits(high_bytes=settings.state.quota_bytes or None, reserve_bytes=settings.state.reserve_bytes)
    store = LocalBlobStore(state.layout.blobs, limits, clock)
    stack.push_async_callback(store.close)
    scanner = await _scanner(settings, stack)
    engine = BatchedEngine(KeptInputs(await _engine(settings, bundle, stack), facts, masks))
    upstream = await _upstream(settings, stack)
    return _Adapters(
        clock, bundle, state, generation, ledger, decision_log, facts, store, scanner, engine, upstream, Background()
    )


def _wired(settings: Settings, a: _Adapters, public_url: str) -> Core:
    part = settings.upstream
    flights = SingleFlight(a.background)
    reports = Reports(a.facts, [a.scanner], a.clock)
    recording = Recording(a.ledger, reports.scanner_set, redact)
    integrity = Integrity(a.facts, reports, recording, a.clock, a.generation.bump)
    fills = Fills(a.store, a.upstream, a.background, integrity.ended)
    resolving = _resolving(settings, a, flights)
    origins, contact = (part.url.rstrip("/"),), settings.server.contact
    dialect = HuggingFaceDialect(part.hub, public_url, a.state.tombstone_key, upstream_origins=origins, contact=contact)
    deciding, withholding = _deciding(a, reports, flights)
    searching = _searching(settings, a, withholding, recording, flights)
    gathering = Gathering(reports, a.upstream, a.store, a.facts, fills, integrity, flights)
    admission = Admission(
        resolving,
        deciding,
        gathering,
        _forwarding(settings, a, flights),
        searching,
        recording,
        a.clock,
        dialect.tombstone_ref,
        lambda: a.generation.value,
        with_origin=a.bundle.reads_origin,
    )
    manifests = Manifests(admission, a.upstream, a.facts, recording, flights, ttl_s=part.ref_ttl_s)
    admission.assembled[RequestKind.LFS_BATCH] = Objects(admission, recording).admit
    admission.assembled[RequestKind.MANIFEST] = manifests.manifest
    admission.assembled[RequestKind.LAYER] = manifests.layer
    return Core(
        dialect,
        admission,
        Checking(resolving, deciding, gathering),
        Delivery(a.store, a.upstream, fills, integrity),
        recording,
        a.engine,
        a.ledger,
        a.state,
        a.generation,
        a.bundle,
        a.clock,
        Beginnings(a.store, a.upstream, fills, flights),
        a.decision_log,
        circuits=a.upstream.circuits,
    )


def _resolving(settings: Settings, a: _Adapters, flights: SingleFlight) -> Resolving:
    part = settings.upstream
    return Resolving(
        a.upstream,
        a.facts,
        flights,
        a.clock,
        ref_ttl_s=part.ref_ttl_s,
        facts_ttl_s=part.facts_ttl_s,
        max_stale=timedelta(seconds=part.max_stale_s),
    )


def _forwarding(settings: Settings, a: _Adapters, flights: SingleFlight) -> Forwarding:
    part = settings.upstream
    return Forwarding(a.upstream, a.facts, flights, a.clock, ttl_s=part.ref_ttl_s, max_stale_s=part.max_stale_s)


def _deciding(a: _Adapters, reports: Reports, flights: SingleFlight) -> tuple[Deciding, Withholding]:
    """And what of its decisions a search knows."""

    def stamp() -> str:
        return f"{a.engine.policy_digest}|{a.engine.data_digest}|{reports.scanner_set}"

    withholding = Withholding(a.facts, a.clock, stamp)
    memory = DecisionMemory(a.facts, a.clock, stamp)
    origin = a.bundle.reads_origin
    return Deciding(a.engine, memory, flights, a.clock, withholding=withholding, with_origin=origin), withholding


def _searching(
    settings: Settings, a: _Adapters, withholding: Withholding, recording: Recording, flights: SingleFlight
) -> Searching:
    part = settings.upstream
    return Searching(
        a.upstream,
        withholding,
        recording,
        flights,
        ttl_s=part.ref_ttl_s,
        max_stale_s=part.max_stale_s,
        with_origin=a.bundle.reads_origin,
    )


async def _scanner(settings: Settings, stack: AsyncExitStack) -> Scanner:
    limits = ScanLimits(
        wall_s=settings.scanning.wall_s, cpu_s=settings.scanning.cpu_s, memory_bytes=settings.scanning.memory_bytes
    )
    scanner = OwnScanner(workers=settings.scanning.workers, limits=limits)
    await scanner.start()
    stack.push_async_callback(scanner.close)
    return scanner


async def _engine(settings: Settings, bundle: Bundle, stack: AsyncExitStack) -> PolicyEngine:
    policy = settings.policy
    engine: PolicyEngine
    match policy.engine:
        case "embedded":
            engine = await EmbeddedEngine.start(bundle, workers=policy.workers, deadline_s=policy.deadline_s)
        case "opa":
            from gateway.policy.opa_server import OpaServerEngine

            token = settings.opa_token.get_secret_value() if settings.opa_token is not None else ""
            engine = await OpaServerEngine.start(bundle, url=policy.opa_url, token=token, deadline_s=policy.deadline_s)
    stack.push_async_callback(engine.close)
    return engine


async def _upstream(settings: Settings, stack: AsyncExitStack) -> HuggingFaceUpstream:
    part = settings.upstream
    token = settings.upstream_token.get_secret_value() if settings.upstream_token is not None else None
    upstream = HuggingFaceUpstream(
        UpstreamConfig(
            endpoint=part.url.rstrip("/"),
            token=token,
            redirect_hosts=(*DEFAULT_REDIRECT_HOSTS, *part.redirect_hosts),
            allow_private=part.unsafe_allow_private_upstream,
            connect_timeout_s=part.connect_timeout_s,
            read_timeout_s=part.read_timeout_s,
            commit_pages=part.max_commit_pages,
        ),
        hub=part.hub,
    )
    await upstream.start()
    stack.push_async_callback(upstream.close)
    return upstream
