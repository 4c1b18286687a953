"""HTML of elements: text is escaped where it goes in, so that no page can forget it."""

from __future__ import annotations

import html

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200c\u200d\ufeff")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def visible(text: str) -> str:
    """`text` with everything that a reader could not see (control, bidi, zero-width, surrogates) as an escape."""
    return "".join(c if c.isprintable() and c not in _BIDI else c.encode("unicode_escape").decode() for c in text)


def el(name: str, *content: str, **attributes: str) -> Markup:
    """One element; `class_` stands for `class`. Content that is no Markup is text, made visible and escaped."""
    given = "".join(f' {key.rstrip("_")}="{html.escape(visible(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{joined(*content)}</{name}>")


def joined(*content: str) -> Markup:
    """The parts one after the other, each as in `el`."""
    return Markup("".join(c if isinstance(c, Markup) else html.escape(visible(c)) for c in content))
