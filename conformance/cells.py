"""A cell of the matrix, and the text in it made comparable between runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

PASS, FAIL, LIMIT, REFUSED, NOT_RUN = "PASS", "FAIL", "LIMIT", "REFUSED", "NOT RUN"
MOST_CHARACTERS = 420

# What differs from run to run, in the order in which it is replaced.
_CHANGING = (
    (r"\(Request ID: [^)]*\)", "(Request ID: …)"),
    (r"Request ID: [\w;=.-]+", "Request ID: …"),
    (r"\x1b\[[0-9;]*m", ""),
    (r"d-[0-9a-f]{20,64}", "d-…"),
    (r"\b[0-9a-f]{64}\b", "<digest>"),
    (r"\b[0-9a-f]{40}\b", "<commit>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|\+\d\d:\d\d)?", "<time>"),
    (r"0x[0-9a-f]{6,}", "0x…"),
    (r"\b\d+(?:\.\d+)? ?(?:ms|seconds|s)\b", "<span>"),
    (r"mgw_\w+|hf_conformance\w*", "<token>"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One feature of one client against one endpoint. `detail` is what its user saw; `why` explains LIMIT and REFUSED."""

    result: str
    detail: str = ""
    why: str = ""

    def as_json(self) -> dict[str, str]:
        named = {"result": self.result, "detail": self.detail, "why": self.why}
        return {name: value for name, value in named.items() if value}

    @classmethod
    def from_json(cls, found: dict[str, str]) -> Cell:
        return cls(found["result"], found.get("detail", ""), found.get("why", ""))


def normalised(text: str, names: dict[str, str] | None = None) -> str:
    """The text on one line without ids, times and ports; `names` maps addresses and folders of this run to words."""
    for found, word in sorted((names or {}).items(), key=lambda item: -len(item[0])):
        if found:
            text = text.replace(found, word)
    for pattern, word in _CHANGING:
        text = re.sub(pattern, word, text)
    text = re.sub(r"(https?://)(?:127\.0\.0\.1|localhost):\d+", r"\1<host>", text)
    text = re.sub(r"(?:127\.0\.0\.1|localhost):\d+", "<host>", text)
    text = " ".join(text.split())
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
