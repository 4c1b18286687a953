"""HTTPS, listening beyond loopback, and trusted proxies: real clients over TLS read the same words."""

import json
import socket
import ssl
import subprocess
import urllib.request

import pytest
import trustme

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import CLIENTS, GatewayProcess, cli, run_client

NAMES = sorted(CLIENTS)
FILE = "/demo/good-safetensors/resolve/main/model.safetensors"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    root = tmp_path_factory.mktemp("pki")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(root / "ca.pem")
    certificate.private_key_pem.write_to_path(root / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(root / "cert.pem", append=True)
    return root


@pytest.fixture(scope="module")
def secure(pki, tmp_path_factory):
    with SimulatorThread(sample_world()) as hub:
        process = GatewayProcess(
            hub, tmp_path_factory.mktemp("tls") / "state",
            "--tls-cert", str(pki / "cert.pem"), "--tls-key", str(pki / "key.pem"),
        )  # fmt: skip
        yield hub, process
        process.stop()


def opened(url, pki, headers=None):
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=30) as answer:
        return answer.read()


def test_bytes_and_ranges_over_tls(secure, pki):
    hub, gateway = secure
    assert gateway.url.startswith("https://")
    whole = hub.world["demo/good-safetensors"].main.files["model.safetensors"].content.read(0, 1 << 20)
    assert opened(gateway.url + FILE, pki) == whole
    assert opened(gateway.url + FILE, pki, {"Range": "bytes=8-15"}) == whole[8:16]


@pytest.mark.clients
@pytest.mark.parametrize("name", NAMES)
def test_a_real_client_over_tls_gets_files_and_words(name, secure, pki, tmp_path):
    _, gateway = secure
    trust = {"SSL_CERT_FILE": str(pki / "ca.pem"), "REQUESTS_CA_BUNDLE": str(pki / "ca.pem")}
    script = (
        "from huggingface_hub import hf_hub_download, snapshot_download\n"
        "print('GOT', snapshot_download('demo/good-safetensors'))\n"
        "hf_hub_download('demo/no-license', 'model.safetensors')\n"
    )
    run = run_client(name, gateway.url, tmp_path / "home", script, **trust)
    assert "GOT" in run.out, run.text
    assert run.code != 0
    last = run.err.rsplit("Traceback (most recent call last)", 1)[-1]
    assert "license/unknown" in last, run.err
    assert "Next step:" in last
    script = "from huggingface_hub import hf_hub_download\nhf_hub_download('demo/good-safetensors', 'config.json', token='mgw_xxxxxxxx')\n"
    run = run_client(name, gateway.url, tmp_path / "other", script, **trust)
    assert "identity/" in run.err.rsplit("Traceback (most recent call last)", 1)[-1], run.err


@pytest.mark.clients
@pytest.mark.parametrize("name", ["hub-0.36", "hub-1"])
def test_transformers_over_tls_says_why(name, secure, pki, tmp_path):
    """hub-protocol §1.8: over https a 401 would read as "not a valid model identifier"."""
    _, gateway = secure
    script = "from transformers import AutoConfig\nAutoConfig.from_pretrained('demo/no-license')\n"
    run = run_client(
        name, gateway.url, tmp_path / "home", script,
        SSL_CERT_FILE=str(pki / "ca.pem"), REQUESTS_CA_BUNDLE=str(pki / "ca.pem"),
    )  # fmt: skip
    assert run.code != 0
    assert "license/unknown" in run.err.rsplit("Traceback (most recent call last)", 1)[-1], run.err


def test_old_protocols_and_plain_text_are_turned_away(secure):
    _, gateway = secure
    port = int(gateway.url.rsplit(":", 1)[1])
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw, pytest.raises(OSError):
        old.wrap_socket(raw, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(f"GET {FILE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b"GGUF" not in raw.recv(65536)


@pytest.mark.parametrize(
    ("certificate", "key"), [("missing.pem", "key.pem"), ("key.pem", "cert.pem"), ("cert.pem", "ca.pem")]
)
def test_a_certificate_that_cannot_be_used_is_one_clear_sentence(certificate, key, pki, tmp_path):
    done = cli(
        "serve", "--state", str(tmp_path / "s"), "--listen", "127.0.0.1:0",
        "--tls-cert", str(pki / certificate), "--tls-key", str(pki / key),
    )  # fmt: skip
    assert done.returncode == 2
    assert certificate in done.stderr
    assert "Traceback" not in done.stderr


# -- where it may listen -------------------------------------------------------------------------------------------


def refused(tmp_path, *flags, config=""):
    path = tmp_path / "gateway.toml"
    path.write_text(config)
    return cli("serve", "--config", str(path), "--state", str(tmp_path / "state"), "--listen", "0.0.0.0:0", *flags)


def test_beyond_loopback_it_needs_an_identity_source_and_tls_or_a_named_proxy(pki, tmp_path):
    tls = ("--tls-cert", str(pki / "cert.pem"), "--tls-key", str(pki / "key.pem"))
    done = refused(tmp_path)
    assert done.returncode == 2
    assert "identity source" in done.stderr
    assert "TLS" in done.stderr
    done = refused(tmp_path, *tls)
    assert done.returncode == 2
    assert "identity source" in done.stderr
    assert "TLS (" not in done.stderr
    assert cli("token", "add", "dave", "--state", str(tmp_path / "state"), "--json").returncode == 0
    done = refused(tmp_path)
    assert done.returncode == 2
    assert "identity source" not in done.stderr
    assert "TLS (" in done.stderr


@pytest.mark.parametrize("how", ["tls", "proxy", "unsafe"])
def test_beyond_loopback_anonymous_is_off_unless_switched_on(how, pki, tmp_path, launch, hub):
    state = tmp_path / "state"
    added = cli("token", "add", "dave", "--state", str(state), "--json")
    token = json.loads(added.stdout)["token"]
    flags = ["--listen", "0.0.0.0:0"]
    config = ""
    if how == "tls":
        flags += ["--tls-cert", str(pki / "cert.pem"), "--tls-key", str(pki / "key.pem")]
    elif how == "proxy":
        config = '[server]\ntrusted_proxies = ["127.0.0.1/32"]\n'
    else:
        config = "[server]\nunsafe_allow_exposed = true\n"
    gateway = launch(hub, *flags, state=state, config=config)
    url = gateway.url.replace("0.0.0.0", "127.0.0.1")

    def ask(headers):
        command = [
            "curl",
            "-sS",
            "--noproxy",
            "*",
            "--cacert",
            str(pki / "ca.pem"),
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ]
        for name, value in headers.items():
            command += ["-H", f"{name}: {value}"]
        done = subprocess.run([*command, url + FILE], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert ask({}) == 403
    assert ask({"Authorization": f"Bearer {token}"}) == 200
    gateway.stop()
    if how == "unsafe":
        assert any("unsafe_allow_exposed" in line and '"warning"' in line for line in gateway.log)


def test_the_clients_address_is_believed_of_a_named_proxy_only(launch, hub, tmp_path):
    addresses = {}
    for number, config in enumerate(("", '[server]\ntrusted_proxies = ["127.0.0.1/32"]\n')):
        gateway = launch(hub, config=config, state=tmp_path / f"state-{number}")
        for path, headers in {
            "plain": {},
            "forged": {"X-Forwarded-For": "203.0.113.9"},
            "chain": {"X-Forwarded-For": "10.0.0.1, 203.0.113.7"},
            "junk": {"X-Forwarded-For": "'; DROP TABLE"},
        }.items():
            gateway.get(f"/demo/good-safetensors/resolve/main/{path}.bin", headers=headers)
        gateway.stop()
        addresses[number] = {r["path"].split(".")[0]: r["address"] for r in gateway.records() if r.get("path")}
    assert set(addresses[0].values()) == {"127.0.0.1"}
    assert addresses[1] == {"plain": "127.0.0.1", "forged": "203.0.113.9", "chain": "203.0.113.7", "junk": "127.0.0.1"}


def test_a_proxy_that_is_no_address_is_refused(tmp_path):
    done = refused(tmp_path, config='[server]\ntrusted_proxies = ["proxy.example"]\n')
    assert done.returncode == 2
    assert "trusted_proxies" in done.stderr
    assert "Traceback" not in done.stderr
