import base64
import json

import pytest

from gateway.doctor.credentials import check_tokens, find


def jwt(**claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2ln"


def states(around, host="gateway"):
    return {check.check: check.state for check in check_tokens(around, find(around), host)}


@pytest.mark.parametrize(
    ("token", "state", "shown"),
    [
        ("mgw_abcdefgh", "ok", True),
        ("hf_mgw_abcdefgh", "ok", True),
        ("hf_abcdefghij", "fail", False),
        ("api_org_abcdefghij", "fail", False),
        ("hf_oauth_abc", "fail", False),
        ("something-else", "warn", True),
        ("two words", "fail", False),
        ("caf\u00e9", "fail", False),
        (jwt(exp=4102444800), "ok", True),
        (jwt(exp=1), "fail", True),
        (jwt(exp="soon"), "ok", True),
        (jwt(exp=1e300), "ok", True),
        (jwt(), "ok", True),
        ("eyJhbGciOiJub25lIn0.bm90IGpzb24.", "ok", True),
    ],
)
def test_kinds_of_tokens(token, state, shown, around):
    here = around(HF_TOKEN=token)
    assert states(here)["token/kind"] == state
    assert find(here).sent.may_be_shown_to_a_gateway is shown
    words = "".join(c.found + c.advice for c in check_tokens(here, find(here), "gateway"))
    assert token not in words
    assert token not in repr(find(here).sent)


def test_the_order_of_the_clients(around):
    here = around(HUGGING_FACE_HUB_TOKEN=" mgw_second\r\n", HF_TOKEN="")
    here.hf_home.mkdir(parents=True)
    here.token_file.write_text("mgw_third")
    assert [t.value for t in find(here).tokens] == ["mgw_second", "mgw_third"]
    assert states(here)["token/others"] == "warn"
    assert find(around(HF_TOKEN="mgw_first", HUGGING_FACE_HUB_TOKEN="mgw_second")).sent.value == "mgw_first"


def test_what_keeps_a_token_from_being_sent(around):
    assert states(around(HF_TOKEN="mgw_x", HF_HUB_DISABLE_IMPLICIT_TOKEN="1"))["token/implicit"] == "warn"
    assert states(around(HF_TOKEN="mgw_x", HF_OIDC_RESOURCE="models/a/b"))["token/oidc"] == "warn"
    assert states(around())["token/kind"] == "warn"


@pytest.mark.parametrize(
    "text", ["", "[a\n", "hf_token = x\n", "[a]\nhf_token = %(x)s\n[a]\nhf_token = mgw_a", "\x00" * 100]
)
def test_any_file_of_stored_tokens(text, around):
    here = around()
    here.hf_home.mkdir(parents=True)
    here.stored_tokens.write_text(text)
    assert "token/stored" not in states(here)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("machine gateway login a password b", "warn"),
        ("machine other login a password b", None),
        ("machine", "unknown"),
    ],
)
def test_a_netrc_entry_replaces_the_token(text, state, around):
    here = around()
    (here.home / ".netrc").write_text(text)
    (here.home / ".netrc").chmod(0o600)
    assert states(here).get("token/netrc") == state
    assert "token/netrc" not in states(here, host="")
