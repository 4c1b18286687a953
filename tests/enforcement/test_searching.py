"""Searches with everything real behind them: the simulated hub, the policy library, the ledger."""

import asyncio

import pytest

from gateway.domain.outcome import Denial, Failure
from gateway.domain.request import HubRequest, RequestKind
from gateway.domain.subject import Subject, SubjectKind
from gateway.enforcement.context import GrantedPage
from gateway.simulator import Fault
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.enforcement.whole import by, file, records, whole

ADA = Subject("user:ada", SubjectKind.USER, frozenset({"ml"}))
MODELS = HubRequest(RequestKind.SEARCH, path="models", query={"search": ("demo",)})


@pytest.fixture
def hub():
    with SimulatorThread(sample_world()) as sim:
        yield sim


@pytest.fixture
async def core(hub, tmp_path):
    async with whole(hub, tmp_path / "state") as core:
        yield core


async def found(core, request=MODELS, subject=ADA):
    page = await core.admission.admit(by(subject), request)
    assert isinstance(page, GrantedPage), page
    return [row.repo.id for row in page.rows]


async def test_one_question_is_asked_once_however_many_ask(core, hub):
    hub.clear()
    pages = await asyncio.gather(*(found(core, subject=Subject(f"user:{n}", SubjectKind.USER)) for n in range(200)))
    assert len(hub.requests) == 1
    assert all(page == pages[0] for page in pages)
    assert "demo/good-torch" in pages[0]


async def test_no_policy_is_run_for_a_row_and_what_was_refused_is_withheld_from_that_subject(core, hub):
    assert "demo/no-license" in await found(core)
    assert not [r for r in records(core) if r.get("decision_id")]
    assert isinstance(await core.admission.admit(by(ADA), file("demo/no-license", "model.safetensors")), Denial)
    assert "demo/no-license" not in await found(core)
    assert "demo/no-license" in await found(core, subject=Subject("user:bob", SubjectKind.USER))


async def test_it_is_withheld_after_a_restart_and_shown_again_under_another_policy(hub, tmp_path):
    async with whole(hub, tmp_path / "state") as core:
        await core.admission.admit(by(ADA), file("demo/no-license", "", kind=RequestKind.INFO))
    async with whole(hub, tmp_path / "state") as core:
        assert "demo/no-license" not in await found(core)
    async with whole(hub, tmp_path / "state", policy__profile="permissive") as core:
        assert "demo/no-license" in await found(core)


async def test_a_file_that_was_refused_does_not_take_its_repo_away(core):
    assert isinstance(await core.admission.admit(by(ADA), file("demo/evil-pickle", "pytorch_model.bin")), Denial)
    assert "demo/evil-pickle" in await found(core)


async def test_every_page_is_on_record_once_with_what_was_withheld(core):
    await core.admission.admit(by(ADA), file("demo/no-license", "", kind=RequestKind.INFO))
    for _ in range(2):
        await found(core)
    pages = [r for r in records(core) if r.get("route") == "search"]
    assert [(r["effect"], r["action"], r["subject"], r["extra"]["withheld"]) for r in pages] == [
        ("allow", "search", "user:ada", 1)
    ] * 2


async def test_nothing_private_is_ever_shown_whatever_the_hub_says(hub, tmp_path):
    """A hub (or something between) that leaks: rows that say they are private go, to whoever asks."""
    body = b'[{"id":"corp/secret","private":true},{"id":"corp/odd","private":"no"},{"id":"corp/open","private":false}]'
    async with whole(hub, tmp_path / "state") as core:
        hub.faults.add(Fault("/api/models", status=200, body=body))
        assert await found(core) == ["corp/open"]
        assert not any(seen.authorization for seen in hub.requests)


@pytest.mark.parametrize("kind", ["down", "throttled", "malformed"])
async def test_while_the_hub_is_down_a_stale_page_serves_and_a_new_question_fails(hub, tmp_path, kind):
    async with whole(hub, tmp_path / "state", upstream__ref_ttl_s=1e-6) as core:
        pages = await found(core)
        fault = {"down": {"drop": True}, "throttled": {"status": 429}, "malformed": {"body": b"{}"}}[kind]
        hub.faults.add(Fault("/api/models", **fault))
        assert await found(core) == pages
        refusal = await core.admission.admit(by(ADA), HubRequest(RequestKind.SEARCH, path="datasets", query={}))
        assert isinstance(refusal, GrantedPage)
        hub.faults.add(Fault("/api/datasets", drop=True))
        other = HubRequest(RequestKind.SEARCH, path="datasets", query={"search": ("new",)})
        refusal = await core.admission.admit(by(ADA), other)
        assert isinstance(refusal, Failure)
        assert refusal.code == "upstream/unavailable"
