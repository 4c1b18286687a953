"""The project's Markdown pages: their fenced blocks, links and headings."""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its page, language, text, and the line it begins on."""

    page: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def pages() -> tuple[Path, ...]:
    """Every page of the project, not of its environments."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("rego/**/*.md"), *ROOT.glob("config/**/*.md")]
    return tuple(sorted(found))


@cache
def blocks() -> tuple[Block, ...]:
    found = []
    for page in pages():
        text = page.read_text("utf-8")
        found += [Block(page, m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in _FENCE.finditer(text)]
    return tuple(found)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """What `#…` may name on a page, as code hosts make it from headings."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def commands(text: str) -> list[list[str]]:
    """The words of each `$ …` line (a backslash goes on), cut at comments, pipes and redirections."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
    return [words for line in lines if (words := simple(line))]


def simple(line: str) -> list[str]:
    """The words of one simple command: no assignments before it, nothing behind a pipe or redirection."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words = []
    for word in lexer:
        if re.fullmatch(r"[|<>;&]+", word):
            break
        if words or not re.match(r"[A-Z_]+=", word):
            words.append(word)
    return words
