"""A rule in mode `warn` lets the fetch go on, tells the developer by X-HF-Warning, and stands in the ledger."""

import json

import pytest

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import CLIENTS, GatewayProcess, run_client

TELLING = ["hub-1", "hub-2"]  # clients from 1.2 on print it


@pytest.fixture(scope="module")
def warned(tmp_path_factory):
    root = tmp_path_factory.mktemp("warned")
    overlay = root / "warn.yaml"
    modes = {
        "license/unknown": {"mode": "warn"},
        "license/other": {"mode": "dryrun"},
        "scan/template": {"mode": "warn"},
    }
    overlay.write_text(json.dumps({"config": {"rules": modes}}))
    world = sample_world()
    world["demo/no-license"].description = "line one\r\nX-Injected: yes"
    with SimulatorThread(world) as hub:
        process = GatewayProcess(hub, root / "state", "--policy-data", str(overlay))
        yield process
        process.stop()


@pytest.mark.clients
@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_the_developer_reads_the_warning_and_gets_the_file(name, warned, tmp_path):
    script = (
        "from huggingface_hub import hf_hub_download, snapshot_download\n"
        "print('GOT', hf_hub_download('demo/no-license', 'model.safetensors'))\n"
        "print('ALL', snapshot_download('demo/no-license'))\n"
    )
    run = run_client(name, warned.url, tmp_path / "home", script)
    assert run.code == 0, run.text
    assert "GOT" in run.out
    assert "ALL" in run.out
    assert ("license/unknown" in run.err) == (name in TELLING), run.err


def test_the_warning_stands_on_every_route_of_the_repo_and_on_no_other(warned):
    for method, route in (
        ("HEAD", "/demo/no-license/resolve/main/model.safetensors"),
        ("GET", "/demo/no-license/resolve/main/config.json"),
        ("GET", "/demo/no-license/raw/main/config.json"),
        ("GET", "/demo/no-license/raw/main/model.safetensors"),
        ("GET", "/api/models/demo/no-license/safetensors-metadata/model.safetensors"),
        ("GET", "/api/models/demo/no-license/commits/main"),
        ("GET", "/api/models/demo/no-license/treesize/main"),
        ("GET", "/api/models/demo/no-license"),
        ("GET", "/api/models/demo/no-license/tree/main"),
    ):
        answer = warned.get(route, method)
        assert answer.status == 200
        warnings = answer.headers.get_all("X-HF-Warning")
        assert any("license/unknown" in line and ";" in line for line in warnings), route
        assert all(line.isascii() and line.isprintable() for line in warnings)
        assert answer.headers["X-Injected"] is None
    assert not warned.get("/demo/good-torch/resolve/main/pytorch_model.bin", "HEAD").headers.get_all("X-HF-Warning")


def test_a_warning_of_one_file_stands_with_that_file_alone(warned):
    evil = warned.get("/demo/evil-gguf/resolve/main/model.gguf", "HEAD")
    assert evil.status == 200
    assert any("scan/template" in line for line in evil.headers.get_all("X-HF-Warning"))
    other = warned.get("/demo/evil-gguf/resolve/main/config.json", "HEAD")
    assert not [line for line in other.headers.get_all("X-HF-Warning") or [] if "scan/template" in line]


def test_a_dry_run_is_on_record_and_silent(warned):
    answer = warned.get("/demo/llama-style-license/resolve/main/config.json")
    assert answer.status == 200
    assert not answer.headers.get_all("X-HF-Warning")
    records = [r for r in warned.records() if r.get("repo", "").endswith("llama-style-license") and r.get("dryruns")]
    assert any(w["rule"] == "license/other" for r in records for w in r["dryruns"])
