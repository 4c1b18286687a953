"""Who asks: static tokens, signed tokens, public-hub tokens, rate limits, and where the gateway may listen."""

import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import GatewayProcess, cli

FILE = "/demo/good-safetensors/resolve/main/model.safetensors"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def setup(key, tmp_path_factory):
    root = tmp_path_factory.mktemp("identity")
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {
        "kid": "k1",
        "alg": "RS256",
        "use": "sig",
    }
    (root / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    config = f"""
[identity]
anonymous = "off"
[identity.jwt]
issuer = "https://issuer.example"
audience = "model-gateway"
jwks_file = "{root / "jwks.json"}"
algorithms = ["RS256"]
"""
    with SimulatorThread(sample_world()) as hub:
        process = GatewayProcess(hub, root / "state", config=config)
        yield hub, process
        process.stop()


def claims(**changes):
    now = datetime.now(UTC)
    good = {
        "iss": "https://issuer.example", "aud": "model-gateway", "sub": "carol", "groups": ["ml"],
        "iat": now, "exp": now + timedelta(minutes=5),
    }  # fmt: skip
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def sign(key, algorithm="RS256", headers=None, **changes):
    return jwt.encode(claims(**changes), key, algorithm, headers={"kid": "k1", **(headers or {})})


def test_a_good_signed_token_opens_and_is_on_record(setup, key):
    _, gateway = setup
    answer = gateway.get(FILE, headers=bearer(sign(key)))
    assert answer.status == 200
    assert any("carol" in r.get("subject", "") and "ml" in r.get("groups", []) for r in gateway.records())


def attacks(key):
    public = key.public_key()
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.now(UTC)
    yield "none", jwt.encode(claims(), None, "none", headers={"kid": "k1"})
    import base64
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    body = claims()
    body = {k: int(v.timestamp()) if isinstance(v, datetime) else v for k, v in body.items()}
    signed = part({"alg": "HS256", "typ": "JWT", "kid": "k1"}) + b"." + part(body)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = base64.urlsafe_b64encode(hmac.new(pem, signed, hashlib.sha256).digest()).rstrip(b"=")
    yield "public key as HMAC secret", (signed + b"." + mac).decode()
    yield "another key", sign(other)
    yield "another algorithm", sign(ec.generate_private_key(ec.SECP256R1()), "ES256")
    yield "expired", sign(key, exp=now - timedelta(minutes=5))
    yield "no expiry", sign(key, exp=None)
    yield "not yet", sign(key, nbf=now + timedelta(hours=1))
    yield "wrong audience", sign(key, aud="another")
    yield "no audience", sign(key, aud=None)
    yield "wrong issuer", sign(key, iss="https://issuer.example.evil")
    yield "unknown key id", sign(key, headers={"kid": "k2"})
    yield "own key set", sign(other, headers={"jku": "http://127.0.0.1:1/keys"})
    yield "cut", sign(key)[:-20]


def test_every_forged_or_stale_token_is_refused_with_words_and_opens_nothing(setup, key):
    hub, gateway = setup
    for what, token in attacks(key):
        hub.clear()
        answer = gateway.get(FILE, headers=bearer(token))
        assert answer.status == 403, what
        assert "identity/" in answer.headers["X-Error-Message"], what
        assert token not in answer.headers["X-Error-Message"]
        assert not hub.requests, what
        head = gateway.get(FILE, "HEAD", bearer(token))
        assert head.status == 200, what
        assert gateway.get("/api/whoami-v2", headers=bearer(token)).status == 401


def test_without_a_credential_the_hub_is_not_asked_and_the_next_step_is_named(setup):
    hub, gateway = setup
    hub.clear()
    answer = gateway.get(FILE)
    assert answer.status == 403
    assert "HF_TOKEN" in answer.headers["X-Error-Message"]
    assert gateway.get("/api/models/demo/good-safetensors").status == 200
    assert gateway.get("/api/models/demo/good-safetensors/refs").status == 403
    assert not hub.requests


def test_a_public_hub_token_is_not_forwarded_and_says_so(setup):
    hub, gateway = setup
    hub.clear()
    secret = "hf_" + "aB3" * 11 + "x"
    answer = gateway.get(FILE, headers=bearer(secret))
    assert answer.status == 403
    assert "identity/public-hub-token" in answer.headers["X-Error-Message"]
    assert secret not in str(answer.headers) + answer.body.decode()
    assert not hub.requests
    assert secret not in "".join(gateway.log) + json.dumps(gateway.records())


def test_a_token_works_at_once_and_dies_within_two_seconds_on_the_running_server(setup):
    _, gateway = setup
    added = cli("token", "add", "dave", "--group", "ml", "--state", str(gateway.state), "--json")
    assert added.returncode == 0, added.stderr
    token = json.loads(added.stdout)["token"]
    assert _becomes(gateway, token, 200)
    assert gateway.get("/api/whoami-v2", headers=bearer(token)).json["name"]
    assert token not in cli("token", "list", "--state", str(gateway.state)).stdout
    assert cli("token", "revoke", "dave", "--state", str(gateway.state)).returncode == 0
    assert _becomes(gateway, token, 403)


def _becomes(gateway, token, status):
    """Ask again for 2 s, as the promise says."""
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        if gateway.get(FILE, headers=bearer(token)).status == status:
            return True
    return False


def test_requests_beyond_the_rate_are_asked_to_wait_in_the_pending_form(launch, hub):
    gateway = launch(hub, config="[limits]\naddress_rate = 0.001\naddress_burst = 3\n")
    answers = [gateway.get(FILE) for _ in range(5)]
    assert [a.status for a in answers][:3] == [200, 200, 200]
    limited = answers[-1]
    assert limited.status == 429
    assert int(limited.headers["Retry-After"]) >= 1
    assert "limit/rate" in limited.headers["X-Error-Message"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--listen", "0.0.0.0:0"], "identity source"),
        (["--listen", "nonsense"], "server.listen"),
        (["--listen", "127.0.0.1:99999"], "99999"),
        (["--tls-cert", "x.pem"], "go together"),
        (["--profile", "lenient"], "lenient"),
        (["--policy-data", "/no/such/dir"], "/no/such/dir"),
        (["--rego", "/no/such/dir"], "/no/such/dir"),
        (["--upstream", "ftp://x"], "upstream.url"),
    ],
)
def test_what_it_refuses_to_start_on_is_one_clear_sentence(flags, words, tmp_path):
    done = cli("serve", "--state", str(tmp_path / "state"), *flags)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_process_on_one_state_directory_is_refused(gateway):
    done = cli("serve", "--state", str(gateway.state), "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert str(gateway.state) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_refused(gateway, tmp_path):
    port = gateway.url.rsplit(":", 1)[1]
    done = cli("serve", "--state", str(tmp_path / "s"), "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 2
    assert f"port {port}" in done.stderr


def test_all_mistakes_of_a_configuration_are_reported_together(tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text('[server]\nlisen = "x"\n[policy]\nworkers = 0\nprofile = "A B"\nupstream_token = "hf_x"\n')
    done = cli("serve", "--config", str(config), "--state", str(tmp_path / "s"))
    assert done.returncode == 2
    for words in ("server.lisen", "policy.workers", "policy.profile"):
        assert words in done.stderr
    assert "hf_x" not in done.stderr
