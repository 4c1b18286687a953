"""Names found in a file, made fit for one line of a finding."""

from __future__ import annotations

MAX_NAME_CHARS = 120


def printable(text: str, limit: int = MAX_NAME_CHARS) -> str:
    """`text` cut to `limit` characters, with every character that is not printable ASCII escaped.

    Lone surrogates, bidi marks, line ends and look-alikes come out as escapes, so a finding cannot forge a second line.
    """
    escaped = text[:limit].encode("ascii", "backslashreplace").decode("ascii")
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."
