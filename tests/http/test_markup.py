"""HTML of elements: what is not Markup is text, whatever it holds."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.markup import Markup, el, joined, visible


class Seen(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_comment(self, data):
        self.elements.append(("!", data))

    def handle_data(self, data):
        self.text += data


@given(st.text(), st.text())
def test_text_comes_back_as_text_and_an_attribute_as_an_attribute(text, value):
    seen = Seen(el("p", el("a", text, href=value), text))
    assert seen.elements == [("p", {}), ("a", {"href": visible(value)})]
    assert seen.text == visible(text) * 2


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"onclick="x', "<!--", "]]>", "&lt;", "</p><b>", "'"])
def test_what_looks_like_html_is_text(text):
    assert Seen(el("p", text)).text == text
    assert len(Seen(el("p", text, title=text)).elements) == 1


def test_markup_is_not_escaped_twice_and_text_beside_it_is():
    assert joined(el("b", "x"), "<", Markup("<br>")) == "<b>x</b>&lt;<br>"
    assert el("p", "a", class_="box") == '<p class="box">a</p>'


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u2066", "\u200b", "\ufeff", "\0", "\n", "\x1b", "\x7f", "\ud800", "\u00ad", "\u2028"]
)
def test_what_a_reader_cannot_see_is_shown(hidden):
    shown = visible(f"a{hidden}b")
    assert hidden not in shown
    assert shown.startswith("a\\")
    assert shown.encode()


def test_other_scripts_stay_readable():
    assert visible("модель 模型 é – “x”") == "модель 模型 é – “x”"
