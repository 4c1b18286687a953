"""Every address that a client is told is the gateway's own, on every route (hub-protocol §15.6)."""

import json
import re

import pytest

from gateway.hubs.huggingface.routes import ROUTES
from gateway.simulator import builders
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import GatewayProcess
from tests.e2e.walk import walk
from tests.e2e.wire import QUICK, add_repo

URL = re.compile(rb"(?:https?:)?//[\w.\[\]:@-]+[^\s\"'<>)\\]*", re.IGNORECASE)
WEIGHTS = builders.safetensors({"a": (4, 4)})


@pytest.fixture(scope="module")
def world():
    world = World()
    for kind, name in (("model", "org/model"), ("dataset", "org/set"), ("space", "org/app")):
        repo = world.repo(name, type=kind, card={"license": "apache-2.0", "license_link": "https://hf.co/org/model"})
        repo.description = "See https://huggingface.co/org/model and https://cas-bridge.xethub.hf.co/x?sig=1"
        repo.commit({"README.md": repo.readme(), "config.json": "{}", "w/model.safetensors": WEIGHTS})
        repo.commit({"more.json": "[1]"}, message="From https://huggingface.co/org/model/discussions/1")
        repo.tag("v1")
        repo.convert("parquet", {"data.parquet": builders.parquet()})
        repo.branches["deep/branch"] = repo.main.id
        repo.pull_request({"more.json": "[2]"})
    world["org/model"].config = {
        "note": "https://huggingface.co/org/model",
        "auto": "//cdn-lfs.hf.co/x",
        "more": "https://you@huggingface.co/x //HF.co",
    }
    add_repo(world, "org/model-two", {"config.json": "{}"})
    return world


@pytest.fixture(scope="module")
def hub(world):
    with SimulatorThread(world) as sim:
        yield sim


@pytest.fixture(scope="module", params=["", "/hf"])
def gateway(request, hub, tmp_path_factory):
    limits = "[limits]\nsubject_rate = 0\naddress_rate = 0\n"
    flags = ["--public-url", f"https://models.example:8443{request.param}"]
    process = GatewayProcess(hub, tmp_path_factory.mktemp("origins") / "state", *flags, config=QUICK + limits)
    yield process
    process.stop()


def test_every_address_is_our_own(gateway, hub, world):
    public = gateway.flags[1]
    foreign = [hub.hub_url, hub.cdn_url, "huggingface.co", "hf.co"]
    walked, told = set(), 0
    for name in ("org/model", "datasets/org/set", "spaces/org/app"):
        for asked in walk(world[name], refs=["main"], paths=["w/model.safetensors"]):
            answer = gateway.get(asked.target, asked.method, dict(asked.headers), asked.body)
            walked.add(asked.route)
            assert answer.status < 500, (asked.method, asked.target, answer.body[:300])
            headers = [f"{n}: {v}".encode() for n, v in answer.headers.items()]
            is_file = asked.route.kind.value in {"resolve", "raw", "layer"} and answer.status == 200
            for text in [*headers, *([] if is_file else [answer.body])]:
                for found in URL.findall(text):
                    told += 1
                    assert found.decode().startswith(public), (asked.method, asked.target, found)
                for mark in foreign:
                    assert mark.encode() not in text, (asked.method, asked.target, mark)
    assert walked == set(ROUTES)
    assert told > 20, "a walk that meets no address proves nothing"


def test_the_walk_meets_answers_of_every_kind(gateway, world):
    """What would be walked in vain: a route that refuses everything tells no address at all."""
    opened = {a.route.kind.value for a in walk(world["org/model"], refs=["main"]) if _is_open(gateway, a)}
    refused = {"write", "git", "xet_token", "whoami"}
    assert {route.kind.value for route in ROUTES} - opened - refused == set()


def _is_open(gateway, asked):
    answer = gateway.get(asked.target, asked.method, dict(asked.headers), asked.body)
    return answer.status == 200 and (asked.method == "HEAD" or answer.body != b"")


def test_pages_link_under_the_public_address(gateway):
    link = gateway.get("/api/models/org/model/commits/main?limit=1").headers["Link"]
    assert link.startswith(f"<{gateway.flags[1]}/api/models/org/model/commits/main?")
    lfs = json.dumps({"operation": "download", "objects": [{"oid": "0" * 64, "size": 1}]}).encode()
    answer = gateway.get(
        "/org/model.git/info/lfs/objects/batch", "POST", {"Content-Type": "application/vnd.git-lfs+json"}, lfs
    )
    assert answer.status in {200, 403}
