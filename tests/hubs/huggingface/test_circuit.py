"""The breaker: what opens it, what must not, and how it closes."""

import asyncio

import pytest
from yarl import URL

from gateway.domain.artifact import Artifact, FileEntry, RepoType, Span
from gateway.domain.errors import GatewayError, UpstreamNotFound, UpstreamUnavailable
from gateway.hubs.huggingface.circuit import (
    FIRST_PROBE_S,
    MOST_HOSTS,
    MOST_OPEN_S,
    MOST_PROBE_S,
    WINDOW_S,
    Circuits,
    subject_of,
)
from gateway.simulator import Fault, Gate
from tests.hubs.huggingface.hub_world import Waits, model

HUB = "huggingface.co:443"


@pytest.fixture
def waits():
    return Waits()


@pytest.fixture
def circuits(waits):
    return Circuits(5, waits.monotonic)


def down(circuits, times=1, host=HUB):
    return [circuits.failed(host, "", "The hub cannot be reached") for _ in range(times)]


def test_a_host_that_cannot_be_reached_is_left_alone_after_five_tries(circuits):
    assert down(circuits, 4) == [False] * 4
    circuits.check(HUB)
    assert down(circuits, 3) == [True, False, False]
    with pytest.raises(UpstreamUnavailable) as caught:
        circuits.check(HUB)
    assert (caught.value.code, caught.value.timeout) == ("upstream/circuit-open", False)
    assert caught.value.retry_after_s == FIRST_PROBE_S + 1
    assert "cannot be reached" in str(caught.value)
    assert circuits.open_hosts() == {HUB: "The hub cannot be reached"}


def test_hosts_are_apart(circuits):
    down(circuits, 5, "cdn.hf.co:443")
    circuits.check(HUB)


def test_an_answer_in_between_ends_every_doubt(circuits):
    for _ in range(50):
        down(circuits, 4)
        circuits.answered(HUB)
    circuits.check(HUB)


def test_old_failures_do_not_count(circuits, waits):
    for _ in range(50):
        down(circuits)
        waits.now_s += WINDOW_S / 4
    circuits.check(HUB)


def test_one_odd_repo_never_stops_the_others(circuits):
    """However often a client asks for it: its 5xx, time-outs and cuts may be its own."""
    for _ in range(1000):
        assert not circuits.failed(HUB, "api/models/evil/odd", "it answered 500")
        assert not circuits.failed(HUB, "api/models/evil/slow", "no answer in time", is_timeout=True)
    circuits.check(HUB)
    assert circuits.failed(HUB, "api/models/good/one", "it answered 503")


def test_a_time_out_keeps_its_form(circuits):
    for number in range(5):
        circuits.failed(HUB, f"repo-{number}", "no answer in time", is_timeout=True)
    with pytest.raises(UpstreamUnavailable) as caught:
        circuits.check(HUB)
    assert caught.value.timeout


def test_it_is_probed_at_growing_intervals_and_closes_with_the_first_answer(circuits):
    down(circuits, 5)
    pauses = [circuits.pause_s(HUB) for _ in range(6)]
    assert pauses == [FIRST_PROBE_S, 2 * FIRST_PROBE_S, 4 * FIRST_PROBE_S, MOST_PROBE_S, MOST_PROBE_S, MOST_PROBE_S]
    with pytest.raises(UpstreamUnavailable) as caught:
        circuits.check(HUB)
    assert caught.value.retry_after_s == MOST_PROBE_S + 1
    circuits.answered(HUB)
    assert circuits.pause_s(HUB) == 0
    circuits.check(HUB)
    assert down(circuits, 4) == [False] * 4


def test_a_probe_that_never_succeeds_locks_nobody_out_for_ever(circuits, waits):
    """What is probed may be broken alone: after a minute clients ask again, and five of them open it anew."""
    down(circuits, 5)
    probes = 0
    while (pause_s := circuits.pause_s(HUB)) > 0:
        waits.now_s += pause_s
        probes += 1
        assert probes < 100
    assert waits.now_s >= MOST_OPEN_S
    circuits.check(HUB)
    assert not circuits.open_hosts()
    assert down(circuits, 5) == [False] * 4 + [True]


def test_what_is_remembered_is_bounded(circuits):
    for number in range(10 * MOST_HOSTS):
        down(circuits, 1, f"{number}.cdn.hf.co:443")
    assert len(circuits._hosts) <= MOST_HOSTS
    for _ in range(10_000):
        circuits.failed(HUB, "one", "it answered 500")
    assert len(circuits._hosts[HUB].failures) <= 50


async def test_what_is_down_is_probed_without_any_client_and_asked_again_once_it_answers(start, sim, waits):
    upstream = await start()
    gate = Gate()
    await sim.down()
    for number in range(2):
        with pytest.raises(UpstreamUnavailable):
            await upstream.resolve(model(f"org-{number}/model"), "")
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.resolve(model(), "")
    assert caught.value.code == "upstream/circuit-open"
    assert list(upstream.circuits()) == [sim.hub_url.removeprefix("http://")]
    sim.faults.add(Fault("/api/models", method="HEAD", gate=gate))
    await sim.up()
    await gate.reached()
    sim.clear()
    for _ in range(50):
        with pytest.raises(UpstreamUnavailable):
            await upstream.resolve(model(), "")
    assert not sim.requests
    sim.faults.clear()
    while upstream.circuits():
        await asyncio.sleep(0.001)
    assert (await upstream.resolve(model(), "")).commit


@pytest.mark.parametrize("odd", [{"status": 500, "body": b"x"}, {"drop": True}, {"status": 200, "body": b"not json"}])
async def test_an_odd_namespace_of_a_client_stops_nobody_else(start, sim, world, odd):
    upstream = await start()
    for name in ("evil/a", "evil/b", "evil/c"):
        world.repo(name).commit({"config.json": "{}"})
    sim.faults.add(Fault("*evil/*", **odd))
    for _ in range(5):
        for name in ("evil/a", "evil/b", "evil/c"):
            artifact = Artifact(model(name), world[name].main.id, FileEntry("config.json", 2, "a" * 40))
            for question in (
                upstream.resolve(model(name), ""),
                upstream.read_range(artifact, Span(0, 2), "anonymous"),
                upstream.forward(model(name), "refs", {}, "anonymous"),
            ):
                with pytest.raises(GatewayError):
                    await question
    assert not upstream.circuits()
    assert (await upstream.resolve(model(), "")).commit


async def test_odd_questions_to_the_index_stop_nobody_else(start, sim):
    """The parameters of a search are a client's: what the hub makes of them says nothing of its repos."""
    upstream = await start()
    for kind in RepoType:
        sim.faults.add(Fault(f"/api/{kind.api}", method="GET", status=500, body=b"x"))
    for _ in range(5):
        for kind in RepoType:
            with pytest.raises(UpstreamUnavailable):
                await upstream.search(kind, {"search": ("odd",)})
    assert not upstream.circuits()
    assert (await upstream.resolve(model(), "")).commit


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("/api/models", "search"), ("/api/datasets", "search"), ("/api/spaces", "search"),
        ("/api/models/org/name/tree/main", "org"), ("/datasets/org/name/resolve/main/x", "org"),
        ("/v2/org/name/manifests/latest", "org"), ("/api/models/gpt2", "gpt2"),
    ],
)  # fmt: skip
def test_whose_fault_an_answer_may_be(path, subject):
    assert subject_of(URL(f"https://huggingface.co{path}"), is_own=True) == subject


async def test_a_storm_of_absent_names_opens_nothing(start):
    upstream = await start()
    for number in range(50):
        with pytest.raises(UpstreamNotFound):
            await upstream.resolve(model(f"nobody-{number}/nothing"), "")
    assert not upstream.circuits()
