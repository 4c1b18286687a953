"""Reads a pickle stream through a window, so that a large operand can be stepped over instead of read."""

from __future__ import annotations

from gateway.scanners.reader import Reader

WINDOW_BYTES = 64 * 1024


class MalformedPickle(Exception):
    """The stream stops making sense here; an unpickler would raise too, after having run what came before."""


class PickleLimit(Exception):
    """An unpickler would go on here; this reading does not. The stream is not judged to its end."""


class Cursor:
    """A position in a reader. Raises MalformedPickle where the stream ends too early."""

    def __init__(self, reader: Reader, start: int) -> None:
        self._reader = reader
        self._base = start
        self._window = b""
        self._at = 0
        self._frame_end = 0
        self.straddles = 0
        self.overruns = 0

    @property
    def offset(self) -> int:
        return self._base + self._at

    def byte(self) -> int:
        """The next byte, -1 at the end of the file."""
        if self._at >= len(self._window) and not self._fill(1):
            return -1
        value = self._window[self._at]
        self._at += 1
        return value

    def frame(self, length: int) -> None:
        """A frame of `length` bytes begins here.

        CPython's C unpickler, reading from a file object, takes a whole frame into its buffer and drops what is left of
        it when an operand crosses the frame's end: the same bytes then mean something else than without a file object.
        `straddles` counts such operands, `overruns` frames that run past the file, where unpicklers disagree as well.
        """
        end = self.offset + length
        if end > self._reader.size:
            self.overruns += 1
        elif self.offset < self._frame_end < end:
            self.straddles += 1
        self._frame_end = max(self._frame_end, end)

    def take(self, count: int) -> bytes:
        if self.offset < self._frame_end < self.offset + count:
            self.straddles += 1
        end = self._at + count
        if end > len(self._window):
            if not self._fill(count):
                raise MalformedPickle("the stream ends inside an operand")
            end = self._at + count
        data = self._window[self._at : end]
        self._at = end
        return data

    def skip(self, count: int) -> None:
        """Step over `count` bytes without reading them."""
        if self.offset < self._frame_end < self.offset + count:
            self.straddles += 1
        if self.offset + count > self._reader.size:
            raise MalformedPickle("an operand runs past the end of the file")
        if self._at + count <= len(self._window):
            self._at += count
        else:
            self._base, self._window, self._at = self.offset + count, b"", 0

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def line(self) -> bytes | None:
        """One line without its end; None for a line of more than 64 KiB, which is stepped over.

        The last line of a file needs no end: unpicklers take it without its last byte, and fail at the next opcode.
        """
        start = self.offset
        data = self._line()
        if start < self._frame_end < self.offset:
            self.straddles += 1
        return data

    def _line(self) -> bytes | None:
        found = self._window.find(b"\n", self._at)
        if found >= 0:
            data = self._window[self._at : found]
            self._at = found + 1
            return data
        self._fill(WINDOW_BYTES)
        data, long = b"", False
        while True:
            found = self._window.find(b"\n", self._at)
            if found >= 0:
                data = self._window[self._at : found]
                self._at = found + 1
                return None if long else data
            rest = self._window[self._at :]
            self._at = len(self._window)
            if self.offset >= self._reader.size:
                return None if long else rest[:-1]
            long = True
            self._fill(WINDOW_BYTES)

    def short_line(self) -> bytes:
        """One line; raises PickleLimit where it is longer than any name or key."""
        data = self.line()
        if data is None:
            raise PickleLimit("a name of more than 64 KiB")
        return data

    def _fill(self, count: int) -> bool:
        """Make at least `count` bytes available from the position on, if the file has them."""
        self._base, self._at = self.offset, 0
        self._window = self._reader.read(self._base, max(count, WINDOW_BYTES))
        return len(self._window) >= count > 0
