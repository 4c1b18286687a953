from __future__ import annotations

import pickletools
import zipfile
from io import BytesIO

import pytest
from safetensors.numpy import load as load_safetensors

from gateway.simulator import SimulatorThread, builders
from gateway.simulator.process import SimulatorProcess
from gateway.simulator.samples import GATED_TOKEN, HOSTILE_TEMPLATE, SAMPLES, TENSORS, sample_world
from tests.simulator.conftest import Client


@pytest.fixture
def world():
    return sample_world()


def globals_of(pickle: bytes) -> set[str]:
    return {str(argument) for opcode, argument, _ in pickletools.genops(pickle) if opcode.name == "GLOBAL"}


def data_pkl(checkpoint: bytes) -> bytes:
    with zipfile.ZipFile(BytesIO(checkpoint)) as archive:
        assert archive.testzip() is None
        return archive.read("archive/data.pkl")


def test_every_sample_can_be_fetched_and_has_its_one_line(client: Client) -> None:
    for sample in SAMPLES:
        kind, name = ("dataset", sample.name[9:]) if sample.name.startswith("datasets/") else ("model", sample.name)
        token = GATED_TOKEN if name == "demo/gated" else False
        data = client.download(name, sample.path, repo_type=kind, revision=sample.revision, token=token)
        assert data
        assert "\n" not in sample.shows
        assert len(sample.shows) < 90


def test_there_are_good_and_bad_ones() -> None:
    assert len({sample.name for sample in SAMPLES}) == len(sample_world().repos)
    assert sum(sample.is_good for sample in SAMPLES) >= 4
    assert sum(not sample.is_good for sample in SAMPLES) >= 8


def test_the_world_is_the_same_each_time() -> None:
    assert {n: r.main.id for n, r in sample_world().repos.items()} == {
        n: r.main.id for n, r in sample_world().repos.items()
    }


def test_good_weights_load(client: Client) -> None:
    loaded = load_safetensors(client.download("demo/good-safetensors", "model.safetensors"))
    assert {name: value.shape for name, value in loaded.items()} == TENSORS


def test_a_good_checkpoint_only_rebuilds_tensors(client: Client) -> None:
    names = globals_of(data_pkl(client.download("demo/good-torch", "pytorch_model.bin")))
    assert names == {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage"}


def test_the_evil_ones_are_what_they_say(client: Client) -> None:
    assert globals_of(data_pkl(client.download("demo/evil-pickle", "pytorch_model.bin"))) == {"posix system"}
    assert HOSTILE_TEMPLATE.encode() in client.download("demo/evil-gguf", "model.gguf")
    assert b"auto_map" in client.download("demo/custom-code", "config.json")
    assert b"../../" in client.download("demo/bad-shard-index", "model.safetensors.index.json")


def test_the_hostile_pull_request_is_not_on_main(client: Client) -> None:
    assert "pytorch_model.bin" not in client.api.list_repo_files("demo/pull-request")
    assert "pytorch_model.bin" in client.api.list_repo_files("demo/pull-request", revision="refs/pr/1")


def test_cards_parse(client: Client, world) -> None:
    for repo in world.repos.values():
        if repo.type == "model":
            info = client.api.model_info(repo.id)
            assert (info.card_data or {}).get("license") == repo.card.get("license")


def test_parquet_frames() -> None:
    data = builders.parquet("value")
    assert data[:4] == data[-4:] == b"PAR1"
    assert int.from_bytes(data[-8:-4], "little") == len(data) - 12


def test_the_simulator_runs_as_a_process_of_its_own(tmp_path, monkeypatch) -> None:
    options = ["--large-mib", "1", "--small-files", "5", "--latency-ms", "1", "--bandwidth-mb-s", "500"]
    with SimulatorProcess(*options) as process:
        with SimulatorThread(sample_world()):  # two at once do not disturb each other
            client = Client(process, tmp_path)  # type: ignore[arg-type] - it has a hub_url, which is all the client uses
            files = client.api.list_repo_files("bench/files-5")
        assert len(files) == 5
        assert client.api.model_info("bench/torch-1").id == "bench/torch-1"
        seen = process.requests()
        assert [(r["host"], r["status"]) for r in seen] == [("hub", 200), ("hub", 200)]
        process.clear()
        assert process.requests() == []


def test_a_process_that_cannot_start_says_so() -> None:
    with pytest.raises(RuntimeError, match="before it was ready"):
        SimulatorProcess("--port", "99999999").__enter__()
