"""The `/v2/` registry: hostile manifests first, then what Ollama and llama.cpp read."""

import copy
import json

import pytest

from gateway.domain.artifact import Artifact, FileEntry, Repo, RepoType
from gateway.domain.decision import DecisionScope, Effect, Reason
from gateway.domain.errors import UnroutableRequest, UpstreamUnavailable
from gateway.domain.outcome import Denial
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface import manifests
from gateway.hubs.huggingface.grammar import parse

MODEL = Repo("hub", RepoType.MODEL, "org/name")
CONFIG, GGUF, PARAMS, PROJECTOR = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
OLLAMA = "application/vnd.ollama.image."


def layer(sha256, kind, size=10, **more):
    return {"digest": f"sha256:{sha256}", "mediaType": kind, "size": size, **more}


VALUE = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": layer(CONFIG, "application/vnd.docker.container.image.v1+json"),
    "layers": [layer(GGUF, f"{OLLAMA}model", 640), layer(PARAMS, f"{OLLAMA}params")],
}
ENTRY = FileEntry("q/model.gguf", 640, "e" * 40, GGUF)
SMALL = FileEntry("v2/params.json", 10, "", PARAMS)


@pytest.mark.parametrize(
    "change",
    [
        {"schemaVersion": 1},
        {"schemaVersion": "2"},
        {"mediaType": "application/vnd.oci.image.index.v1+json"},
        {"mediaType": 5},
        {"config": None},
        {"config": "sha256:" + CONFIG},
        {"layers": None},
        {"layers": []},
        {"layers": {}},
        {"layers": [None]},
        {"layers": [layer(GGUF, f"{OLLAMA}model")] * (manifests.MAX_LAYERS + 1)},
        {"layers": [layer(GGUF.upper(), f"{OLLAMA}model")]},
        {"layers": [layer(GGUF[1:], f"{OLLAMA}model")]},
        {"layers": [layer(GGUF + "/../x", f"{OLLAMA}model")]},
        {"layers": [{**layer(GGUF, f"{OLLAMA}model"), "digest": f"sha512:{GGUF}"}]},
        {"layers": [layer(GGUF, f"{OLLAMA}model\r\nX: y")]},
        {"layers": [layer(GGUF, "text/html")]},
        {"layers": [layer(GGUF, None)]},
        {"layers": [layer(GGUF, f"{OLLAMA}model", -1)]},
        {"layers": [layer(GGUF, f"{OLLAMA}model", True)]},
        {"layers": [layer(GGUF, f"{OLLAMA}model", "640")]},
        {"layers": [layer(GGUF, f"{OLLAMA}model", 1 << 60)]},
        {"layers": [layer(GGUF, f"{OLLAMA}model", 1.5)]},
    ],
)
def test_a_manifest_that_is_not_plain_is_the_hubs_trouble(change):
    with pytest.raises(UpstreamUnavailable) as caught:
        manifests.manifest_of({**VALUE, **change})
    assert caught.value.code == "upstream/malformed"


@pytest.mark.parametrize("value", [None, [], "x", 2, {}])
def test_what_is_no_manifest_is_the_hubs_trouble(value):
    with pytest.raises(UpstreamUnavailable):
        manifests.manifest_of(value)


def told(value, files, *, names_files=False):
    rendering = manifests.manifest_answer(manifests.manifest_of(value), files, names_files=names_files)
    return rendering, json.loads(rendering.body)


def test_only_known_fields_are_told():
    value = copy.deepcopy(VALUE)
    value["layers"][0] |= {"urls": ["https://evil.example/x"], "from": "/etc/passwd", "annotations": {"a": "b"}}
    value["ggufFile"] = {"rfilename": "../evil.gguf"}
    value["annotations"] = {"a": "b"}
    rendering, answer = told(value, {GGUF: ENTRY})
    assert b"evil" not in rendering.body
    assert answer == VALUE
    assert dict(rendering.headers)["Content-Type"] == VALUE["mediaType"]


def test_llama_cpp_is_told_the_names_of_the_files():
    value = copy.deepcopy(VALUE)
    value["layers"].append(layer(PROJECTOR, f"{OLLAMA}projector"))
    projector = FileEntry("mmproj.gguf", 10, "f" * 40, PROJECTOR)
    _, answer = told(value, {GGUF: ENTRY, PROJECTOR: projector, PARAMS: SMALL}, names_files=True)
    assert answer["ggufFile"]["rfilename"] == "q/model.gguf"
    assert answer["ggufFile"]["lfs"]["sha256"] == GGUF
    assert answer["ggufFile"]["size"] == 640
    assert answer["ggufFile"]["blobId"] == "e" * 40
    assert answer["mmprojFile"]["rfilename"] == "mmproj.gguf"
    assert "mmprojFile" not in told(VALUE, {GGUF: ENTRY}, names_files=True)[1]


def test_only_small_pieces_of_known_types_have_a_name():
    manifest = manifests.manifest_of(
        {**VALUE, "layers": [layer(GGUF, f"{OLLAMA}model"), layer(PARAMS, f"{OLLAMA}adapter"), *VALUE["layers"][1:]]}
    )
    assert [part.name for part in manifest.parts] == ["v2/config.json", "", "", "v2/params.json"]


def test_a_layers_own_address_is_the_gateways():
    rendering = manifests.blob_headers("https://gate.example", Artifact(MODEL, "c" * 40, ENTRY), GGUF)
    headers = dict(rendering.headers)
    assert headers["Location"] == f"https://gate.example/v2/org/name/blobs/sha256:{GGUF}"
    asked = parse("hub", "GET", headers["Location"].removeprefix("https://gate.example"))
    assert (asked.kind, asked.repo, asked.path) == (RequestKind.LAYER, MODEL, GGUF)
    assert headers["ETag"] == f'"{GGUF}"'
    assert headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("target", "kind", "path"),
    [
        ("/v2/", RequestKind.MANIFEST, ""),
        ("/v2/org/name/manifests/latest", RequestKind.MANIFEST, "latest"),
        ("/v2/org/name/manifests/Q4_K_M", RequestKind.MANIFEST, "Q4_K_M"),
        ("/v2/org/name/manifests/model-Q4.gguf", RequestKind.MANIFEST, "model-Q4.gguf"),
        (f"/v2/org/name/blobs/sha256:{GGUF}", RequestKind.LAYER, GGUF),
    ],
)
def test_the_routes(target, kind, path):
    for method in ("GET", "HEAD"):
        asked = parse("hub", method, target)
        assert (asked.kind, asked.path, asked.ref) == (kind, path, "")
        assert asked.repo == (MODEL if path else None)


@pytest.mark.parametrize(
    "target",
    [
        "/v2",
        "/v2/x",
        "/v2/org/name/manifests/",
        "/v2/org/name/manifests/..",
        "/v2/org/name/manifests/-x",
        f"/v2/org/name/manifests/sha256:{GGUF}",
        f"/v2/org/name/manifests/{'t' * 129}",
        "/v2/org/name/manifests/a%2Fb",
        f"/v2/org/name/blobs/{GGUF}",
        f"/v2/org/name/blobs/sha256:{GGUF.upper()}",
        f"/v2/org/name/blobs/sha256:{GGUF}/..",
        f"/v2/org/name/blobs/sha512:{GGUF}{GGUF}",
        "/v2/org/name/blobs/uploads/",
        "/v2/org/name/tags/list",
        "/v2/_catalog",
        "/v2/a/b/c/manifests/latest",
        "/v2/org/na--me/manifests/latest",
        "/v2/datasets/name/manifests/latest",
    ],
)
def test_what_else_a_registry_has_is_no_route(target):
    with pytest.raises(UnroutableRequest):
        parse("hub", "GET", target)


def test_a_refusal_is_one_line_of_text():
    reason = Reason("scan/template", "critical", "a gadget", "another revision")
    denial = Denial(Effect.DENY, DecisionScope.FILE, (reason,), "d-1")
    rendering = manifests.refusal(HubRequest(RequestKind.MANIFEST, MODEL, path="latest"), denial)
    assert rendering.status == 403
    assert dict(rendering.headers)["Content-Type"].startswith("text/plain")
    assert b"scan/template" in rendering.body


def test_what_the_registry_made_is_known():
    assert manifests.is_made_by_hub(SMALL)
    assert not manifests.is_made_by_hub(ENTRY)
    assert manifests.ping().status == 200
