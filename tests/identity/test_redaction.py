from __future__ import annotations

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.redaction import _SECRETS, REDACTED, _replacement, redact, redact_event

HUB = "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"
OWN = "mgw_A-b_c0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl-_c2ln"
SECRETS = [HUB, OWN, JWT, "hf_oauth_eyJabc.def", "api_org_abcdefghijklmnop"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "frame",
    ["{}", "Bearer {}", "a{}b", "token={}&x=1", "('{}',)", "\n{}\n", "https://h/p?q={}", "{}/{}", "x:{}@host", "[{}]"],
)
def test_tokens_vanish_wherever_they_stand(secret, frame) -> None:
    cleaned = redact(frame.format(secret, secret))
    assert secret not in cleaned
    assert REDACTED in cleaned


@pytest.mark.parametrize(
    ("text", "secret", "kept"),
    [
        ("Authorization: Bearer opaque-secret", "opaque-secret", "Authorization: Bearer "),
        ("authorization: basic YWRhOnB3", "YWRhOnB3", "authorization"),
        ("{'Authorization': 'Bearer s3cr3t'}", "s3cr3t", "Authorization"),
        ("GET https://cdn/x?X-Amz-Signature=abc123&X-Amz-Expires=3600", "abc123", "X-Amz-Expires=3600"),
        ("https://cdn/x?a=1&X-Amz-Credential=AKIA/2026", "AKIA", "a=1"),
        ("https://cdn/x?X-Amz-Security-Token=sts", "sts", "cdn/x"),
        ("https://cdn/x?Expires=1&Signature=sIg~&Key-Pair-Id=KP", "sIg", "Expires=1"),
        ("https://cdn/x?Expires=1&Signature=sIg~&Key-Pair-Id=KP9", "KP9", "Expires=1"),
        ("https://cdn/x?Policy=eyPol", "eyPol", "cdn"),
        ("https://blob/x?sv=2&sig=azure", "azure", "blob"),
        ("https://gcs/x?X-Goog-Signature=goog", "=goog", "gcs"),
        ("https://h/?next=%2Fx%3Fa%26token%3Dsecret1", "secret1", "next"),
        ("https://ada:pa55@proxy:3128/x", "pa55", "@proxy:3128/x"),
        ("fetch?access_token=zzz9#f", "zzz9", "#f"),
    ],
)
def test_secret_values_vanish_and_the_rest_stays(text, secret, kept) -> None:
    cleaned = redact(text)
    assert secret not in cleaned
    assert kept in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf_hub_download and hf_xet and hf_transfer are names",
        "org/model/resolve/main/model.safetensors",
        "sha256:" + "a" * 64,
        "the bearer of bad news",
        "https://huggingface.co/api/models/x?blobs=true&expand=siblings",
        "2026-11-24T10:00:00Z 10.0.0.1:443",
        "git@github.com:org/repo",
    ],
)
def test_ordinary_text_stays(text) -> None:
    if "bearer of" in text:
        assert redact(text) == "the bearer [redacted] bad news"  # the price of over-eagerness, known
    else:
        assert redact(text) == text


@given(st.text(max_size=200), st.sampled_from([*SECRETS, "Bearer opaque1", "?sig=zz"]))
def test_redacting_twice_changes_nothing(text, secret) -> None:
    once = redact(text + secret)
    assert redact(once) == once


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([HUB, OWN, JWT]))
def test_no_surroundings_save_a_token(before, after, secret) -> None:
    assert secret not in redact(before + secret + after)


def test_as_a_structlog_processor() -> None:
    lines: list[str] = []

    def keep(_logger: object, _method: str, event: dict) -> str:
        lines.append(repr(event))
        raise structlog.DropEvent

    log = structlog.wrap_logger(
        structlog.PrintLogger(), processors=[structlog.processors.format_exc_info, redact_event, keep]
    )
    try:
        int(f"bad {HUB}")
    except ValueError as error:
        log.exception("failed", error=error)
    log.info(
        OWN,
        headers={"Authorization": "opaque-1", "X": [f"Bearer {JWT}", b"hf_abcdefghijklmnop"], HUB: 1},
        token="opaque-2",
        upstream_token="opaque-3",
        Cookie="opaque-4",
        nested=[({"password": "opaque-5"},)],
        size_bytes=17,
        ok=True,
    )
    whole = "\n".join(lines)
    for secret in (HUB, OWN, JWT, "hf_abcdefghijklmnop", *(f"opaque-{n}" for n in range(1, 6))):
        assert secret not in whole
    assert "'size_bytes': 17" in whole
    assert "'ok': True" in whole


def test_what_refers_to_itself_ends() -> None:
    loop: list = []
    loop.append(loop)
    assert REDACTED in repr(redact_event(None, "info", {"loop": loop}))


_PIECES = [
    "bearer ",
    "BASIC%20",
    "x",
    " ",
    "?sig=",
    "&Token%3D",
    "%26code=",
    "http://",
    "me:pw",
    "@",
    "hf_",
    "api_org_",
    "mgw_",
    "eyJ",
    ".",
    "abcdefghij",
    "\u017f",
    "\u212a",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_the_quick_look_at_ordinary_text_misses_nothing(text) -> None:
    assert redact(text) == _SECRETS.sub(_replacement, text)
