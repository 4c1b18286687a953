"""The words of the reason codes are those of docs/operations.md: every code that an answer may carry has some."""

import re

import pytest

from gateway.http.reason_codes import one_line_of, read_codes
from gateway.http.reason_page import RuleText, code_page, rule_page
from gateway.shipped import operations_page
from tests.architecture.test_documented import codes_documented

CODES = read_codes(operations_page())
# A start that is refused, or a command's own error: no answer carries it.
NEVER_ANSWERED = re.compile(
    r"config/|scan/(no-files|no-such-path|unreadable)|ledger/(missing|empty|unknown|time|limit|heads)"
)


def test_every_code_that_is_documented_has_its_page():
    assert {code for code in codes_documented() if not NEVER_ANSWERED.match(code)} - set(CODES) == set()


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.code)
def test_a_page_has_words_and_no_markdown(code):
    assert code.happened
    body = code_page(code, "ops@corp.example").body.decode()
    assert code.code in body
    assert "`" not in body
    assert "](" not in body
    assert "mailto:ops@corp.example" in body
    assert "<dt>you</dt>" in body, "the one who was refused is told what to do, too"


def test_each_form_is_put_into_words():
    assert CODES["pdp/timeout"].form_in_words.startswith("asked to come back")
    assert CODES["identity/missing"].form_in_words.startswith("refused, with the reason")
    assert CODES["upstream/unavailable"].form_in_words.startswith("the hub could not be asked")


def test_what_stands_between_backticks_is_code_and_the_rest_is_text():
    assert one_line_of("set `A<b` & go") == "set <code>A&lt;b</code> &amp; go"


def test_cells_with_escaped_bars_and_links_are_read(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("| `a/b`, `c/d` | pending | x \\| y | see [clients.md](clients.md) |\n| `e/f` | two | cells |\n")
    found = read_codes(page)
    assert set(found) == {"a/b", "c/d"}
    assert found["a/b"].to_do == "see clients.md"


def test_a_page_that_is_not_shipped_is_an_error(tmp_path):
    with pytest.raises(OSError, match="none"):
        read_codes(tmp_path / "none.md")


def test_a_rules_own_words_are_text():
    body = rule_page("a/b", RuleText("<t>", "<d>", "high", "<r>"), "https://help.example/x").body
    for words in (b"&lt;t&gt;", b"&lt;d&gt;", b"&lt;r&gt;", b'href="https://help.example/x"'):
        assert words in body
