"""The parts around a fill, real where bytes flow: the simulated hub, the real upstream, files on disk."""

from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from gateway.domain.artifact import Artifact, FileEntry, Repo, RepoType
from gateway.domain.decision import Decision, DecisionScope, Effect
from gateway.domain.errors import GatewayError
from gateway.enforcement.background import Background
from gateway.enforcement.context import GrantedFile
from gateway.enforcement.delivery import Delivery
from gateway.enforcement.fills import Fills
from gateway.enforcement.integrity import Integrity
from gateway.enforcement.recording import Recording
from gateway.enforcement.reports import Reports
from gateway.hubs.huggingface.backoff import SharedBackoff
from gateway.hubs.huggingface.config import UpstreamConfig
from gateway.hubs.huggingface.upstream import HuggingFaceUpstream
from gateway.scanners.own import OwnScanner
from gateway.simulator.server import Simulator
from gateway.simulator.world import World
from tests.fakes.hand_clock import HandClock
from tests.fakes.memory_blobs import MemoryBlobs
from tests.fakes.memory_facts import MemoryFacts
from tests.fakes.recording_ledger import RecordingLedger
from tests.hubs.huggingface.hub_world import Waits


class Bench:
    """`sim` and everything from upstream to delivery; `generation` counts what integrity raised."""

    def __init__(self, sim, upstream, store, waits) -> None:
        self.sim, self.upstream, self.store, self.waits = sim, upstream, store, waits
        self.facts, self.ledger, self.clock = MemoryFacts(), RecordingLedger(), HandClock()
        self.background = Background()
        self.scanner = OwnScanner()  # not started: here only its name and version matter
        self.reports = Reports(self.facts, [self.scanner], self.clock)
        self.recording = Recording(self.ledger, self.reports.scanner_set)
        self.generation = 0
        self.integrity = Integrity(self.facts, self.reports, self.recording, self.clock, self._raise)
        self.fills = Fills(store, upstream, self.background, self.integrity.ended, waits.sleep)
        self.delivery = Delivery(store, upstream, self.fills, self.integrity)

    def _raise(self) -> None:
        self.generation += 1

    def add(self, name: str, path: str, content, *, lfs: bool = True) -> Artifact:
        """A file of a new repo, as an artifact."""
        repo = self.sim.world.repo(name)
        commit = repo.commit({path: content}, lfs=lfs)
        file = repo.main.files[path]
        sha256 = file.content.sha256 if lfs else None
        return Artifact(Repo("huggingface", RepoType.MODEL, name), commit, FileEntry(path, file.size, file.oid, sha256))

    def content(self, artifact: Artifact):
        return self.sim.world[artifact.repo.id].main.files[artifact.path].content

    def granted(self, artifact: Artifact, spans=()) -> GrantedFile:
        decision = Decision(Effect.ALLOW, DecisionScope.FILE, id="d-1")
        return GrantedFile(artifact, decision, self.content(artifact).sha256, "anonymous", tuple(spans))

    def transfers(self, artifact: Artifact) -> list:
        """The GET requests that the hub's CDN (or, for small git files, the hub) answered with bytes of the file."""
        name = f"{artifact.repo.id}/{artifact.path}"
        return [r for r in self.sim.requests if r.file == name and r.method == "GET" and r.status in (200, 206)]

    def events(self) -> list:
        return [record for record in self.ledger.records if record.kind.value == "event"]


async def released_until_error(available):
    """Ask `available` on and on; how far it released, and the error that ended it."""
    released = 0
    try:
        while True:
            released = await available(released)
    except GatewayError as error:
        return released, error


@asynccontextmanager
async def workbench(folder, store=None):
    """A bench whose waits between tries take no time."""
    async with AsyncExitStack() as stack:
        sim = await stack.enter_async_context(Simulator(World()))
        waits = Waits()
        upstream = HuggingFaceUpstream(
            UpstreamConfig(endpoint=sim.hub_url, redirect_hosts=(urlsplit(sim.cdn_url).netloc,), allow_private=True),
            backoff=SharedBackoff(waits.monotonic, waits.sleep),
            sleep=waits.sleep,
        )
        await upstream.start()
        stack.push_async_callback(upstream.close)
        bench = Bench(sim, upstream, store or MemoryBlobs(folder / "blobs"), waits)
        stack.push_async_callback(bench.background.close)
        stack.callback(sim.faults.clear)
        yield bench
