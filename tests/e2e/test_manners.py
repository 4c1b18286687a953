"""Upstream manners under load: a herd asks the hub once, what is hot asks nothing, a hub that throttles or is down is
left alone, and what was judged is served meanwhile."""

import asyncio
import json
from collections import Counter
from contextlib import suppress

import aiohttp
import pytest

from gateway.simulator import Fault, Gate
from gateway.simulator.faults import throttled
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import CLIENTS, run_client
from tests.e2e.test_outage import becomes

NO_LIMITS = "[limits]\nsubject_rate = 0\naddress_rate = 0\n"
HERD = 200
REPO = "org/herd"
SNAPSHOT = "from huggingface_hub import snapshot_download\nprint('AT', snapshot_download({!r}))\n"


@pytest.fixture
def world():
    world = sample_world()
    repo = world.repo(REPO, card={"license": "apache-2.0"})
    files = {f"part-{n}.json": json.dumps({"n": n}) for n in range(6)}
    weights = world["demo/good-safetensors"].main.files["model.safetensors"].content.read(0, 1 << 24)
    repo.commit({"README.md": repo.readme(), "model.safetensors": weights, **files})
    return world


def asked(hub):
    """How often the gateway asked for each thing (host, method, path, range), its probes aside."""
    return Counter(
        (seen.host, seen.method, seen.target.partition("?")[0], seen.range)
        for seen in hub.requests
        if seen.headers.get("user-agent", "").startswith("model-gateway/")
        and not (seen.method == "HEAD" and seen.path == "/api/models")
    )


async def herd(url, world, clients):
    """Each client asks for info, tree and, by commit, HEAD and GET of every file, as a snapshot does."""
    head = world[REPO].main
    expected = {path: file.content.read(0, file.size) for path, file in head.files.items()}

    async def one(session):
        async with session.get(f"{url}/api/models/{REPO}") as answer:
            assert answer.status == 200, await answer.text()
            assert (await answer.json())["sha"] == head.id
        async with session.get(f"{url}/api/models/{REPO}/tree/{head.id}?recursive=true") as answer:
            assert len(await answer.json()) == len(expected)
        for path, content in expected.items():
            for ref in ("main", head.id):
                async with session.head(f"{url}/{REPO}/resolve/{ref}/{path}") as answer:
                    assert answer.status == 200
            async with session.get(f"{url}/{REPO}/resolve/{head.id}/{path}") as answer:
                assert await answer.read() == content

    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(one(session) for _ in range(clients)))


def test_a_herd_on_one_cold_repo_asks_the_hub_for_each_thing_once(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=NO_LIMITS)
        asyncio.run(herd(gateway.url, world, HERD))
        counts = asked(hub)
        assert {what: times for what, times in counts.items() if times > 1} == {}
        head, files = world[REPO].main, world[REPO].main.files
        api = sorted(path for host, _, path, _ in counts if path.startswith("/api/models/"))
        assert api == sorted(
            [
                f"/api/models/{REPO}",
                f"/api/models/{REPO}/commits/{head.id}",
                f"/api/models/{REPO}/revision/{head.id}",
                f"/api/models/{REPO}/revision/main",
                f"/api/models/{REPO}/tree/{head.id}",
            ]
        )
        whole = [what for what in counts if what[0] == "cdn" and not what[3]]
        assert len(whole) == sum(1 for file in files.values() if file.lfs)


@pytest.mark.clients
@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_a_hot_snapshot_asks_nothing_and_by_commit_nothing_after_a_restart_either(client, world, launch, tmp_path):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=NO_LIMITS)
        assert run_client(client, gateway.url, tmp_path / "cold", SNAPSHOT.format(REPO)).code == 0
        hub.clear()
        assert run_client(client, gateway.url, tmp_path / "hot", SNAPSHOT.format(REPO)).code == 0
        assert asked(hub) == {}
        gateway.restart()
        hub.clear()
        pinned = f"{SNAPSHOT.format(REPO)[:-3]}, revision={world[REPO].main.id!r}))\n"
        run = run_client(client, gateway.url, tmp_path / "pinned", pinned)
        assert run.code == 0, run.text
        assert asked(hub) == {}


def test_a_ref_after_a_restart_is_one_question(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=NO_LIMITS)
        asyncio.run(herd(gateway.url, world, 1))
        gateway.restart()
        hub.clear()
        asyncio.run(herd(gateway.url, world, 20))
        assert sorted(path for _, _, path, _ in asked(hub)) == [
            f"/api/models/{REPO}", f"/api/models/{REPO}/revision/main",
        ]  # fmt: skip
        assert set(asked(hub).values()) == {1}


def test_a_storm_of_429_sends_one_probe_and_then_everybody_is_served(world, launch):
    """100 clients that come again as they are told to: when the time is over one goes first, the others follow it."""
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=NO_LIMITS)
        with hub.faults.during(throttled("/api/models/*", wait_s=6)):
            assert gateway.get("/api/models/demo/good-torch").status == 429
        gate = Gate()
        hub.faults.add(Fault("/api/models/*", times=1, gate=gate))
        hub.clear()

        async def storm():
            pause = asyncio.Event()

            async def one(session, number):
                while True:
                    async with session.get(f"{gateway.url}/api/models/demo/nothing-{number}") as answer:
                        if answer.status != 429:
                            return answer.status
                    with suppress(TimeoutError):
                        await asyncio.wait_for(pause.wait(), 0.3)

            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                tasks = [asyncio.create_task(one(session, number)) for number in range(100)]
                await asyncio.to_thread(gate.wait_reached)
                at_gate = len(hub.requests)
                gate.open()
                return at_gate, await asyncio.gather(*tasks)

        at_gate, statuses = asyncio.run(storm())
        assert at_gate == 1
        assert set(statuses) == {404}


def test_a_hub_that_throttles_for_ever_is_asked_now_and_then_and_what_was_judged_flows(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=NO_LIMITS + "[upstream]\nref_ttl_s = 0.001\n")
        asyncio.run(herd(gateway.url, world, 1))
        hub.faults.add(throttled("/api/*", wait_s=1_000_000_000))
        assert gateway.get("/api/models/demo/good-torch").status == 429
        hub.clear()
        for number in range(50):
            answer = gateway.get(f"/api/models/demo/nothing-{number}")
            assert answer.status == 429
            assert 1 <= int(answer.headers["Retry-After"]) <= 600
        asyncio.run(herd(gateway.url, world, 20))
        assert asked(hub) == {}


def test_a_hub_that_is_down_is_probed_alone_and_said_without_being_unready(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=NO_LIMITS + "[upstream]\nref_ttl_s = 0.001\n")
        asyncio.run(herd(gateway.url, world, 1))
        hub.down()
        for number in range(3):
            assert gateway.get(f"/api/models/demo/nothing-{number}").status == 502
        unjudged = gateway.get("/demo/good-torch/resolve/main/config.json")
        assert unjudged.status == 502
        assert "upstream/circuit-open" in unjudged.headers["X-Error-Message"]
        assert 1 <= int(unjudged.headers["Retry-After"]) <= 6
        asyncio.run(herd(gateway.url, world, 20))
        ready = gateway.get("/ready")
        assert (ready.status, ready.json["ready"]) == (200, True)
        assert "is asked by a probe only" in ready.json["checks"]["upstream"]
        assert b"gateway_upstream_circuit_open{" in gateway.get("/metrics").body
        hub.up()
        assert becomes(lambda: gateway.get("/demo/good-torch/resolve/main/config.json"), 200).body
        assert gateway.get("/ready").json["checks"]["upstream"] == "ok"
        gateway.stop()  # lines of the log are gathered: all are written now
        states = [json.loads(line)["state"] for line in gateway.log if '"circuit.changed"' in line]
        assert (states[0], states[-1]) == ("open", "closed")


def test_ten_thousand_absent_names_cost_neither_memory_nor_facts(launch, tmp_path):
    with SimulatorThread(World()) as hub:
        state = tmp_path / "state"
        gateway = launch(hub, state=state, config=NO_LIMITS)

        async def flood():
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50)) as session:

                async def one(number):
                    async with session.get(f"{gateway.url}/api/models/nobody/nothing-{number}") as answer:
                        return answer.status

                return set(await asyncio.gather(*(one(number) for number in range(3000))))

        assert asyncio.run(flood()) == {404}
        hub.clear()
        assert gateway.get("/api/models/nobody/nothing-2999").status == 404
        assert asked(hub) == {}
        assert gateway.get("/ready").json["checks"]["upstream"] == "ok"
