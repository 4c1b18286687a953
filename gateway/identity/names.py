"""Which names of subjects and groups are taken: short, visible, and never two readings of one text."""

from __future__ import annotations

import re

MAX_GROUPS = 512
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_RESERVED = frozenset({"anonymous"})
_MAX_CHARS = 256


def is_token_name(name: str) -> bool:
    """May a gateway token have this name? Letters, digits, `. _ @ -`; no path, no separator, not "anonymous"."""
    return _SUBJECT.fullmatch(name) is not None and name.lower() not in _RESERVED


def is_plain(text: str) -> bool:
    """Is the text of a claim (a group, a subject) non-empty, at most 256 characters, and free of control characters?"""
    return 0 < len(text) <= _MAX_CHARS and text.isprintable() and text == text.strip()
