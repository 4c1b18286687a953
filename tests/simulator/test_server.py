"""The server itself: https, fixed ports, and that the simulator stands alone."""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.simulator import SimulatorThread, World


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for loopback, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "simulator")])
    now = datetime.now(UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "cert.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


def test_https_on_both_hosts(world: World, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with SimulatorThread(world, tls=context) as sim:
        assert sim.hub_url.startswith("https://")
        answer = requests.get(
            f"{sim.hub_url}/demo/tiny/resolve/main/model.safetensors", verify=str(certificate), timeout=20
        )
        assert answer.url.startswith(sim.cdn_url + "/")
        assert answer.status_code == 200


def test_ports_stay_the_same_over_an_outage(world: World) -> None:
    with SimulatorThread(world) as sim:
        before = (sim.hub_url, sim.cdn_url)
        sim.down()
        sim.up()
        assert (sim.hub_url, sim.cdn_url) == before
        assert before[0].rsplit(":", 1)[0] != before[1].rsplit(":", 1)[0]


def test_two_simulators_live_side_by_side(world: World) -> None:
    with SimulatorThread(world) as one, SimulatorThread(World()) as two:
        assert requests.get(f"{one.hub_url}/api/models/demo/tiny", timeout=20).status_code == 200
        assert requests.get(f"{two.hub_url}/api/models/demo/tiny", timeout=20).status_code == 401
        assert len(one.requests) == len(two.requests) == 1


def test_the_simulator_imports_nothing_else_of_the_gateway() -> None:
    code = (
        "import sys, gateway.simulator, gateway.simulator.samples, gateway.simulator.process, gateway.simulator.large\n"
        "print([m for m in sys.modules if m.startswith('gateway.') and not m.startswith('gateway.simulator')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
