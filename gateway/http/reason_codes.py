"""The gateway's own reason codes in words, read from the tables of docs/operations.md, which is shipped for that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.explaining import is_code
from gateway.http.markup import Markup, el, joined

_CELL = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_FORMS = {
    "pending": "asked to come back: nothing is refused for good, and clients may simply try again",
    "deny": "refused, with the reason in the client's message",
    "fail": "the hub could not be asked, or answered something that cannot be used",
    "refused": "refused: the gateway does not answer that",
}


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """What a code means. `form` is how it is told, `happened` why, `to_do` what operators do; the last two as Markdown
    of one line."""

    code: str
    form: str
    happened: str
    to_do: str

    @property
    def form_in_words(self) -> str:
        """The form as a sentence; as it is written where it is none of the usual ones."""
        return next((words for word, words in _FORMS.items() if self.form.startswith(word)), self.form)


def read_codes(page: Path) -> dict[str, ReasonCode]:
    """Every code that an answer may carry. Raises OSError where the page is not there."""
    found = {}
    for line in page.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in _CELL.split(line)[1:-1]] if line.startswith("| `") else []
        if len(cells) == 4:
            for code in filter(is_code, re.findall(r"`([^`]+)`", cells[0])):
                found[code] = ReasonCode(code, cells[1], *(_LINK.sub(r"\1", cell) for cell in cells[2:]))
    return found


def one_line_of(markdown: str) -> Markup:
    """The text as HTML: what stands between backticks is code."""
    parts = markdown.split("`")
    return joined(*(el("code", part) if number % 2 else part for number, part in enumerate(parts)))
