"""The hub's lesser read routes: sizes, headers of safetensors, the page of a file, write access."""

import json

import pytest

from gateway.simulator import SimulatorThread, World, builders
from tests.e2e.harness import fetch

SHARDS = {"a-1.safetensors": {"x": (2, 2)}, "a-2.safetensors": {"y": (3,)}}


@pytest.fixture(scope="module")
def sim():
    world = World()
    repo = world.repo("demo/sharded")
    index = {"metadata": {"total_size": 28}, "weight_map": {"x": "a-1.safetensors", "y": "a-2.safetensors"}}
    shards = {f"w/{name}": builders.safetensors(tensors) for name, tensors in SHARDS.items()}
    repo.commit({"w/a.safetensors.index.json": json.dumps(index), **shards, "<b>.txt": "odd"})
    with SimulatorThread(world) as sim:
        yield sim


def get(sim, path):
    return fetch(sim.hub_url + path)


def test_treesize_counts_a_folder_a_file_and_everything(sim):
    files = sim.world["demo/sharded"].main.files
    shards = sum(file.size for path, file in files.items() if path.startswith("w/"))
    assert get(sim, "/api/models/demo/sharded/treesize/main/w").json == {"path": "/w", "size": shards}
    assert get(sim, "/api/models/demo/sharded/treesize/main/").json["size"] == sum(f.size for f in files.values())
    assert get(sim, "/api/models/demo/sharded/treesize/main/no").status == 404


def test_safetensors_metadata_holds_the_headers_of_all_shards(sim):
    found = get(sim, "/api/models/demo/sharded/safetensors-metadata/w/a.safetensors.index.json").json
    assert found["index"] == {"metadata": {"total_size": 28}}
    assert set(found["headers"]) == set(SHARDS)
    assert found["headers"]["a-1.safetensors"]["x"] == {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    assert get(sim, "/api/models/demo/sharded/safetensors-metadata/w/a-2.safetensors").json["headers"].keys() == {
        "a-2.safetensors"
    }
    assert get(sim, "/api/models/demo/sharded/safetensors-metadata/none.json").status == 404


def test_the_page_of_a_file_is_html_with_its_name_escaped(sim):
    page = get(sim, "/demo/sharded/blob/main/%3Cb%3E.txt")
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"&lt;b&gt;.txt" in page.body


def test_nobody_may_write_here(sim):
    assert get(sim, "/api/models/demo/sharded/auth-check").status == 200
    assert get(sim, "/api/models/demo/sharded/auth-check/write").status == 403
