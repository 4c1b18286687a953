"""The one door, with everything real behind it: upstream, policy library, scanner, stores, ledger."""

from dataclasses import replace

import pytest

from gateway.domain.decision import DecisionScope
from gateway.domain.errors import LedgerError, RateLimited
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refused
from gateway.domain.request import HubRequest, RequestKind
from gateway.domain.subject import ANONYMOUS, Subject, SubjectKind
from gateway.enforcement.context import GrantedFile, GrantedListing
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.enforcement.whole import by, file, model, records, whole

ADA = Subject("user:ada", SubjectKind.USER, frozenset({"ml"}))


@pytest.fixture
def hub():
    with SimulatorThread(sample_world()) as sim:
        yield sim


@pytest.fixture
async def core(hub, tmp_path):
    async with whole(hub, tmp_path / "state") as core:
        yield core


def decisions(core):
    return [r for r in records(core) if r["kind"] == "decision"]


async def test_an_allow_is_on_record_before_it_is_returned_with_the_decision_behind_it(core):
    granted = await core.admission.admit(by(ADA), file("demo/good-torch", "pytorch_model.bin"))
    assert isinstance(granted, GrantedFile)
    revision, one = decisions(core)
    assert (revision["effect"], revision.get("path", ""), revision["note"]) == ("allow", "", "of the revision")
    assert (one["effect"], one["path"], one["subject"]) == ("allow", "pytorch_model.bin", "user:ada")
    assert one["decision_id"] == granted.decision.id
    assert one["digest"] == f"sha256:{granted.sha256}"
    assert revision["decision_id"] != one["decision_id"]
    assert revision["input_digest"] != one["input_digest"]
    assert one["extra"]["reports"][0]["coverage"]["surface"] == "complete"


async def test_a_repeat_is_answered_from_memory_under_the_same_decision(core, hub):
    first = await core.admission.admit(by(), file("demo/good-torch", "pytorch_model.bin"))
    hub.clear()
    again = await core.admission.admit(by(method="HEAD"), file("demo/good-torch", "pytorch_model.bin"))
    assert again.decision.id == first.decision.id
    assert not hub.requests
    assert [r.get("remembered", False) for r in decisions(core)] == [False, False, True]


async def test_a_risen_generation_and_a_restart_keep_decisions_but_ask_them_by_their_key(hub, tmp_path):
    async with whole(hub, tmp_path / "state") as core:
        first = await core.admission.admit(by(), file("demo/good-torch", "pytorch_model.bin"))
        core.generation.bump()
        assert (
            await core.admission.admit(by(), file("demo/good-torch", "pytorch_model.bin"))
        ).decision.id == first.decision.id
    async with whole(hub, tmp_path / "state") as core:
        assert (
            await core.admission.admit(by(), file("demo/good-torch", "pytorch_model.bin"))
        ).decision.id == first.decision.id
    overlay = tmp_path / "more.yaml"
    overlay.write_text('{"config": {"denylist": {"repos": {"names": {"demo/good-torch": true}}}}}')
    async with whole(hub, tmp_path / "state", policy__data=[str(overlay)]) as core:
        refusal = await core.admission.admit(by(), file("demo/good-torch", "pytorch_model.bin"))
        assert isinstance(refusal, Denial)
        assert [reason.rule for reason in refusal.reasons] == ["denylist/repo"]


async def test_subjects_have_decisions_of_their_own(core):
    ids = set()
    for subject in (ADA, Subject("user:ada", SubjectKind.USER, frozenset()), Subject("user:bob", SubjectKind.USER)):
        ids.add((await core.admission.admit(by(subject), file("demo/good-torch", "config.json"))).decision.id)
    assert len(ids) == 3


async def test_an_allow_in_one_repo_opens_the_same_bytes_in_no_other(core, hub):
    weights = hub.world["demo/good-safetensors"].main.files["model.safetensors"].content.sha256
    assert weights == hub.world["demo/no-license"].main.files["model.safetensors"].content.sha256
    assert isinstance(await core.admission.admit(by(), file("demo/good-safetensors", "model.safetensors")), GrantedFile)
    refusal = await core.admission.admit(by(), file("demo/no-license", "model.safetensors"))
    assert isinstance(refusal, Denial)
    assert refusal.scope in {DecisionScope.REPO, DecisionScope.REVISION}


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (file("demo/no-license", "model.safetensors"), Denial),
        (file("demo/evil-gguf", "model.gguf"), Denial),
        (file("demo/pickle-with-twin", "pytorch_model.bin"), Denial),
        (file("demo/pull-request", "pytorch_model.bin", "refs/pr/1"), Denial),
        (file("demo/good-torch", "", "main", RequestKind.XET_TOKEN), Denial),
        (file("demo/good-torch", "nothing.bin"), Absence),
        (file("demo/good-torch", "config.json", "no-branch"), Absence),
        (file("demo/nothing", "config.json"), Absence),
        (HubRequest(RequestKind.WRITE), Refused),
        (HubRequest(RequestKind.WRITE, model("demo/good-torch")), Refused),
    ],
)
async def test_every_refusal_is_on_record_once_and_counted_after_that(asked, kind, core):
    for _ in range(3):
        assert isinstance(await core.admission.admit(by(), asked), kind)
    await core.recording.flush()
    own = [r for r in records(core) if r["kind"] != "event" and r.get("note") != "of the revision"]
    assert own[0]["effect"] in {"deny", "refused", "quarantine"}
    assert own[0].get("count", 1) == 1
    assert own[-1]["count"] == 2
    assert len(own) == 2


async def test_listings_are_judged_too(core):
    for kind in (RequestKind.INFO, RequestKind.TREE, RequestKind.REFS, RequestKind.PATHS_INFO):
        assert isinstance(await core.admission.admit(by(), file("demo/good-torch", "", kind=kind)), GrantedListing), (
            kind
        )
        assert isinstance(await core.admission.admit(by(), file("demo/no-license", "", kind=kind)), Denial), kind


async def test_what_cannot_be_recorded_is_not_granted_and_not_remembered(hub, tmp_path):
    async with whole(hub, tmp_path / "state") as core:
        await core.admission.admit(by(), file("demo/good-torch", "config.json"))
        await core.ledger.close()
        for path in ("config.json", "pytorch_model.bin"):
            with pytest.raises(LedgerError):
                await core.admission.admit(by(), file("demo/good-torch", path))
        with pytest.raises(LedgerError):
            await core.admission.refuse(by(), None, RateLimited("slow down", retry_after_s=1))
    async with whole(hub, tmp_path / "state") as core:
        await core.admission.admit(by(), file("demo/good-torch", "pytorch_model.bin"))
        first = next(r for r in decisions(core) if r.get("path") == "pytorch_model.bin")
        assert not first.get("remembered", False)  # the decision nobody could record was not kept either


@pytest.mark.parametrize("ref", ["main", "nothing"])
async def test_an_engine_that_is_gone_tells_no_stranger_which_repos_are_private(ref, tmp_path):
    """Entitlements are the policy's, and go by groups: who has none is told what an absent repo would be told."""
    world, token = sample_world(), "hf_gatewaysOwnHubToken000000000000"
    world.repo("corp/secret", private=True).commit({"config.json": "{}"})
    world.token(token, "corp/secret")
    with SimulatorThread(world) as hub:
        async with whole(hub, tmp_path / "state", {"GATEWAY_UPSTREAM_TOKEN": token}) as core:
            await core.engine.close()
            for kind in (RequestKind.RESOLVE, RequestKind.INFO, RequestKind.COMMITS):
                for subject in (ANONYMOUS, Subject("user:bob", SubjectKind.USER)):
                    told = [
                        await core.admission.admit(by(subject), file(f"corp/{name}", "config.json", ref, kind))
                        for name in ("secret", "nobody")
                    ]
                    assert told[0] == told[1]
                    assert isinstance(told[0], Absence)
            member = await core.admission.admit(by(ADA), file("corp/secret", "config.json"))
            assert isinstance(member, Pending), "our own outage is no absence for whom it may be open to"


async def test_a_private_repo_that_takes_long_to_list_is_not_told_by_that(tmp_path):
    world, token, gate = sample_world(), "hf_gatewaysOwnHubToken000000000000", Gate()
    world.repo("corp/secret", private=True).commit({"config.json": "{}"})
    world.token(token, "corp/secret")
    with SimulatorThread(world) as hub:
        async with whole(hub, tmp_path / "state", {"GATEWAY_UPSTREAM_TOKEN": token}) as core:
            hub.faults.add(Fault("/api/models/corp/secret/tree/*", gate=gate))
            asked = file("corp/secret", "config.json")
            stranger = await core.admission.admit(replace(by(), patience_s=1.0), asked)
            assert stranger == await core.admission.admit(by(), file("corp/nobody", "config.json"))
            assert isinstance(stranger, Absence)
            assert isinstance(await core.admission.admit(replace(by(ADA), patience_s=1.0), asked), Pending)
            gate.open()


async def test_an_engine_that_is_gone_means_wait_and_what_is_remembered_flows(core):
    first = await core.admission.admit(by(), file("demo/good-torch", "config.json"))
    await core.engine.close()
    assert (await core.admission.admit(by(), file("demo/good-torch", "config.json"))).decision.id == first.decision.id
    for asked in (file("demo/good-gguf", "model.gguf"), file("demo/good-torch", "pytorch_model.bin")):
        refusal = await core.admission.admit(by(), asked)
        assert isinstance(refusal, Pending)
        assert refusal.code.startswith("pdp/")
    assert refusal.commit  # the revision was allowed: its file may be seen
    assert not [r for r in records(core) if r["effect"] == "deny"]


async def test_a_hub_that_is_gone_is_its_own_failure(core, hub):
    hub.down()
    assert isinstance(await core.admission.admit(by(), file("demo/good-torch", "config.json")), Failure)


async def test_an_invented_commit_is_judged_as_the_ref_it_names(core, hub):
    denial = await core.admission.admit(by(), file("demo/pull-request", "pytorch_model.bin", "refs/pr/1"))
    head = core.dialect.refuse(file("demo/pull-request", "pytorch_model.bin", "refs/pr/1"), "HEAD", denial)
    invented = dict(head.headers)["X-Repo-Commit"]
    again = await core.admission.admit(by(), file("demo/pull-request", "pytorch_model.bin", invented))
    assert isinstance(again, Denial), "the default branch is allowed, the pull request is not"
    denied = await core.admission.admit(by(), file("demo/no-license", "config.json"))
    invented = dict(core.dialect.refuse(file("demo/no-license", "config.json"), "HEAD", denied).headers)[
        "X-Repo-Commit"
    ]
    hub.edit(lambda world: world["demo/no-license"].card.update(license="mit"))
    other = await core.admission.admit(by(), file("demo/pull-request", "config.json", invented))
    assert isinstance(other, Absence), "it names nothing in another repo"
