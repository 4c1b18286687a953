"""Real clients, unmodified, with only HF_ENDPOINT set: what passes is byte-identical, what fails says why (P9)."""

import hashlib
import json
import re

import pytest

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import CLIENTS, curl, run_client

pytestmark = pytest.mark.clients

NAMES = sorted(CLIENTS)
TRANSFORMERS = ["hub-0.36", "hub-1"]


@pytest.fixture
def home(tmp_path):
    return tmp_path / "hf-home"


def download(repo, path, **options):
    arguments = ", ".join([repr(repo), repr(path), *(f"{k}={v!r}" for k, v in options.items())])
    return (
        "import hashlib, pathlib\nfrom huggingface_hub import hf_hub_download\n"
        f"p = hf_hub_download({arguments})\n"
        "print('SHA', hashlib.sha256(pathlib.Path(p).read_bytes()).hexdigest())\n"
    )


def snapshot(repo, **options):
    arguments = ", ".join([repr(repo), *(f"{k}={v!r}" for k, v in options.items())])
    return (
        "import json, hashlib, pathlib\nfrom huggingface_hub import snapshot_download\n"
        f"root = pathlib.Path(snapshot_download({arguments}))\n"
        "print('FILES', json.dumps({str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()"
        " for p in root.rglob('*') if p.is_file()}))\n"
    )


def content(hub, repo, path):
    return hub.world[repo].main.files[path].content.read(0, 1 << 30)


def top_message(run):
    """The last exception printed: its own text, not that of its cause."""
    return run.err.rsplit("Traceback (most recent call last)", 1)[-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_arrives_byte_identical(name, gateway, hub, home):
    run = run_client(name, gateway.url, home, download("demo/good-safetensors", "model.safetensors"))
    assert run.code == 0, run.text
    expected = hashlib.sha256(content(hub, "demo/good-safetensors", "model.safetensors")).hexdigest()
    assert f"SHA {expected}" in run.out


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_arrives_whole(name, gateway, hub, home):
    run = run_client(name, gateway.url, home, snapshot("demo/good-torch"))
    assert run.code == 0, run.text
    files = json.loads(run.out.split("FILES ", 1)[1])
    expected = {
        path: hashlib.sha256(content(hub, "demo/good-torch", path)).hexdigest()
        for path in hub.world["demo/good-torch"].main.files
    }
    assert files == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_dataset_snapshot_arrives(name, gateway, home):
    run = run_client(name, gateway.url, home, snapshot("demo/table", repo_type="dataset"))
    assert run.code == 0, run.text
    assert {"README.md", "data.csv", "data.parquet"} <= set(json.loads(run.out.split("FILES ", 1)[1]))


@pytest.mark.parametrize("name", NAMES)
def test_the_hf_command_downloads(name, gateway, home, tmp_path):
    target = tmp_path / "there"
    run = run_client(
        name, gateway.url, home, ["hf", "download", "demo/good-gguf", "model.gguf", "--local-dir", str(target)]
    )
    assert run.code == 0, run.text
    assert (target / "model.gguf").read_bytes().startswith(b"GGUF")


DENIED = [
    ("demo/no-license", "model.safetensors", "license/unknown"),
    ("demo/llama-style-license", "model.safetensors", "license/other"),
    ("demo/evil-gguf", "model.gguf", "scan/template"),
    ("demo/pickle-with-twin", "pytorch_model.bin", "format/twin"),
    ("demo/gated", "model.safetensors", "entitlement/gated"),
    ("demo/evil-pickle", "pytorch_model.bin", "pytorch_model.bin"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("repo", "path", "reason"), DENIED)
def test_a_denial_is_in_the_message_that_reaches_the_user(name, repo, path, reason, gateway, home):
    run = run_client(name, gateway.url, home, download(repo, path))
    assert run.code != 0
    message = top_message(run)
    assert reason in message, run.err
    assert re.search(r"Decision d-[0-9a-f]{20}", message), run.err
    assert "Next step:" in message
    installed = [p for p in (home / "hub").rglob("blobs/*") if p.stat().st_size or p.suffix != ".incomplete"]
    assert not installed


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_of_a_denied_repo_says_why(name, gateway, home):
    run = run_client(name, gateway.url, home, snapshot("demo/no-license"))
    assert run.code != 0
    assert "license/unknown" in top_message(run), run.err


@pytest.mark.parametrize("name", NAMES)
def test_the_hf_command_says_why(name, gateway, home):
    run = run_client(name, gateway.url, home, ["hf", "download", "demo/no-license", "model.safetensors"])
    assert run.code != 0
    assert "license/unknown" in run.text
    assert "Next step:" in run.text


@pytest.mark.parametrize("name", NAMES)
def test_a_pull_request_is_refused_by_name_and_by_commit(name, gateway, hub, home):
    run = run_client(name, gateway.url, home, download("demo/pull-request", "pytorch_model.bin", revision="refs/pr/1"))
    assert "provenance/pull-request" in top_message(run), run.err
    commit = hub.world["demo/pull-request"].resolve("refs/pr/1").id
    run = run_client(name, gateway.url, home, download("demo/pull-request", "pytorch_model.bin", revision=commit))
    assert run.code != 0
    assert "provenance/" in top_message(run), run.err


@pytest.mark.parametrize("name", NAMES)
def test_a_recall_beats_a_warm_cache(name, hub, home, launch, tmp_path):
    """What was allowed and is cached on the laptop is refused once the policy says so: the tombstone (design §5)."""
    state = tmp_path / "state"
    gateway = launch(hub, "--listen", "127.0.0.1:0", state=state)
    script = download("demo/good-safetensors", "model.safetensors") + snapshot("demo/good-safetensors")
    assert run_client(name, gateway.url, home, script).code == 0
    gateway.stop()
    overlay = tmp_path / "recall.yaml"
    overlay.write_text('{"config": {"denylist": {"repos": {"names": {"demo/good-safetensors": true}}}}}')
    sealed = launch(hub, "--policy-data", str(overlay), state=state)
    for again in (download("demo/good-safetensors", "model.safetensors"), snapshot("demo/good-safetensors")):
        run = run_client(name, sealed.url, home, again)
        assert run.code != 0, run.out
        assert "denylist/repo" in top_message(run), run.err


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_the_hubs_own_absence(name, gateway, home):
    run = run_client(name, gateway.url, home, download("demo/good-safetensors", "nothing.bin"))
    assert run.code != 0
    assert "EntryNotFoundError" in run.err


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_repo_is_the_hubs_own_absence(name, gateway, home):
    run = run_client(name, gateway.url, home, download("nobody/nothing", "x.bin"))
    assert run.code != 0
    assert "RepositoryNotFoundError" in run.err


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_loads_config_and_tokenizer(name, gateway, home):
    script = (
        "from transformers import AutoConfig, AutoTokenizer\n"
        "c = AutoConfig.from_pretrained('demo/good-safetensors')\n"
        "t = AutoTokenizer.from_pretrained('demo/good-safetensors')\n"
        "print('LOADED', c.model_type, t('hello world')['input_ids'])\n"
    )
    run = run_client(name, gateway.url, home, script)
    assert run.code == 0, run.text
    assert "LOADED bert [2, 3]" in run.out


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_says_why(name, gateway, home):
    script = "from transformers import AutoConfig\nAutoConfig.from_pretrained('demo/no-license')\n"
    run = run_client(name, gateway.url, home, script)
    assert run.code != 0
    assert "license/unknown" in top_message(run), run.err


def test_no_client_ever_reached_the_hub_or_its_cdn_past_the_gateway(gateway, hub, home):
    for name in NAMES:
        run_client(name, gateway.url, home / name, snapshot("demo/good-safetensors"))
    agents = {request.headers.get("user-agent", "") for request in hub.requests}
    assert not any("hf_hub" in agent or "huggingface" in agent for agent in agents), agents
    assert not [r for r in hub.requests if "xet-read-token" in r.target or "/reconstructions/" in r.target]


def test_curl_gets_head_range_and_conditional_answers(gateway, hub):
    url = f"{gateway.url}/demo/good-safetensors/resolve/main/model.safetensors"
    whole = content(hub, "demo/good-safetensors", "model.safetensors")
    assert curl(url).stdout == whole
    assert curl("-r", "8-15", url).stdout == whole[8:16]
    assert curl("-r", "-4", url).stdout == whole[-4:]
    head = curl("-I", url).stdout.decode()
    etag = re.search(r"(?im)^etag: (.*?)\r", head)[1]
    assert hashlib.sha256(whole).hexdigest() in etag
    assert re.search(rf"(?im)^content-length: {len(whole)}\r", head)
    assert not re.search(r"(?im)^(location|link|x-xet-\S*):", head)
    again = curl("-o", "/dev/null", "-w", "%{http_code}", "-H", f"If-None-Match: {etag}", url)
    assert again.stdout == b"304"
    beyond = curl("-o", "/dev/null", "-w", "%{http_code}", "-r", f"{len(whole)}-", url)
    assert beyond.stdout == b"416"


@pytest.mark.parametrize("name", ["hub-1", "hub-2"])
def test_a_kept_listing_that_names_xet_hashes_leads_to_words_and_no_bytes(name, home, launch):
    """From 1.22 on a listing once fetched from the hub itself sends clients straight to the Xet token (hub-protocol §1, 20)."""
    with SimulatorThread(sample_world()) as own:
        gateway = launch(own)
        listed = snapshot("demo/good-safetensors", allow_patterns="*.json")
        assert run_client(name, own.hub_url, home, listed, HF_HUB_DISABLE_XET="1").code == 0
        own.clear()
        run = run_client(name, gateway.url, home, snapshot("demo/good-safetensors"))
        assert run.code != 0
        assert "protocol/xet-token" in top_message(run), run.err
        assert "delete the repo's trees/ folder" in top_message(run)
        assert not list(home.rglob("*.safetensors"))
        assert not [r for r in own.requests if "hf_hub" in r.headers.get("user-agent", "") or "xet" in r.target]
