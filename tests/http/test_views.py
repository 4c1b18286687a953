"""Other forms of a file, at their bounds: indexes and headers that are too large, and what is on record of each."""

import json

import pytest

from gateway.identity.ratelimit import Rate
from gateway.simulator import builders
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.enforcement.whole import records, whole
from tests.http.test_door import got, open_door

WIDE = 10_000  # tensors with long names: about 5 MiB of header
ROUTE = "/api/models/demo/{}/safetensors-metadata/{}"


def wide(first: int) -> bytes:
    return builders.safetensors({"a" * 400 + str(n): (1,) for n in range(first, first + WIDE)})


@pytest.fixture(scope="module")
def hub():
    world = sample_world()
    repo = world.repo("demo/wide", card={"license": "apache-2.0"})
    shards = {f"m-{n}.safetensors": wide(n * WIDE) for n in range(4)}
    index = {"metadata": {"n": 4}, "weight_map": {f"t{n}": f"m-{n}.safetensors" for n in range(4)}}
    lone = {"weight_map": {"t0": "m-0.safetensors"}}
    repo.commit(
        {**shards, "m.safetensors.index.json": json.dumps(index), "one.safetensors.index.json": json.dumps(lone)}
    )
    with SimulatorThread(world) as sim:
        yield sim


@pytest.fixture
async def core(hub, tmp_path):
    async with whole(hub, tmp_path / "state") as core:
        yield core


async def asked(client, target, method="GET", **headers):
    """Ask until it is no longer pending: a first look at large headers may take longer than a client waits."""
    while (answer := await got(client, target, method, headers=headers))[0] == 429:
        assert int(answer[1]["Retry-After"]) >= 1
    return answer


async def test_headers_that_are_too_large_together_are_not_gathered(core):
    async with open_door(core) as client:
        status, _, body = await asked(client, ROUTE.format("wide", "one.safetensors.index.json"))
        assert status == 200
        assert len(json.loads(body)["headers"]["m-0.safetensors"]) == WIDE + 1
        status, headers, body = await asked(client, ROUTE.format("wide", "m.safetensors.index.json"))
        assert (status, headers["X-Error-Code"]) == (404, "EntryNotFound")
        assert "together" in json.loads(body)["error"]
        assert "X-Repo-Commit" not in headers


async def test_each_shard_of_an_index_counts_as_a_request(core):
    target = ROUTE.format("wide", "one.safetensors.index.json")
    async with open_door(core) as client:
        assert (await asked(client, target))[0] == 200
    async with open_door(core, address=Rate(0.001, 2)) as client:
        assert [(await got(client, target))[0] for _ in range(2)] == [200, 429]


async def test_a_file_of_another_format_has_no_headers(core):
    async with open_door(core) as client:
        for repo, path in (
            ("good-torch", "pytorch_model.bin"),
            ("good-torch", "config.json"),
            ("good-gguf", "model.gguf"),
        ):
            status, headers, body = await asked(client, ROUTE.format(repo, path))
            assert (status, headers["X-Error-Code"]) == (404, "EntryNotFound"), path
            assert "has no safetensors metadata" in json.loads(body)["error"]


async def test_header_bytes_that_leave_are_on_record_and_those_of_a_page_are_none(core, hub):
    async with open_door(core) as client:
        await asked(client, ROUTE.format("good-safetensors", "model.safetensors"))
        await asked(client, "/demo/good-safetensors/blob/main/model.safetensors")
        await asked(client, "/demo/good-safetensors/raw/main/model.safetensors")
    await core.recording.flush()
    data = hub.world["demo/good-safetensors"].main.files["model.safetensors"].content.read(0, 8)
    deliveries = [r for r in records(core) if r["kind"] == "delivery"]
    assert [r["bytes_delivered"] for r in deliveries] == [8 + int.from_bytes(data, "little")]
    assert {r["route"] for r in records(core) if r.get("path") == "model.safetensors" and r["kind"] == "decision"} == {
        "safetensors_metadata",
        "blob",
        "raw",
    }


@pytest.mark.parametrize("form", ["raw", "blob"])
async def test_a_form_is_decided_anew_for_each_subject_and_route(core, form):
    async with open_door(core) as client:
        for _ in range(2):
            assert (await asked(client, f"/demo/good-torch/{form}/main/pytorch_model.bin"))[0] == 200
            assert (await asked(client, f"/demo/evil-pickle/{form}/main/pytorch_model.bin"))[0] == 403
            head = await asked(client, f"/demo/evil-pickle/{form}/main/pytorch_model.bin", "HEAD")
            assert (head[0], head[2]) == (403, b"")


async def test_the_pointer_is_ranged_and_conditional(core):
    async with open_door(core) as client:
        target = "/demo/good-torch/raw/main/pytorch_model.bin"
        _, headers, whole_body = await asked(client, target)
        assert (await asked(client, target, Range="bytes=0-6"))[2] == whole_body[:7] == b"version"
        stale = await asked(client, target, Range="bytes=0-6", **{"If-Range": '"other"'})
        assert (stale[0], stale[2]) == (200, whole_body)
        assert (await asked(client, target, Range="bytes=500-"))[0] == 416
        assert (await asked(client, target, **{"If-None-Match": headers["ETag"]}))[0] == 304
        head = await asked(client, target, "HEAD", Range="bytes=0-6")
        assert (head[0], head[1]["Content-Length"]) == (200, str(len(whole_body)))
