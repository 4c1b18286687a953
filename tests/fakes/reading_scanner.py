"""A scanner that finds nothing and reads from the start on, as far as a test says."""

from __future__ import annotations

import hashlib

from gateway.domain.evidence import Coverage, JudgedSpan, ScanReport, Surface
from gateway.ports import RangeSource

PIECE_BYTES = 1 << 20


class ReadingScanner:
    """ports.Scanner. Passes tests/contracts/scanner.py. Reads pieces of 1 MiB up to `most_bytes`; `seen` is what the
    last scan read to its end."""

    name, version = "reading", "1"

    def __init__(self, most_bytes: int = 1 << 40) -> None:
        self.most_bytes = most_bytes
        self.seen = b""

    async def scan(self, source: RangeSource, path: str) -> ScanReport:
        seen, spans = bytearray(), []
        while len(seen) < min(self.most_bytes, source.size_bytes):
            start, piece = len(seen), await source.read(len(seen), PIECE_BYTES)
            seen += piece
            spans.append(JudgedSpan(start, len(seen), hashlib.sha256(piece).hexdigest()))
        self.seen = bytes(seen)
        is_whole = len(seen) == source.size_bytes
        coverage = Coverage(Surface.COMPLETE, whole_file=is_whole)
        return ScanReport(self.name, self.version, "unknown", coverage, spans=() if is_whole else tuple(spans))
