from __future__ import annotations

import asyncio
import base64
import hmac
import json
from pathlib import Path

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.domain.errors import ConfigError, IdentityError, StoreError
from gateway.domain.subject import SubjectKind
from gateway.identity.jwt import Issuer, JwtIdentifier
from gateway.identity.keys import KeySource, parse_keys
from gateway.ports import Credential
from tests.contracts.identifier import IdentifierBench, IdentifierContract
from tests.fakes.hand_clock import HandClock

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
ISSUER = "https://sso.example.com"
AUDIENCE = "model-gateway"


def jwk_of(key, kid: str | None, **more: str) -> dict:
    public = key.public_key()
    algorithm = (
        RSAAlgorithm
        if isinstance(key, rsa.RSAPrivateKey)
        else ECAlgorithm
        if isinstance(key, ec.EllipticCurvePrivateKey)
        else OKPAlgorithm
    )
    entry = json.loads(algorithm.to_jwk(public))
    entry.pop("key_ops", None)
    return {**entry, **({} if kid is None else {"kid": kid}), **more}


KEYS = [jwk_of(RSA_KEY, "rsa-1", use="sig"), jwk_of(EC_KEY, "ec-1"), jwk_of(ED_KEY, "ed-1")]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def jwks_file(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": KEYS}))
    return path


def identifier(clock: HandClock, file: Path, **changes) -> JwtIdentifier:
    settings = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ("RS256", "ES256", "EdDSA"), **changes}
    return JwtIdentifier(Issuer(**settings), KeySource(clock, file=file), clock)


@pytest.fixture
def identify(clock: HandClock, jwks_file: Path):
    return asking(identifier(clock, jwks_file))


def asking(found: JwtIdentifier):
    async def ask(token: str):
        return await found.identify(Credential(token, "127.0.0.1"))

    return ask


def claims(clock: HandClock, **changes) -> dict:
    full = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": int(clock.now_s) + 600, **changes}
    return {name: value for name, value in full.items() if value is not ...}


def sign(payload: dict, key=RSA_KEY, algorithm: str = "RS256", kid: str | None = "rsa-1", **headers) -> str:
    if kid is not None:
        headers["kid"] = kid
    return jwt.encode(payload, key, algorithm=algorithm, headers=headers)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: dict, payload: dict, signature: bytes = b"") -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(payload).encode())}.{b64(signature)}"


async def refused(identify, token: str) -> str:
    with pytest.raises(IdentityError) as caught:
        await identify(token)
    assert token not in str(caught.value)
    assert caught.value.code.startswith("identity/")
    return caught.value.code


async def test_a_good_token_is_its_subject(identify, clock) -> None:
    subject = await identify(sign(claims(clock, groups=["ml", "eu"])))
    assert (subject.id, subject.kind, subject.groups) == ("jwt:ada", SubjectKind.USER, frozenset({"ml", "eu"}))
    assert subject.expires_at_s == clock.now_s + 630  # expiry and leeway


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(EC_KEY, "ES256", "ec-1"), (ED_KEY, "EdDSA", "ed-1")])
async def test_other_asymmetric_keys_work(identify, clock, key, algorithm, kid) -> None:
    assert (await identify(sign(claims(clock), key, algorithm, kid))).id == "jwt:ada"


@pytest.mark.parametrize("token", ["mgw_abc", "opaque", "hf_abcdefghijkl", "", ".."])
async def test_other_kinds_of_token_are_not_its_own(identify, token) -> None:
    assert await identify(token) is None


# Attacks


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", [b"", b"x"])
async def test_no_algorithm_is_no_signature(identify, clock, name, signature) -> None:
    assert (
        await refused(identify, forge({"alg": name, "kid": "rsa-1"}, claims(clock), signature)) == "identity/algorithm"
    )


async def test_a_token_without_a_signature_part_is_refused(identify, clock) -> None:
    token = sign(claims(clock))
    assert (await refused(identify, token.rpartition(".")[0] + ".")) in {"identity/signature", "identity/malformed"}


@pytest.mark.parametrize("digest", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("form", ["pem", "pkcs1", "der", "jwk", "n"])
async def test_the_public_key_is_no_hmac_secret(identify, clock, digest, form) -> None:
    public = RSA_KEY.public_key()
    encoding, layout = serialization.Encoding, serialization.PublicFormat
    secret = {
        "pem": public.public_bytes(encoding.PEM, layout.SubjectPublicKeyInfo),
        "pkcs1": public.public_bytes(encoding.PEM, layout.PKCS1),
        "der": public.public_bytes(encoding.DER, layout.SubjectPublicKeyInfo),
        "jwk": json.dumps(KEYS[0]).encode(),
        "n": KEYS[0]["n"].encode(),
    }[form]
    unsigned = forge({"alg": digest, "kid": "rsa-1", "typ": "JWT"}, claims(clock)).rstrip(".")
    signature = hmac.new(secret, unsigned.encode(), f"sha{digest[2:]}").digest()
    assert await refused(identify, f"{unsigned}.{b64(signature)}") == "identity/algorithm"


async def test_a_symmetric_key_in_the_set_verifies_nothing(clock, tmp_path) -> None:
    shared = {"kty": "oct", "k": b64(b"0" * 32), "kid": "shared", "alg": "HS256"}
    (tmp_path / "jwks").write_text(json.dumps({"keys": [*KEYS, shared]}))
    identify = asking(identifier(clock, tmp_path / "jwks"))
    assert await refused(identify, sign(claims(clock), b"0" * 32, "HS256", "shared")) == "identity/algorithm"
    assert (
        await refused(identify, forge({"alg": "RS256", "kid": "shared"}, claims(clock), b"x")) == "identity/unknown-key"
    )


@pytest.mark.parametrize("algorithms", [("HS256",), ("RS256", "HS256"), ("none",), (), ("RS1",)])
def test_only_asymmetric_algorithms_can_be_configured(algorithms) -> None:
    with pytest.raises(ConfigError):
        Issuer(issuer=ISSUER, audience=AUDIENCE, algorithms=algorithms)


async def test_an_algorithm_that_is_not_configured_is_refused(clock, jwks_file) -> None:
    identify = asking(identifier(clock, jwks_file, algorithms=("ES256",)))
    assert await refused(identify, sign(claims(clock))) == "identity/algorithm"


@pytest.mark.parametrize(("alg", "kid"), [("RS256", "ec-1"), ("ES256", "rsa-1"), ("EdDSA", "rsa-1"), ("EdDSA", "ec-1")])
async def test_an_algorithm_must_belong_to_its_key(identify, clock, alg, kid) -> None:
    assert await refused(identify, forge({"alg": alg, "kid": kid}, claims(clock), b"x" * 64)) == "identity/algorithm"


async def test_anothers_signature_is_refused(identify, clock) -> None:
    assert await refused(identify, sign(claims(clock), OTHER_RSA_KEY)) == "identity/signature"


async def test_changed_claims_are_refused(identify, clock) -> None:
    head, _, signature = sign(claims(clock)).split(".")
    body = b64(json.dumps(claims(clock, sub="root", groups=["admin"])).encode())
    assert await refused(identify, f"{head}.{body}.{signature}") == "identity/signature"


async def test_a_changed_token_is_refused_after_the_true_one_was_remembered(identify, clock) -> None:
    token = sign(claims(clock))
    assert (await identify(token)).id == "jwt:ada"
    changed = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    assert await refused(identify, changed) == "identity/signature"


@pytest.mark.parametrize("name", ["jku", "x5u"])
async def test_a_key_address_in_the_token_is_never_asked(identify, clock, name) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"keys": [jwk_of(OTHER_RSA_KEY, "evil")]})

    async with served(answer) as url:
        token = sign(claims(clock), OTHER_RSA_KEY, kid="evil", **{name: url})
        assert await refused(identify, token) == "identity/unknown-key"
        token = sign(claims(clock), OTHER_RSA_KEY, kid="rsa-1", **{name: url})
        assert await refused(identify, token) == "identity/signature"
    assert asked == []


async def test_a_key_inside_the_token_is_ignored(identify, clock) -> None:
    token = sign(claims(clock), OTHER_RSA_KEY, kid=None, jwk=jwk_of(OTHER_RSA_KEY, "evil"))
    assert await refused(identify, token) == "identity/unknown-key"


@pytest.mark.parametrize("kid", ["../../etc/passwd", "rsa-1\0", "RSA-1", "' OR 1=1 --", ""])
async def test_an_unknown_kid_is_refused(identify, clock, kid) -> None:
    assert await refused(identify, forge({"alg": "RS256", "kid": kid}, claims(clock), b"x")) == "identity/unknown-key"


@pytest.mark.parametrize("kid", [1, None, ["rsa-1"], {"a": 1}])
async def test_a_kid_that_is_no_text_is_refused(identify, clock, kid) -> None:
    assert await refused(identify, forge({"alg": "RS256", "kid": kid}, claims(clock), b"x")) == "identity/malformed"


async def test_a_critical_header_is_refused(identify, clock) -> None:
    token = sign(claims(clock), crit=["exp"], exp=1)
    assert await refused(identify, token) == "identity/malformed"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "another"}, "identity/wrong-audience"),
        ({"aud": ["another", "model-gateway-2"]}, "identity/wrong-audience"),
        ({"aud": "Model-Gateway"}, "identity/wrong-audience"),
        ({"iss": "https://evil.example.com"}, "identity/wrong-issuer"),
        ({"iss": ISSUER + "/"}, "identity/wrong-issuer"),
        ({"aud": ...}, "identity/claims"),
        ({"iss": ...}, "identity/claims"),
        ({"exp": ...}, "identity/claims"),
        ({"sub": ...}, "identity/claims"),
    ],
)
async def test_what_is_not_for_us_or_lacks_a_claim_is_refused(identify, clock, changes, code) -> None:
    assert await refused(identify, sign(claims(clock, **changes))) == code


@pytest.mark.parametrize("value", ["soon", True, None, [1], 1e400, -1e400, 10**400, "9" * 400])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
async def test_a_time_that_is_none_is_refused(identify, clock, name, value) -> None:
    payload = claims(clock, **{name: value})
    head = b64(json.dumps({"alg": "RS256", "kid": "rsa-1"}).encode())
    unsigned = f"{head}.{b64(json.dumps(payload).encode())}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(unsigned.encode(), RSA_KEY)
    assert await refused(identify, f"{unsigned}.{b64(signature)}") in {"identity/claims", "identity/malformed"}


async def test_an_expired_token_is_refused(identify, clock) -> None:
    token = sign(claims(clock, exp=int(clock.now_s) - 31))
    assert await refused(identify, token) == "identity/expired"


async def test_a_remembered_token_expires_at_its_time(identify, clock) -> None:
    token = sign(claims(clock, exp=int(clock.now_s) + 10))
    assert (await identify(token)).id == "jwt:ada"
    clock.pass_s(39)
    assert (await identify(token)).id == "jwt:ada"
    clock.pass_s(1)
    assert await refused(identify, token) == "identity/expired"


@pytest.mark.parametrize("name", ["nbf", "iat"])
async def test_a_token_from_the_future_waits(identify, clock, name) -> None:
    token = sign(claims(clock, **{name: int(clock.now_s) + 60}))
    assert await refused(identify, token) == "identity/not-yet-valid"
    clock.pass_s(31)
    assert (await identify(token)).id == "jwt:ada"


@pytest.mark.parametrize("sub", ["", " ada", "a\nb", "a\0", "x" * 257, "a\x1fb", "\u202eada", 7, None, ["ada"]])
async def test_a_subject_that_is_no_plain_text_is_refused(identify, clock, sub) -> None:
    head = b64(json.dumps({"alg": "RS256", "kid": "rsa-1"}).encode())
    unsigned = f"{head}.{b64(json.dumps(claims(clock, sub=sub)).encode())}"
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(unsigned.encode(), RSA_KEY)
    assert await refused(identify, f"{unsigned}.{b64(signature)}") in {"identity/claims", "identity/malformed"}


@pytest.mark.parametrize("groups", [["a", 1], [["a"]], {"a": 1}, 7, ["a\x1fb"], [""], ["g"] * 513, [None]])
async def test_groups_are_read_whole_or_not_at_all(identify, clock, groups) -> None:
    assert await refused(identify, sign(claims(clock, groups=groups))) == "identity/claims"


async def test_groups_with_commas_are_their_own_subjects(identify, clock) -> None:
    one = await identify(sign(claims(clock, groups=["a,b"])))
    two = await identify(sign(claims(clock, groups=["a", "b"])))
    assert one.groups == {"a,b"}
    assert one.projection != two.projection


async def test_groups_claim_claims_and_services_are_configurable(clock, jwks_file) -> None:
    identify = asking(
        identifier(
            clock,
            jwks_file,
            groups_claim="realm_access.roles",
            claims=("dept", "level", "admin", "absent"),
            service_claim="kind",
            service_value="robot",
        )
    )
    payload = claims(clock, realm_access={"roles": ["r"]}, dept="x", level=3, admin=True, secret="no", kind="robot")
    subject = await identify(sign(payload))
    assert subject.kind is SubjectKind.SERVICE
    assert subject.groups == {"r"}
    assert subject.claims == {"dept": "x", "level": "3", "admin": "true"}


@pytest.mark.parametrize("value", [{"a": 1}, ["x"], "x" * 2000])
async def test_a_projected_claim_is_short_text_or_refused(clock, jwks_file, value) -> None:
    identify = asking(identifier(clock, jwks_file, claims=("dept",)))
    assert await refused(identify, sign(claims(clock, dept=value))) == "identity/claims"


@pytest.mark.parametrize(
    "token",
    [
        "eyJ.eyJ.x",
        "a.b.c",
        "e30.e30.",
        b64(b"[]") + ".e30.x",
        b64(b'{"alg":["RS256"]}') + ".e30.x",
        b64(b'{"alg":"RS256","kid":"rsa-1"}') + "." + b64(b"[" * 100_00) + ".x",
        b64(b"[" * 9000) + ".e30.x",
        "e30.e30.e30.e30.e30",
    ],
)
async def test_rubbish_is_refused(identify, token) -> None:
    assert await refused(identify, token) in {"identity/malformed", "identity/algorithm", "identity/signature"}


async def test_a_huge_token_is_refused_unread(identify) -> None:
    assert await refused(identify, "e30." + "A" * 20_000 + ".x") == "identity/oversized"


# Keys


def test_small_and_foreign_keys_are_no_keys() -> None:
    with pytest.raises(ValueError, match="no usable"):
        parse_keys(json.dumps({"keys": [jwk_of(SMALL_RSA_KEY, "a"), jwk_of(RSA_KEY, "b", use="enc"), 7]}).encode())


def test_a_stated_algorithm_binds_a_key() -> None:
    keys = parse_keys(json.dumps({"keys": [jwk_of(RSA_KEY, "a", alg="PS256")]}).encode())
    assert keys["a"].algorithms == {"PS256"}


def test_two_keys_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="one kid"):
        parse_keys(json.dumps({"keys": [jwk_of(RSA_KEY, "a"), jwk_of(OTHER_RSA_KEY, "a")]}).encode())


async def test_a_lone_key_without_a_name_verifies_a_token_without_one(clock, tmp_path) -> None:
    (tmp_path / "jwks").write_text(json.dumps({"keys": [jwk_of(RSA_KEY, None)]}))
    identify = asking(identifier(clock, tmp_path / "jwks"))
    assert (await identify(sign(claims(clock), kid=None))).id == "jwt:ada"
    assert await refused(identify, sign(claims(clock), OTHER_RSA_KEY, kid=None)) == "identity/signature"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": []}', '{"keys": {}}', "[" * 5000, "x" * 600_000])
def test_a_bad_key_file_is_told_at_the_start(clock, tmp_path, content) -> None:
    (tmp_path / "jwks").write_text(content)
    with pytest.raises(ConfigError, match="jwks"):
        KeySource(clock, file=tmp_path / "jwks")


@pytest.mark.parametrize(
    "url", ["http://sso.example.com/jwks", "file:///etc/passwd", "https://u:p@sso/x", "https://", "x"]
)
def test_keys_are_fetched_by_https_only(clock, url) -> None:
    with pytest.raises(ConfigError):
        KeySource(clock, url=url)


class served:
    """A loopback server with one handler for every path; its address."""

    def __init__(self, handler) -> None:
        self._handler = handler

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_get("/{any:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/jwks"

    async def _answer(self, request: web.Request) -> web.Response:
        return await self._handler(request)

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


class KeyServer:
    """What an issuer serves, and how often it was asked."""

    def __init__(self, *keys: dict) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.status = 200
        self.body: bytes | None = None

    async def __call__(self, request: web.Request) -> web.Response:
        self.asked += 1
        body = self.body if self.body is not None else json.dumps({"keys": self.keys}).encode()
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(status=self.status, body=body, headers=headers)


def url_identifier(clock: HandClock, url: str, session: aiohttp.ClientSession):
    return asking(JwtIdentifier(Issuer(ISSUER, AUDIENCE), KeySource(clock, url=url, session=session), clock))


async def test_fetched_keys_are_remembered(clock) -> None:
    server = KeyServer(jwk_of(RSA_KEY, "rsa-1"))
    async with served(server) as url, aiohttp.ClientSession() as session:
        identify = url_identifier(clock, url, session)
        for n in range(5):
            assert (await identify(sign(claims(clock, sub=f"s{n}")))).id == f"jwt:s{n}"
    assert server.asked == 1


async def test_many_at_once_ask_the_issuer_once(clock) -> None:
    server = KeyServer(jwk_of(RSA_KEY, "rsa-1"))
    async with served(server) as url, aiohttp.ClientSession() as session:
        identify = url_identifier(clock, url, session)
        subjects = await asyncio.gather(*(identify(sign(claims(clock, sub=f"s{n}"))) for n in range(20)))
    assert {subject.id for subject in subjects} == {f"jwt:s{n}" for n in range(20)}
    assert server.asked == 1


async def test_a_new_key_is_found_and_floods_of_unknown_keys_are_not_passed_on(clock) -> None:
    server = KeyServer(jwk_of(OTHER_RSA_KEY, "old"))
    async with served(server) as url, aiohttp.ClientSession() as session:
        identify = url_identifier(clock, url, session)
        for _ in range(20):
            assert await refused(identify, sign(claims(clock))) == "identity/unknown-key"
        assert server.asked == 1
        server.keys.append(jwk_of(RSA_KEY, "rsa-1"))
        clock.pass_s(31)
        assert (await identify(sign(claims(clock)))).id == "jwt:ada"
        assert server.asked == 2


async def test_a_withdrawn_key_ends_with_the_age_of_the_keys(clock) -> None:
    server = KeyServer(jwk_of(RSA_KEY, "rsa-1"))
    async with served(server) as url, aiohttp.ClientSession() as session:
        identify = url_identifier(clock, url, session)
        token = sign(claims(clock, exp=int(clock.now_s) + 10_000))
        await identify(token)
        server.keys[:] = [jwk_of(OTHER_RSA_KEY, "new")]
        clock.pass_s(3601)
        assert await refused(identify, token) == "identity/unknown-key"


@pytest.mark.parametrize(("status", "body"), [(500, None), (302, None), (200, b"<html>"), (200, b"x" * 600_000)])
async def test_an_issuer_in_trouble_is_our_outage_until_it_is_well(clock, status, body) -> None:
    server = KeyServer(jwk_of(RSA_KEY, "rsa-1"))
    async with served(server) as url, aiohttp.ClientSession() as session:
        identify = url_identifier(clock, url, session)
        server.status, server.body = status, body
        with pytest.raises(StoreError) as caught:
            await identify(sign(claims(clock)))
        assert caught.value.code == "identity/unavailable"
        server.status, server.body = 200, None
        clock.pass_s(31)
        assert (await identify(sign(claims(clock)))).id == "jwt:ada"
        server.status = 500
        clock.pass_s(80_000)  # old keys stay good for a while
        assert (await identify(sign(claims(clock, sub="b")))).id == "jwt:b"
        clock.pass_s(10_000)
        with pytest.raises(StoreError):
            await identify(sign(claims(clock, sub="c")))


class TestJwtIdentifier(IdentifierContract):
    @pytest.fixture
    def bench(self, clock, jwks_file) -> IdentifierBench:
        expired, stranger = sign(claims(clock, exp=int(clock.now_s) - 60)), sign(claims(clock), OTHER_RSA_KEY)
        unsigned = forge({"alg": "none"}, claims(clock))
        token, foreign = sign(claims(clock)), ("", "hf_abcdef", "mgw_abcdef", "one.dot")
        found = identifier(clock, jwks_file)
        return IdentifierBench(found, token, "jwt:ada", foreign=foreign, wrong=(expired, stranger, unsigned))
