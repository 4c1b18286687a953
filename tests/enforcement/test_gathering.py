"""Evidence of one file, with real bytes from the simulated hub, the real store and the real isolated scanner."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.domain.errors import IntegrityError, UpstreamUnavailable
from gateway.domain.evidence import Surface
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.gathering import Gathering
from gateway.enforcement.reports import Reports
from gateway.scanners.own import OwnScanner
from gateway.simulator import builders
from gateway.simulator.faults import Fault
from gateway.stores.blobs import LocalBlobStore
from gateway.stores.layout import StateDirectory
from gateway.stores.quota import Limits
from tests.enforcement.workbench import workbench
from tests.fakes.hand_clock import HandClock

EVIL = builders.torch_zip({"w": (2, 2)}, data_pkl=builders.pickle_call("posix", "system"))


@pytest.fixture
async def setup(tmp_path):
    scanner = OwnScanner(workers=1)
    await scanner.start()
    async with AsyncExitStack() as stack:
        state = stack.enter_context(StateDirectory.open(tmp_path / "state"))
        store = LocalBlobStore(state.layout.blobs, Limits(reserve_bytes=0), HandClock())
        stack.push_async_callback(store.close)
        bench = await stack.enter_async_context(workbench(tmp_path, store))
        reports = Reports(bench.facts, [scanner], bench.clock)
        flights = SingleFlight(bench.background)
        yield bench, Gathering(reports, bench.upstream, store, bench.facts, bench.fills, bench.integrity, flights)
    await scanner.close()


async def test_however_many_ask_a_file_is_fetched_and_scanned_once(setup):
    bench, gathering = setup
    artifact = bench.add("org/evil", "pytorch_model.bin", EVIL)
    found = await asyncio.gather(*(gathering.gather(artifact, "anonymous") for _ in range(20)))
    assert len({id(evidence) for evidence in found}) == 1
    (report,) = found[0].reports
    assert report.coverage.surface is Surface.COMPLETE
    assert any(finding.symbol == "posix.system" for finding in report.findings)
    assert found[0].sha256 == bench.content(artifact).sha256
    seen = len(bench.sim.requests)
    again = await gathering.gather(artifact, "anonymous")
    assert again.reports == found[0].reports
    assert len(bench.sim.requests) == seen


async def test_the_same_bytes_in_another_repo_are_not_scanned_again(setup):
    bench, gathering = setup
    one, other = bench.add("org/a", "model.bin", EVIL), bench.add("org/b", "model.bin", EVIL)
    first = await gathering.gather(one, "anonymous")
    bench.sim.clear()
    assert (await gathering.gather(other, "anonymous")).reports == first.reports
    assert not bench.transfers(other)


async def test_the_same_bytes_under_another_name_are_looked_at_again(setup):
    """A name tells readers what to do with the bytes: a report belongs to both."""
    bench, gathering = setup
    code = b"import os\nos.system('echo inert')\n"
    text = await gathering.gather(bench.add("org/a", "notes.txt", code, lfs=False), "anonymous")
    python = await gathering.gather(bench.add("org/b", "run.py", code, lfs=False), "anonymous")
    assert text.sha256 == python.sha256
    assert text.reports[0].format != python.reports[0].format


async def test_a_small_file_is_bound_to_the_sha256_of_its_verified_bytes(setup):
    bench, gathering = setup
    artifact = bench.add("org/a", "config.json", b'{"a": 1}', lfs=False)
    assert artifact.entry.sha256 is None
    bound = await gathering.bind(artifact, "anonymous")
    assert bound == bench.content(artifact).sha256
    assert (await gathering.gather(artifact, "anonymous")).sha256 == bound
    assert len(bench.transfers(artifact)) == 1


async def test_other_bytes_than_the_hub_names_are_no_evidence(setup):
    bench, gathering = setup
    artifact = bench.add("org/a", "config.json", b'{"a": 1}', lfs=False)
    bench.sim.faults.add(Fault(path="org/a/config.json", corrupt_at=0))
    with pytest.raises(IntegrityError):
        await gathering.gather(artifact, "anonymous")
    assert await bench.facts.get("git_sha256", artifact.entry.git_oid) is None
    assert not [key for namespace, key in bench.facts.values if namespace == "report"]


async def test_a_source_that_is_lost_is_no_evidence_and_heals(setup):
    bench, gathering = setup
    artifact = bench.add("org/a", "pytorch_model.bin", EVIL)
    fault = bench.sim.faults.add(Fault(path="org/a/pytorch_model.bin", drop=True))
    with pytest.raises(UpstreamUnavailable):
        await gathering.gather(artifact, "anonymous")
    bench.sim.faults.remove(fault)
    assert (await gathering.gather(artifact, "anonymous")).reports
