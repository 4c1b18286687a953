from __future__ import annotations

import base64

import pytest

from gateway.domain.errors import IdentityError
from gateway.identity.extract import extract
from gateway.ports import Credential


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ([], ""),
        (["Bearer mgw_abc-_x"], "mgw_abc-_x"),
        (["bearer mgw_abc"], "mgw_abc"),
        (["BEARER   mgw_abc"], "mgw_abc"),
        (["Bearer a.b-c_d~e+f/g=="], "a.b-c_d~e+f/g=="),
        ([basic("ada:mgw_abc")], "mgw_abc"),
        ([basic(":mgw_abc")], "mgw_abc"),
        ([basic("mgw_abc:")], "mgw_abc"),
        # The npm client sends no token that does not begin like the hub's own.
        (["Bearer hf_mgw_abc"], "mgw_abc"),
        ([basic("ada:hf_mgw_abc")], "mgw_abc"),
        # All others of that prefix are the hub's: refused by the chain, whole.
        (["Bearer hf_mgwabc"], "hf_mgwabc"),
        (["Bearer hf_hf_mgw_abc"], "hf_hf_mgw_abc"),
    ],
)
def test_credentials(headers, token) -> None:
    assert extract(headers, "10.0.0.1") == Credential(token, "10.0.0.1")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (["Bearer a", "Bearer b"], "malformed"),
        (["Bearer a", "Bearer a"], "malformed"),
        (["Bearer a", ""], "malformed"),
        ([""], "malformed"),
        (["Bearer"], "malformed"),
        (["Bearer "], "malformed"),
        (["mgw_abc"], "malformed"),
        (["Bearer a b"], "malformed"),
        (["Bearer a, Bearer b"], "malformed"),
        (["Bearer a,b"], "malformed"),
        ([" Bearer a"], "malformed"),
        (["Bearer a\r\nX: y"], "malformed"),
        (["Bearer a\n"], "malformed"),
        (["Bearer a\0"], "malformed"),
        (["Bearer\ta"], "malformed"),
        (["Bearer é"], "malformed"),
        (["Bearer \udcff"], "malformed"),
        (["Bearer =a"], "malformed"),
        (["Digest abc"], "malformed"),
        (["Bearer " + "a" * 20_000], "oversized"),
        (["Basic !!!"], "malformed"),
        (["Basic abc"], "malformed"),
        ([basic("nocolon")], "malformed"),
        ([basic(":")], "malformed"),
        ([basic("a:b:c")], "malformed"),
        ([basic("ada:mgw abc")], "malformed"),
        ([basic("ada:mgw\nabc")], "malformed"),
        ([basic(b"ada:\xff\xfe")], "malformed"),
        ([basic("ada:mgw_abc\0")], "malformed"),
        ([basic("ada\0:mgw_abc ")], "malformed"),
        ([basic("::mgw_abc")], "malformed"),
        ([basic(":mgw_abc:")], "malformed"),
        ([basic("")], "malformed"),
        (["Basic bWd3X2FiYw"], "malformed"),  # no padding
        (["Basic YTpi_w=="], "malformed"),  # of another alphabet
        (["Basic YTpi Yg=="], "malformed"),
        (["Basic YTpi\x0bYg=="], "malformed"),
        (["Basic =YTpi"], "malformed"),
        ([basic("ada:mgw_abc"), basic("ada:mgw_abc")], "malformed"),
        ([basic("ada:" + "a" * 20_000)], "oversized"),
    ],
)
def test_what_is_not_one_plain_credential_is_refused(headers, code) -> None:
    with pytest.raises(IdentityError) as caught:
        extract(headers, "::1")
    assert caught.value.code == f"identity/{code}"
    assert not any(
        len(part) > 3 and part != "Bearer" and part in str(caught.value)
        for header in headers
        for part in header.split()[1:]
    )
