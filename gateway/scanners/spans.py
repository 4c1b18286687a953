"""Which bytes a scan was given, bound to their content page by page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from gateway.domain.errors import IntegrityError
from gateway.domain.evidence import JudgedSpan
from gateway.scanners.budget import PAGE_BYTES


@dataclass(slots=True)
class SpanRecorder:
    """Follows the pages of one file. Contiguous pages become one span; a page read twice must read the same."""

    size_bytes: int
    _pages: dict[int, bytes] = field(default_factory=dict)
    _spans: list[JudgedSpan] = field(default_factory=list)
    _open_start: int = 0
    _open_end: int = -1
    _open_hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, offset: int, data: bytes) -> None:
        """Record a range of whole pages. Raises IntegrityError where a page differs from its first reading."""
        for at in range(0, len(data), PAGE_BYTES):
            self._add_page(offset + at, data[at : at + PAGE_BYTES])

    def _add_page(self, start: int, page: bytes) -> None:
        digest = hashlib.sha256(page).digest()
        known = self._pages.setdefault(start, digest)
        if known is not digest:
            if known != digest:
                raise IntegrityError(
                    f"The bytes at offset {start} changed while they were scanned; fetch the file again."
                )
            return
        if start != self._open_end:
            self._close()
            self._open_start, self._open_hash = start, hashlib.sha256()
        self._open_hash.update(page)
        self._open_end = start + len(page)

    def _close(self) -> None:
        if self._open_end > self._open_start:
            self._spans.append(JudgedSpan(self._open_start, self._open_end, self._open_hash.hexdigest()))
        self._open_end = -1

    def spans(self) -> tuple[JudgedSpan, ...]:
        """All spans in order of their place. The recorder takes no further pages into the last span."""
        self._close()
        return tuple(sorted(self._spans, key=lambda span: span.start))

    @property
    def whole(self) -> bool:
        """Was every byte of the file handed out?"""
        return len(self._pages) == -(-self.size_bytes // PAGE_BYTES)
