"""A forward cursor over a reader, for formats whose strings must be stepped over one by one."""

from __future__ import annotations

from gateway.scanners.reader import Reader

WINDOW_BYTES = 1024 * 1024


class MalformedGguf(Exception):
    """The bytes are no well-formed GGUF; the text says what is wrong, without file content."""


class Cursor:
    """Reads little-endian values from `position` on, in windows of 1 MiB. Never reads past the end of the file."""

    def __init__(self, reader: Reader, position: int) -> None:
        self._reader = reader
        self._window = b""
        self._start = position
        self.position = position

    @property
    def size(self) -> int:
        return self._reader.size

    @property
    def left(self) -> int:
        """Bytes from the position to the end of the file."""
        return self._reader.size - self.position

    def _fill(self, length: int) -> int:
        """Make `length` bytes at the position available; returns their offset in the window."""
        at = self.position - self._start
        if at >= 0 and at + length <= len(self._window):
            return at
        if length > self.left:
            raise MalformedGguf("ends in the middle of its metadata")
        self._window = self._reader.read(self.position, max(length, WINDOW_BYTES))
        self._start = self.position
        if len(self._window) < length:
            raise MalformedGguf("ends in the middle of its metadata")
        return 0

    def take(self, length: int) -> bytes:
        at = self._fill(length)
        self.position += length
        return self._window[at : at + length]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def skip(self, length: int) -> None:
        """Step over bytes without reading them."""
        if length > self.left:
            raise MalformedGguf("a value that is longer than the file")
        self.position += length

    def string_length(self, limit_bytes: int) -> int:
        length = self.u64()
        if length > self.left:
            raise MalformedGguf("a string that is longer than the file")
        if length > limit_bytes:
            raise MalformedGguf("a string longer than any reader needs")
        return length

    def string(self, limit_bytes: int, what: str) -> bytes:
        length = self.string_length(limit_bytes)
        if length == 0:
            raise MalformedGguf(f"{what} that is empty")
        return self.take(length)

    def skip_string(self, limit_bytes: int) -> None:
        self.skip(self.string_length(limit_bytes))

    def skip_strings(self, count: int, limit_bytes: int) -> None:
        """Step over `count` strings: the hot loop of a vocabulary, so it works on the window itself."""
        if count * 8 > self.left:
            raise MalformedGguf("an array that is longer than the file")
        done = 0
        while done < count:
            at, window = self._fill(8), self._window
            last = len(window) - 8
            while done < count and 0 <= at <= last:
                length = int.from_bytes(window[at : at + 8], "little")
                if length > limit_bytes:
                    raise MalformedGguf("a string longer than any reader needs")
                at += 8 + length
                done += 1
            self.position = self._start + at
            if self.left < 0:
                raise MalformedGguf("a string that is longer than the file")
