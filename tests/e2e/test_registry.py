"""The `/v2/` registry end to end: attacks first, then what Ollama and llama.cpp fetch, allowed, denied and pending."""

import hashlib
import json

import pytest

from gateway.simulator import builders
from gateway.simulator.faults import Fault
from gateway.simulator.registry import CONFIG, MANIFEST, OLLAMA
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli

HUB_TOKEN = "hf_gatewaysOwnHubToken000000000000"
MODEL = f"{OLLAMA}model"


def gguf(name):
    metadata = {"general.architecture": "llama", "general.name": name, "tokenizer.ggml.tokens": ["a", "b"]}
    return builders.gguf(metadata, {"token_embd.weight": (8, 6)})


@pytest.fixture(scope="module")
def world():
    world = sample_world()

    def repo(name, files, **facts):
        made = world.repo(name, card={"license": "apache-2.0"}, library="gguf", **facts)
        made.commit({"README.md": made.readme(), **files})
        return made

    repo("demo/quants", {"m-Q4_K_M.gguf": gguf("q4"), "m-Q8_0.gguf": gguf("q8"), "mmproj-f16.gguf": gguf("mmproj")})
    repo("demo/bad-layer", {"m.gguf": gguf("bad layer")})
    repo("demo/foreign-layer", {"m.gguf": gguf("foreign layer")})
    repo("demo/lying-layer", {"m.gguf": gguf("lying layer")})
    repo("demo/moving", {"m.gguf": gguf("first")})
    repo("corp/secret", {"m.gguf": gguf("secret")}, private=True)
    # What the hub's registry would hand out beside the file.
    world.layers["demo/bad-layer"] = {f"{OLLAMA}template": b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."}
    world.layers["demo/foreign-layer"] = {f"{OLLAMA}adapter": b"GGUF, of no file of this repo"}
    world.layers["demo/lying-layer"] = {f"{OLLAMA}params": b"#!/bin/sh\nrm -rf /\n"}
    world.token(HUB_TOKEN, "corp/secret", "demo/gated", name="gateway")
    return world


@pytest.fixture(scope="module")
def setup(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("registry")
    overlay = root / "site.yaml"
    overlay.write_text(json.dumps({"entitlements": {"corp": {"corp/*": True}}}))
    done = cli("token", "add", "carol", "--group", "corp", "--state", str(root / "state"), "--json")
    assert done.returncode == 0, done.stderr
    with SimulatorThread(world) as hub:
        process = GatewayProcess(
            hub, root / "state", "--policy-data", str(overlay), env={"GATEWAY_UPSTREAM_TOKEN": HUB_TOKEN}
        )
        yield hub, process, {"Authorization": f"Bearer {json.loads(done.stdout)['token']}"}
        process.stop()


def manifest(gateway, name, tag="latest", agent="ollama/0.30", **headers):
    accept = {"Accept": MANIFEST, "User-Agent": agent, **headers}
    return gateway.get(f"/v2/{name}/manifests/{tag}", headers=accept)


def blob(gateway, name, sha256, method="GET", **headers):
    return gateway.get(f"/v2/{name}/blobs/sha256:{sha256}", method, headers)


def sha(data):
    return hashlib.sha256(data).hexdigest()


# -- attacks -----------------------------------------------------------------------------------------------------------


def test_a_digest_opens_nothing_of_another_repo(setup, world):
    _, gateway, carol = setup
    secret = sha(gguf("secret"))
    assert blob(gateway, "corp/secret", secret, **carol).body == gguf("secret")  # from now on the gateway holds it
    for name in ("demo/quants", "demo/good-gguf", "corp/secret", "no/where"):
        for method in ("GET", "HEAD"):
            answer = blob(gateway, name, secret, method)
            assert answer.status == 404, name
            assert b"secret" not in answer.body
            assert "Location" not in answer.headers


def test_a_private_repo_is_plainly_absent(setup):
    _, gateway, carol = setup
    assert manifest(gateway, "corp/secret", **carol).status == 200
    answers = [manifest(gateway, name) for name in ("corp/secret", "no/where")]
    assert {(a.status, a.body) for a in answers} == {(404, b"Repository not found\n")}
    answers = [blob(gateway, name, sha(gguf("secret"))) for name in ("corp/secret", "no/where")]
    assert {(a.status, a.body) for a in answers} == {(404, b"Repository not found\n")}


def test_a_hostile_small_layer_refuses_the_manifest_and_is_not_had_alone(setup, world):
    _, gateway, _ = setup
    for name in ("demo/bad-layer", "demo/lying-layer"):
        answer = manifest(gateway, name)
        assert answer.status == 403, name
        assert b"scan/" in answer.body or b"format/banned" in answer.body
        (hostile,) = world.layers[name].values()
        assert blob(gateway, name, sha(hostile)).status == 404
        assert hostile not in answer.body


def test_a_layer_that_is_no_file_of_the_repo_refuses_the_manifest(setup, world):
    _, gateway, _ = setup
    answer = manifest(gateway, "demo/foreign-layer")
    assert answer.status == 403
    assert b"protocol/unjudged-layer" in answer.body
    assert b"Next step" in answer.body
    (foreign,) = world.layers["demo/foreign-layer"].values()
    assert blob(gateway, "demo/foreign-layer", sha(foreign)).status == 404
    assert blob(gateway, "demo/foreign-layer", sha(gguf("foreign layer"))).body == gguf("foreign layer")


def rows(*layers):
    config = {"digest": f"sha256:{sha(b'{}')}", "mediaType": CONFIG, "size": 2}
    made = [{"digest": f"sha256:{d}", "mediaType": kind, "size": size} for d, kind, size in layers]
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": made}


Q4 = gguf("q4")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (rows((sha(Q4), MODEL, len(Q4) + 1)), 403),  # a size that is not the file's
        (rows((sha(gguf("secret")), MODEL, len(gguf("secret")))), 403),  # a file of another repo
        (rows((sha(Q4), MODEL, len(Q4)), ("e" * 64, f"{OLLAMA}license", 2 << 20)), 403),  # a small one that is large
        (rows(*[(sha(Q4), MODEL, len(Q4))] * 65), 502),
        ({"schemaVersion": 2, "layers": [{"urls": ["http://evil.example"]}]}, 502),
        ([], 502),
        ({"errors": []}, 502),
    ],
)
def test_a_manifest_that_cannot_be_judged_is_not_told(value, status, setup):
    hub, gateway, _ = setup
    tag = f"Q4_K_M-{sha(json.dumps(value).encode())[:6]}"
    fault = hub.faults.add(Fault(path=f"/v2/demo/quants/manifests/{tag}", status=200, body=json.dumps(value).encode()))
    answer = manifest(gateway, "demo/quants", tag)
    hub.faults.remove(fault)
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert sha(Q4).encode() not in answer.body
    assert b"evil" not in answer.body


def test_what_the_hub_gives_for_a_small_layer_must_be_what_it_named(setup):
    hub, gateway, _ = setup
    small = (sha(b"a licence"), f"{OLLAMA}license", 9)
    fault = hub.faults.add(
        Fault(path="/v2/demo/quants/manifests/other", status=200, body=json.dumps(rows((sha(Q4), MODEL, len(Q4)), small)).encode()),
        Fault(path=f"/v2/demo/quants/blobs/sha256:{small[0]}", status=200, body=b"b licence"),
        Fault(path=f"/v2/demo/quants/blobs/sha256:{sha(b'{}')}", status=200, body=b"{}"),
    )  # fmt: skip
    answer = manifest(gateway, "demo/quants", "other")
    hub.faults.clear()
    assert fault is not None
    assert answer.status in {429, 502}, answer.body
    assert blob(gateway, "demo/quants", small[0]).status == 404


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}])
def test_no_header_changes_the_address_of_a_blob(headers, setup):
    _, gateway, _ = setup
    answer = blob(gateway, "demo/quants", sha(Q4), "HEAD", **headers)
    assert answer.headers["Location"] == f"{gateway.url}/v2/demo/quants/blobs/sha256:{sha(Q4)}"


# -- what clients need -------------------------------------------------------------------------------------------------


def test_the_ping(setup):
    hub, gateway, _ = setup
    hub.clear()
    answer = gateway.get("/v2/")
    assert (answer.status, answer.json) == (200, {})
    assert not hub.requests


@pytest.mark.parametrize(("tag", "name"), [("latest", "q4"), ("Q8_0", "q8"), ("q4_k_m", "q4")])
def test_a_tag_leads_to_bytes_that_can_be_verified(tag, name, setup):
    _, gateway, _ = setup
    answer = manifest(gateway, "demo/quants", tag)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == MANIFEST
    assert answer.headers["Docker-Content-Digest"] == f"sha256:{sha(answer.body)}"
    assert "ggufFile" not in answer.json
    layers = [answer.json["config"], *answer.json["layers"]]
    assert [layer["mediaType"].rpartition(".")[2] for layer in layers[1:]] == [
        "model",
        "template",
        "params",
        "projector",
    ]
    assert layers[1]["digest"] == f"sha256:{sha(gguf(name))}"
    for layer in layers:
        digest = layer["digest"].removeprefix("sha256:")
        head = blob(gateway, "demo/quants", digest, "HEAD")
        assert (head.status, head.headers["Content-Length"]) == (200, str(layer["size"]))
        got = blob(gateway, "demo/quants", digest)
        assert (got.status, sha(got.body)) == (200, digest)
        assert got.headers["Location"] == f"{gateway.url}/v2/demo/quants/blobs/sha256:{digest}"
        part = blob(gateway, "demo/quants", digest, Range="bytes=1-5")
        assert (part.status, part.body) == (206, got.body[1:6])
        assert part.headers["Content-Range"] == f"bytes 1-5/{layer['size']}"


def test_llama_cpp_is_told_names(setup, world):
    _, gateway, _ = setup
    answer = manifest(gateway, "demo/quants", "Q8_0", agent="llama-cpp/b4567")
    file = world["demo/quants"].main.files["m-Q8_0.gguf"]
    assert answer.json["ggufFile"]["rfilename"] == "m-Q8_0.gguf"
    assert answer.json["ggufFile"]["lfs"]["sha256"] == file.content.sha256
    assert answer.json["mmprojFile"]["rfilename"] == "mmproj-f16.gguf"


def test_a_head_of_a_manifest(setup):
    _, gateway, _ = setup
    answer = gateway.get("/v2/demo/quants/manifests/latest", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 100


@pytest.mark.parametrize(
    ("name", "rule"), [("demo/evil-gguf", b"scan/template"), ("demo/no-license", b"license/unknown")]
)
def test_a_denied_manifest_says_why_in_text(name, rule, setup, world):
    _, gateway, _ = setup
    answer = manifest(gateway, name)
    assert answer.status == 403
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert rule in answer.body
    assert b"Next step" in answer.body
    assert b"sha256:" not in answer.body


def test_a_denied_file_is_not_had_by_its_digest(setup, world):
    _, gateway, _ = setup
    evil = world["demo/evil-gguf"].main.files["model.gguf"].content.sha256
    for method in ("GET", "HEAD"):
        for headers in ({}, {"Range": "bytes=0-3"}, {"If-None-Match": f'"{evil}"'}):
            answer = blob(gateway, "demo/evil-gguf", evil, method, **headers)
            assert answer.status == 403
            assert "Location" not in answer.headers
    assert b"scan/template" in blob(gateway, "demo/evil-gguf", evil).body


@pytest.mark.parametrize("name", ["demo/good-torch", "datasets/demo"])
def test_no_manifest_is_404(name, setup):
    _, gateway, _ = setup
    assert manifest(gateway, name).status == 404


def test_an_unknown_tag_is_404(setup):
    _, gateway, _ = setup
    answer = manifest(gateway, "demo/quants", "Q2_K")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_a_hub_without_a_registry_has_no_manifests(setup):
    hub, gateway, _ = setup
    for status in (404, 400):
        fault = hub.faults.add(Fault(path="/v2/*", status=status, body=b"nothing here"))
        assert manifest(gateway, "demo/quants", f"none-{status}").status == 404
        hub.faults.remove(fault)


def test_a_hub_in_trouble_is_not_an_absence(setup):
    hub, gateway, _ = setup
    fault = hub.faults.add(Fault(path="/v2/*", status=500, body=b"oops"))
    answer = manifest(gateway, "demo/quants", "trouble")
    hub.faults.remove(fault)
    assert answer.status == 502


def test_what_a_manifest_named_can_be_had_after_the_branch_moved(setup, world):
    hub, gateway, _ = setup
    first = manifest(gateway, "demo/moving").json["layers"][0]["digest"].removeprefix("sha256:")
    unseen = sha(gguf("second"))
    assert blob(gateway, "demo/moving", unseen).status == 404
    hub.edit(lambda world: world["demo/moving"].commit({"m.gguf": gguf("second")}))
    # Another tag, which the hub reads from a revision newer than the one that is believed here.
    moved = manifest(gateway, "demo/moving", "m.gguf").json["layers"][0]["digest"].removeprefix("sha256:")
    assert moved == unseen
    assert blob(gateway, "demo/moving", first).body == gguf("first")
    assert blob(gateway, "demo/moving", moved).body == gguf("second")


def test_every_layer_is_on_record(setup):
    _, gateway, _ = setup
    manifest(gateway, "demo/quants", "Q8_0")
    records = [r for r in gateway.records() if r.get("repo") == "demo/quants" and r.get("effect") == "allow"]
    assert {"m-Q8_0.gguf", "mmproj-f16.gguf", "v2/params.json", "v2/template.txt", "v2/config.json"} <= {
        r.get("path") for r in records
    }
    assert {r.get("path") for r in records if r.get("route") == "manifest"} >= {"Q8_0"}
