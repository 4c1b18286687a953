"""HF_ENDPOINT with a path: real clients download through `http://host:port/hf`, and every link leads back under it.

Also behind a proxy that ends TLS: our own links come from `server.public_url`, whatever the proxy says of itself.
"""

import json
import re
import socket

import pytest
import trustme

from gateway.simulator import builders
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import CLIENTS, GatewayProcess, fetch, run_client
from tests.e2e.wire import QUICK, add_repo

WEIGHTS = builders.safetensors({"a": (4, 4)})
PATHS = ("config.json", "w/model.safetensors", "größe [1] #2?.txt")


@pytest.fixture(scope="module")
def world():
    world = World()
    repo = add_repo(world, "org/model", {"config.json": "{}", "w/model.safetensors": WEIGHTS, PATHS[2]: "odd"})
    for number in range(60):
        repo.commit({"config.json": json.dumps({"n": number})})
    world.repo("org/denied").commit({"config.json": "{}"})
    # A namespace of the hub with the name of our path.
    add_repo(world, "hf/model", {"config.json": '{"whose": "hf/model"}'})
    return world


@pytest.fixture(scope="module")
def hub(world):
    with SimulatorThread(world) as sim:
        yield sim


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="module")
def gateway(hub, tmp_path_factory):
    port = free_port()
    flags = ["--listen", f"127.0.0.1:{port}", "--public-url", f"http://127.0.0.1:{port}/hf"]
    process = GatewayProcess(hub, tmp_path_factory.mktemp("prefix") / "state", *flags, config=QUICK)
    yield process
    process.stop()


SCRIPT = """
import hashlib, os, sys
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
api = HfApi()
paths = ["config.json", "w/model.safetensors", "größe [1] #2?.txt"]
print(*(hashlib.sha256(open(hf_hub_download("org/model", p), "rb").read()).hexdigest() for p in paths))
folder = snapshot_download("org/model", revision="main")
print(sum(len(files) for _, _, files in os.walk(folder)))
print(len(api.list_repo_commits("org/model")), api.model_info("org/model").sha)
fs = HfFileSystem()
with fs.open("org/model/w/model.safetensors", "rb") as file:
    file.seek(8)
    print(file.read(2))
print(sorted(fs.ls("org/model", detail=False)))
try:
    hf_hub_download("org/denied", "config.json")
except HfHubHTTPError as error:
    print("license/unknown" in str(error), os.environ["HF_ENDPOINT"] in str(error))
"""


@pytest.mark.clients
@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_a_real_client_works_under_a_path(name, gateway, hub, world, tmp_path):
    main = world["org/model"].main
    run = run_client(name, gateway.url + "/hf", tmp_path, SCRIPT)
    assert run.code == 0, run.text
    lines = run.out.splitlines()
    assert lines[0].split() == [main.files[path].content.sha256 for path in PATHS]
    assert lines[1] == str(len(main.files))
    assert lines[2] == f"61 {main.id}"
    assert lines[3] == "b'{\"'"
    assert lines[4] == str(
        sorted(["org/model/README.md", "org/model/config.json", "org/model/w", f"org/model/{PATHS[2]}"])
    )
    assert lines[5] == "True True"
    assert not [r for r in hub.requests if r.target.startswith("/hf/hf")]


@pytest.mark.clients
@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_the_command_line_works_under_a_path(name, gateway, tmp_path):
    tool = "hf" if (CLIENTS[name] / "bin/hf").exists() else "huggingface-cli"
    folder = tmp_path / "out"
    run = run_client(name, gateway.url + "/hf", tmp_path, [tool, "download", "org/model", "--local-dir", str(folder)])
    assert run.code == 0, run.text
    assert (folder / "w/model.safetensors").read_bytes() == WEIGHTS


def test_the_same_file_under_the_path_and_on_the_bare_host(gateway):
    for target in (
        "/org/model/resolve/main/config.json",
        "/org/model/raw/main/w/model.safetensors",
        "/api/models/org/model",
    ):
        under, bare = fetch(gateway.url + "/hf" + target), fetch(gateway.url + target)
        assert (under.status, under.body) == (bare.status, bare.body) == (200, bare.body)
    assert fetch(gateway.url + "/hf/health").status == 200
    link = fetch(gateway.url + "/org/model".replace("/org", "/api/models/org") + "/commits/main").headers["Link"]
    assert link.startswith(f"<{gateway.url}/hf/api/models/org/model/commits/main?")


def test_the_path_is_taken_off_once(gateway):
    """Both spellings of one request are one request; a namespace of that name is reached below the path."""
    answer = fetch(gateway.url + "/hf/hf/model/resolve/main/config.json")
    assert answer.json == {"whose": "hf/model"}
    assert fetch(gateway.url + "/hf/hf/org/model/resolve/main/config.json").status == 404
    assert fetch(gateway.url + "/hf//evil.example/x").status == 404
    assert fetch(gateway.url + "/hf/../org/model/resolve/main/config.json").status == 404


def test_refusals_lead_to_pages_under_the_path(gateway):
    answer = fetch(gateway.url + "/hf/org/denied/resolve/main/config.json")
    (page,) = re.findall(r"http://\S+", answer.headers["X-Error-Message"])
    assert page.startswith(f"{gateway.url}/hf/-/decisions/d-")
    assert fetch(page).status == 200


@pytest.mark.parametrize("proto", ["http", "https"])
def test_behind_a_trusted_proxy_links_are_those_of_the_public_url(hub, tmp_path, proto):
    """The proxy ends TLS and says so; its words about scheme and host move no link."""
    config = QUICK + '\ntrusted_proxies = ["127.0.0.1"]\n'
    public = f"{proto}://models.example/hf"
    gateway = GatewayProcess(hub, tmp_path / "state", "--public-url", public, config=config)
    said = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-For": "203.0.113.9",
        "Forwarded": "proto=https;host=evil.example",
        "Host": "evil.example",
    }
    try:
        for target in (
            "/hf/api/models/org/model/commits/main",
            "/api/models?limit=1",
            "/org/model/blob/main/config.json",
            "/org/denied/resolve/main/config.json",
        ):
            answer = gateway.get(target, headers=said)
            told = f"{answer.headers}{answer.body.decode()}"
            assert public in told, target
            assert "evil" not in told, target
            assert not re.search(r"https?://(?!models\.example/hf)", told), target
        assert {r["address"] for r in gateway.records() if r.get("address")} == {"203.0.113.9"}
    finally:
        gateway.stop()


def test_over_tls_links_are_https(hub, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    port = free_port()
    public = f"https://127.0.0.1:{port}/hf"
    flags = ["--listen", f"127.0.0.1:{port}", "--public-url", public]
    pem = str(tmp_path / "both.pem")
    gateway = GatewayProcess(hub, tmp_path / "state", *flags, "--tls-cert", pem, "--tls-key", pem, config=QUICK)
    try:
        trust = {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "REQUESTS_CA_BUNDLE": str(tmp_path / "ca.pem")}
        script = (
            "from huggingface_hub import HfApi, hf_hub_download\n"
            "print(len(HfApi().list_repo_commits('org/model')))\n"
            "print(len(open(hf_hub_download('org/model', 'w/model.safetensors'), 'rb').read()))\n"
        )
        for name in sorted(CLIENTS):
            run = run_client(name, public, tmp_path / name, script, **trust)
            assert run.out.split() == ["61", str(len(WEIGHTS))], run.text
    finally:
        gateway.stop()
