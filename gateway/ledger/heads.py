"""Chain heads to keep elsewhere: one line each, `CHAIN SEQ sha256:HEX`, or the JSON that `audit verify` prints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import orjson

from gateway.domain.errors import LedgerError

_LINE = re.compile(r"(\S+/w\d+)\s+(\d+)\s+(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Head:
    """The link of the record `seq` of a chain."""

    seq: int
    link: str


def head_line(chain: str, seq: int, link: str) -> str:
    return f"{chain} {seq} {link}"


def read_heads(path: Path) -> dict[str, list[Head]]:
    """Heads by chain. Raises LedgerError where the file cannot be read, or holds a line that is no head."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"Cannot read the kept heads in {path}: {error}.", code="ledger/heads") from error
    found: dict[str, list[Head]] = {}
    for number, line in enumerate(_lines(path, text), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise LedgerError(
                f"Line {number} of {path} is no chain head; expected CHAIN SEQ sha256:HEX.", code="ledger/heads"
            )
        found.setdefault(match[1], []).append(Head(int(match[2]), match[3]))
    if not found:
        raise LedgerError(f"{path} holds no chain head, so there is nothing to compare with.", code="ledger/heads")
    return found


def _lines(path: Path, text: str) -> list[str]:
    if not text.lstrip().startswith("{"):
        return text.splitlines()
    try:
        chains = orjson.loads(text)["chains"]
        return [head_line(c["chain"], c["last_seq"], c["head"]) for c in chains if c["head"]]
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{path} is not what `gateway audit verify --json` prints.", code="ledger/heads") from error
