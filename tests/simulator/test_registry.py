"""The simulated registry answers as hub-protocol §7.3 says."""

import hashlib
import json

import pytest

from gateway.simulator import builders
from gateway.simulator.registry import MANIFEST, OLLAMA
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import fetch


@pytest.fixture(scope="module")
def hub():
    world = World()
    for name, facts in (("org/gguf", {}), ("org/gated", {"gated": "manual"}), ("org/private", {"private": True})):
        repo = world.repo(name, card={"license": "apache-2.0"}, **facts)
        repo.commit(
            {"m-Q4.gguf": builders.gguf({"general.name": "a"}), "m-Q8.gguf": builders.gguf({"general.name": "b"})}
        )
    world.repo("org/plain").commit({"README.md": "x"})
    world.token("hf_reader", "org/gated", "org/private")
    with SimulatorThread(world) as sim:
        yield sim


def ask(hub, path, method="GET", **headers):
    return fetch(hub.hub_url + path, method, headers)


def test_a_tag_names_layers_by_their_digests(hub):
    answer = ask(hub, "/v2/org/gguf/manifests/q8")
    assert answer.headers["Content-Type"] == MANIFEST
    model = answer.json["layers"][0]
    file = hub.world["org/gguf"].main.files["m-Q8.gguf"]
    assert model == {"mediaType": f"{OLLAMA}model", "digest": f"sha256:{file.content.sha256}", "size": file.size}
    for layer in (answer.json["config"], *answer.json["layers"][1:]):
        body = ask(hub, f"/v2/org/gguf/blobs/{layer['digest']}").body
        assert f"sha256:{hashlib.sha256(body).hexdigest()}" == layer["digest"]
        assert len(body) == layer["size"]


def test_a_file_lies_on_the_cdn(hub):
    digest = ask(hub, "/v2/org/gguf/manifests/latest").json["layers"][0]["digest"]
    head = ask(hub, f"/v2/org/gguf/blobs/{digest}", "HEAD")
    assert head.status == 200
    got = ask(hub, f"/v2/org/gguf/blobs/{digest}")
    assert got.status == 307
    assert got.headers["Location"].startswith(hub.cdn_url)
    assert len(fetch(got.headers["Location"]).body) == int(head.headers["Content-Length"])


def test_only_llama_cpp_is_told_the_name(hub):
    told = ask(hub, "/v2/org/gguf/manifests/latest", **{"User-Agent": "llama-cpp/b1"})
    assert told.json["ggufFile"]["rfilename"] == "m-Q4.gguf"
    assert "ggufFile" not in ask(hub, "/v2/org/gguf/manifests/latest").json


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/", 200),
        ("/v2/org/gguf/manifests/Q2", 404),
        ("/v2/org/plain/manifests/latest", 404),
        ("/v2/org/gguf/blobs/sha256:" + "0" * 64, 404),
        ("/v2/org/nothing/manifests/latest", 401),
        ("/v2/org/private/manifests/latest", 401),
        ("/v2/org/gated/manifests/latest", 401),
        ("/v2/org/gguf/tags/list", 404),
    ],
)
def test_other_answers(hub, path, status):
    assert ask(hub, path).status == status


def test_a_token_opens_what_it_was_granted(hub):
    for name in ("org/gated", "org/private"):
        assert ask(hub, f"/v2/{name}/manifests/latest", Authorization="Bearer hf_reader").status == 200


def test_a_test_may_make_the_small_layers_itself(hub):
    hub.edit(lambda world: world.layers.update({"org/gguf": {f"{OLLAMA}system": b"You are a test."}}))
    answer = ask(hub, "/v2/org/gguf/manifests/latest")
    digest = f"sha256:{hashlib.sha256(b'You are a test.').hexdigest()}"
    assert digest in json.dumps(answer.json)
    assert ask(hub, f"/v2/org/gguf/blobs/{digest}").body == b"You are a test."
