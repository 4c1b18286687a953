"""Cold files (P1, P3, P10): judged before the first byte, fetched once however many ask, held to the last 64 KiB."""

import hashlib

import pytest

from gateway.simulator import builders
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.large import large_gguf, large_torch
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.wire import (
    MIB,
    TAIL_BYTES,
    Download,
    add_repo,
    download,
    sha256_of,
    some_tensor,
    together,
    url_of,
    wait_for,
    weights,
)

pytestmark = pytest.mark.usefixtures("fresh")

ST = "model.safetensors"
EVIL = builders.pickle_call("posix", "system")


@pytest.fixture(scope="module")
def world():
    world = World()
    for number, name in enumerate(("crowd", "recorded", "outlives", "tail", "shared", "head", "left")):
        add_repo(world, f"fill/{name}", {ST: some_tensor(32, 100 + number)})
    denied = world.repo("fill/denied", card={}, library="transformers")
    denied.commit({"README.md": "no licence\n", ST: some_tensor(32, 104)})  # the same bytes as fill/shared
    add_repo(world, "fill/small", {ST: builders.safetensors({"w": (64, 64)})})
    add_repo(world, "big/st", {ST: weights(256, 1)})
    add_repo(
        world,
        "big/gguf",
        {"model.gguf": large_gguf(256 * MIB)},
    )
    add_repo(world, "big/torch", {"pytorch_model.bin": large_torch(256 * MIB)})
    add_repo(world, "big/evil", {"pytorch_model.bin": large_torch(256 * MIB, EVIL, seed=9)})
    return world


@pytest.fixture(scope="module")
def sim(world):
    with SimulatorThread(world) as sim:
        yield sim


def content(world, name, path=ST):
    return world[name].main.files[path].content


def file_bytes(sim, name, path=ST):
    """Body bytes of the file itself that left the hub's hosts."""
    return sum(r.bytes_sent for r in sim.requests if r.file == f"{name}/{path}" and r.method == "GET")


def stalled_at(name, offset, path=ST):
    """A gate on the whole-file transfer `offset` bytes into it; range reads pass."""
    return Fault(path=f"{name}/{path}", host="cdn", stall_at=offset, stall_gate=Gate())


def test_thirty_two_clients_cost_one_transfer(gate, sim, world):
    expected = content(world, "fill/crowd")
    got = together(32, lambda _: download(gate.url, url_of("fill/crowd", ST)))
    assert {(d.status, d.sha256) for d in got} == {(200, expected.sha256)}
    read_ahead = file_bytes(sim, "fill/crowd") - expected.size
    assert 0 <= read_ahead < 0.01 * expected.size, read_ahead


def test_the_record_stands_before_the_first_byte(gate, sim):
    fault = sim.faults.add(stalled_at("fill/recorded", 8 * MIB))
    client = Download(gate.url, url_of("fill/recorded", ST))
    client.read(1)
    records = [r for r in gate.records() if r.get("request_id") == client.headers["X-Request-Id"]]
    assert [(r["kind"], r["effect"]) for r in records] == [("decision", "allow")] * 2  # the revision's, the file's
    [of_file] = [r for r in records if r.get("path")]
    assert of_file["digest"] == f"sha256:{sha256_of(content(sim.world, 'fill/recorded'))}"
    fault.stall_gate.open()
    assert client.read_all().complete
    client.close()


def test_a_fill_outlives_its_first_client_and_serves_without_the_hub(gate, sim, world):
    fault = sim.faults.add(stalled_at("fill/outlives", 4 * MIB))
    client = Download(gate.url, url_of("fill/outlives", ST))
    client.read(MIB)
    request_id = client.headers["X-Request-Id"]
    client.close()
    fault.stall_gate.open()
    wait_for(lambda: file_bytes(sim, "fill/outlives") >= content(world, "fill/outlives").size, "the transfer's end")
    try:
        again = wait_for(lambda: _hot(gate, "fill/outlives"), "the commit")
        assert again.sha256 == sha256_of(content(world, "fill/outlives"))
        sim.down()
        assert download(gate.url, url_of("fill/outlives", ST)).sha256 == again.sha256
    finally:
        sim.up()
    deliveries = wait_for(
        lambda: [r for r in gate.records() if r.get("request_id") == request_id and r["kind"] == "delivery"],
        "the delivery record of the client that left",
    )
    assert "left" in deliveries[0]["note"]
    assert MIB <= deliveries[0]["bytes_delivered"] < content(world, "fill/outlives").size


def _hot(gate, name):
    got = download(gate.url, url_of(name, ST))
    return got if got.complete else None


def test_no_client_gets_the_tail_before_the_whole_is_verified(gate, sim, world):
    size = content(world, "fill/tail").size
    fault = sim.faults.add(stalled_at("fill/tail", size - 1))
    clients = [Download(gate.url, url_of("fill/tail", ST)) for _ in range(4)]
    fault.stall_gate.wait_reached()
    for client in clients:
        client.connection.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.read(size)
        assert 0 < client.received <= size - TAIL_BYTES
    assert gate.get(url_of("fill/tail", ST), "HEAD").status == 200
    fault.stall_gate.open()


def test_of_a_small_file_not_a_byte_leaves_before_it_is_verified(gate, sim, world):
    small = content(world, "fill/small")
    assert small.size < TAIL_BYTES
    fault = sim.faults.add(stalled_at("fill/small", small.size - 1))
    waiting = together(2, lambda n: _racing(gate, fault, n))
    assert waiting[0] == []
    assert waiting[1].status == 200
    assert hashlib.sha256(waiting[1].body).hexdigest() == small.sha256


def _racing(gate, fault, number):
    """Client 1 asks; client 0 looks, while the hub holds the last byte, at what the ledger has let go."""
    if number == 1:
        return gate.get(url_of("fill/small", ST))
    fault.stall_gate.wait_reached()
    found = [r for r in gate.records() if r.get("path") == ST and r["repo"] == "fill/small" and r["effect"] == "allow"]
    fault.stall_gate.open()
    return found


@pytest.mark.parametrize(
    ("name", "path"), [("big/st", ST), ("big/gguf", "model.gguf"), ("big/torch", "pytorch_model.bin")]
)
def test_a_large_file_starts_after_a_few_small_reads(name, path, gate, sim, world):
    fault = sim.faults.add(stalled_at(name, 4 * MIB, path))
    client = Download(gate.url, url_of(name, path))
    assert client.status == 200
    client.read(MIB)
    asked = [r for r in sim.requests if r.file == f"{name}/{path}" and r.host == "cdn"]
    ahead = [r for r in asked if r.range]
    assert len(ahead) <= 8, [r.range for r in ahead]
    assert sum(r.bytes_sent for r in ahead) <= 2 * MIB
    assert file_bytes(sim, name, path) <= 8 * MIB
    fault.stall_gate.open()
    assert client.read_all().complete
    assert client.sha256 == sha256_of(content(world, name, path))
    client.close()


def test_a_hostile_checkpoint_is_denied_for_less_than_a_mebibyte(gate, sim):
    answer = gate.get(url_of("big/evil", "pytorch_model.bin"))
    assert answer.status == 403
    assert answer.headers["X-Error-Message"]
    assert 0 < file_bytes(sim, "big/evil", "pytorch_model.bin") < MIB


def test_an_allowed_blob_opens_no_denied_repo(gate, sim, world):
    """The same bytes in two repos: what one may fetch is no key to the other, cold, under way or hot."""
    assert content(world, "fill/denied").sha256 == content(world, "fill/shared").sha256
    assert gate.get(url_of("fill/denied", ST)).status == 403
    fault = sim.faults.add(stalled_at("fill/shared", 8 * MIB))
    client = Download(gate.url, url_of("fill/shared", ST))
    client.read(1)
    for headers in ({}, {"Range": "bytes=0-7"}):
        answer = gate.get(url_of("fill/denied", ST), headers=headers)
        assert answer.status == 403
        assert "license/unknown" in answer.headers["X-Error-Message"]
    fault.stall_gate.open()
    assert client.read_all().complete
    client.close()
    for headers in ({}, {"Range": "bytes=0-7"}, {"Range": "bytes=-8"}):
        assert gate.get(url_of("fill/denied", ST), headers=headers).status == 403
