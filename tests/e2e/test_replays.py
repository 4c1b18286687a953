"""Clients that cannot run here: their requests are sent as they send them, and each answer must hold what they need.

First against the simulated hub itself, which shows that the sequences are those that a hub answers; then through the
gateway, allowed, denied and pending.
"""

import pytest

from conformance.replays import ALL, ALLOWED, BY_NAME, FILE_DENIED, OUTCOMES, PENDING, REPO_DENIED, Replay, Subject
from conformance.replays.needs import digest, lacks, own_address, status
from conformance.replays.replay import Ask
from conformance.replays.wire import Reply
from gateway.simulator import builders
from gateway.simulator.faults import throttled
from gateway.simulator.samples import HOSTILE_TEMPLATE, sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess
from tests.e2e.wire import together, weights

GGUF = {"llama.cpp", "llama.cpp-old", "ollama"}
CASES = [(replay.name, outcome) for replay in ALL for outcome in replay.sequences]


def gguf(name, template="{{ messages }}"):
    metadata = {
        "general.architecture": "llama", "general.name": name, "tokenizer.ggml.tokens": ["a", "b"],
        "tokenizer.chat_template": template,
    }  # fmt: skip
    return builders.gguf(metadata, {"token_embd.weight": (8, 6)})


def replays_world():
    """One repo per outcome and kind of file."""
    world = sample_world()

    def repo(name, files, licence="apache-2.0"):
        made = world.repo(name, card={"license": licence} if licence else {}, library="transformers")
        made.commit({"README.md": made.readme(), "config.json": "{}", **files})

    safetensors, large = builders.safetensors({"weight": (64, 64)}), weights(64, 7)
    evil = builders.torch_zip({"weight": (4, 4)}, data_pkl=builders.pickle_call("posix", "system"))
    repo("replay/allowed", {"sub dir/model #1.safetensors": safetensors})
    repo("replay/large", {"model.safetensors": large})
    repo("replay/gguf", {"model-Q4_K_M.gguf": gguf("allowed")})
    repo("replay/unlicensed", {"model.safetensors": safetensors}, licence="")
    repo("replay/unlicensed-gguf", {"model.gguf": gguf("unlicensed")}, licence="")
    repo("replay/evil", {"evil.bin": evil})
    repo("replay/evil-gguf", {"model.gguf": gguf("evil", HOSTILE_TEMPLATE)})
    repo("replay/pending", {"model.safetensors": builders.safetensors({"pending": (4, 4)})})
    repo("replay/pending-gguf", {"model.gguf": gguf("pending")})
    return world


def subject(world, name, outcome) -> Subject:
    kind = "-gguf" if name in GGUF else ""
    role = {
        ALLOWED: "gguf" if kind else "large" if name == "hf-transfer" else "allowed",
        REPO_DENIED: f"unlicensed{kind}", FILE_DENIED: f"evil{kind}", PENDING: f"pending{kind}",
    }[outcome]  # fmt: skip
    repo = world[f"replay/{role}"]
    file = next(file for path, file in repo.main.files.items() if path not in ("README.md", "config.json"))
    return Subject(repo.id, file.path, file.content.sha256, file.size)


@pytest.fixture(scope="module")
def world():
    return replays_world()


@pytest.fixture(scope="module")
def hub(world):
    with SimulatorThread(world) as sim:
        yield sim


@pytest.fixture(scope="module")
def gateway(hub, tmp_path_factory):
    limits = "[limits]\nsubject_rate = 0\naddress_rate = 0\n"
    process = GatewayProcess(hub, tmp_path_factory.mktemp("replays") / "state", config=limits)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    """A hub whose download host asks everybody to wait, and a gateway before it."""
    world = replays_world()
    with SimulatorThread(world) as sim:
        sim.faults.add(throttled("replay/pending*", wait_s=30, host="cdn"))
        process = GatewayProcess(sim, tmp_path_factory.mktemp("waiting") / "state")
        yield world, process
        process.stop()


def assert_met(replay: Replay, steps, outcome) -> None:
    assert [step for step in steps if not step.ok] == [], steps
    assert len(steps) == len(replay.sequences[outcome])


@pytest.mark.parametrize("replay", ALL, ids=lambda replay: replay.name)
def test_the_sequence_is_one_that_the_hub_itself_answers(replay, world, hub):
    assert_met(replay, replay.run(hub.hub_url, subject(world, replay.name, ALLOWED), direct=True), ALLOWED)


@pytest.mark.parametrize(("name", "outcome"), [case for case in CASES if case[1] != PENDING])
def test_each_client_gets_what_it_needs(name, outcome, world, gateway):
    replay = BY_NAME[name]
    assert_met(replay, replay.run(gateway.url, subject(world, name, outcome), outcome), outcome)


def test_each_client_is_told_to_wait(waiting):
    """All of them at once, since each answer takes as long as its client has patience."""
    world, gateway = waiting
    names = [name for name, outcome in CASES if outcome == PENDING]
    found = together(
        len(names), lambda n: BY_NAME[names[n]].run(gateway.url, subject(world, names[n], PENDING), PENDING)
    )
    for name, steps in zip(names, found, strict=True):
        assert_met(BY_NAME[name], steps, PENDING)


def test_through_the_gateway_nobody_is_sent_to_the_download_host(world, hub, gateway):
    """The hub's CDN sees the gateway alone, however many clients fetch the file."""
    hub.clear()
    for name in ("ollama", "llama.cpp", "hf-hub-0", "js-hub"):
        BY_NAME[name].run(gateway.url, subject(world, name, ALLOWED))
    assert {seen.headers.get("user-agent", "").split("/")[0] for seen in hub.requests} <= {"model-gateway"}


# -- the replays themselves must be able to fail -----------------------------------------------------------------------


@pytest.mark.parametrize("replay", ALL, ids=lambda replay: replay.name)
def test_a_replay_fails_where_the_answers_are_not_those(replay, world, hub, gateway):
    """Of the hub as if it were a gateway (it redirects), of what is denied as if it were allowed, and of nobody."""
    steps = replay.run(hub.hub_url, subject(world, replay.name, ALLOWED))
    assert not steps[-1].ok
    steps = replay.run(gateway.url, subject(world, replay.name, FILE_DENIED), ALLOWED)
    assert not steps[-1].ok
    steps = replay.run("http://127.0.0.1:9", subject(world, replay.name, ALLOWED))
    assert steps[0].status == 0
    assert not steps[0].ok


def test_every_replay_is_named_once_and_says_how_it_looks_allowed_and_denied():
    assert len(BY_NAME) == len(ALL)
    for replay in ALL:
        assert {ALLOWED, FILE_DENIED} <= set(replay.sequences) <= set(OUTCOMES)
        for asks in replay.sequences.values():
            assert all(isinstance(ask, Ask) and ask.needs for ask in asks)


def test_the_needs_tell_what_was_missed():
    reply = Reply(200, {"location": "http://cdn.example/x"}, b"x", {}, "http://gate.example/a")
    known = {"endpoint": "http://gate.example", "sha256": "0" * 64}
    assert status(206).missed(reply, known) == "status 200"
    assert lacks("Location").missed(reply, known) == "Location"
    assert own_address("Location").missed(reply, known)
    assert digest().missed(reply, known)
