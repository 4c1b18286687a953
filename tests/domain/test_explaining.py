"""Links to the gateway's own pages: whole or absent, and nothing in them to escape."""

import pytest

from gateway.domain.explaining import Explaining, is_code, is_decision_id


def test_a_decision_goes_before_its_code():
    explaining = Explaining("https://gate.example/hf")
    assert explaining.link("d-1", "license/unknown") == "https://gate.example/hf/-/decisions/d-1"
    assert explaining.link("", "license/unknown") == "https://gate.example/hf/-/reasons/license/unknown"
    assert explaining.link("", "") == ""
    assert Explaining().link("d-1", "license/unknown") == ""


@pytest.mark.parametrize("text", ["", "a b", "a/b", "a%2fb", "ü", "a\n", "a.b", "x" * 65, "a_b", "<a>"])
def test_what_is_no_id_is_none(text):
    assert not is_decision_id(text)


@pytest.mark.parametrize(
    "text", ["", "a", "a/", "/a", "a/b/c", "A/b", "a/b\n", "a/../b", "a/b?x", "1/a", "a/" + "b" * 61]
)
def test_what_is_no_code_is_none(text):
    assert not is_code(text)


@pytest.mark.parametrize("code", ["license/unknown", "pdp/unknown-obligation", "upstream/repo-not-found"])
def test_codes_and_rules_have_one_shape(code):
    assert is_code(code)
