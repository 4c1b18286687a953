"""The bounded random-access reader that every format module reads through, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.evidence import Coverage, Finding


class Reader(Protocol):
    """Bytes of one file by offset. In a worker it asks the parent; in tests it is plain bytes."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Exactly the bytes [offset, offset + length), cut at the end of the file; never more.

        Raises SourceLost where the bytes cannot be had, ReadBudgetExceeded past the budget of one scan.
        """
        ...


class SourceLost(Exception):
    """The bytes cannot be had now; the scan has no result."""


class ReadBudgetExceeded(Exception):
    """The format asked for more bytes than one scan may read: Coverage `partial`, cause "read-budget"."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a format module saw: the format by content, its Coverage and findings."""

    format: str
    coverage: Coverage
    findings: tuple[Finding, ...] = ()


class BytesReader:
    """A reader over bytes in memory (members that a container reader has extracted)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length] if length > 0 else b""


class Shifted:
    """The bytes of another reader from an offset on."""

    def __init__(self, reader: Reader, start: int) -> None:
        self._reader = reader
        self._start = start
        self.size = max(reader.size - start, 0)

    def read(self, offset: int, length: int) -> bytes:
        return self._reader.read(self._start + offset, length) if offset >= 0 else b""
