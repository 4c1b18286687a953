"""Compression around a whole file: what is behind it, as far as it is followed, and names that do not tell of it."""

from __future__ import annotations

import bz2
import lzma
import zlib
from pathlib import PurePosixPath
from typing import Protocol

from gateway.domain.evidence import Finding, FindingClass, Severity
from gateway.scanners.formats.inert_names import PROMISED_BY_SUFFIX

LOOK_BYTES = 8 * 1024 * 1024
"""How many compressed bytes are read, and how many inflated bytes are kept."""

_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
# The signatures by which joblib, numpy and pandas choose a decompressor; LZMA of any dictionary size.
READABLE = (b"\x1f\x8b", *_ZLIB, b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00")
# zstd, LZ4, LZO, 7z, RAR, and joblib's own oldest form: loaders open them, nothing here does.
SEALED = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x89LZO", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"ZF")

_CHUNK_BYTES = 64 * 1024
_LZMA_MEMORY_BYTES = 128 * 1024 * 1024
_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
_WRAPPERS = frozenset(
    [
        *(".gz", ".bgz", ".tgz", ".z", ".zlib", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".lzma"),
        *(".zst", ".zstd", ".tzst", ".lz4", ".lzo", ".7z", ".rar", ".tar"),
    ]
)
_DATA = frozenset(PROMISED_BY_SUFFIX) - {".npy", ".npz", ".keras", ".h5", ".hdf5", ".py"} | {".tar"}


class Broken(Exception):
    """The compressed data stops making sense; a loader has seen what came before by then."""


class _Engine(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def inflate(data: bytes) -> tuple[bytes, bool] | None:
    """(the first LOOK_BYTES behind the compression, is that all); None where `data` is not compressed.

    Members that follow one another are joined, as every reader does. Raises Broken.
    """
    engine = _engine(data)
    if engine is None:
        return None
    out, rest = bytearray(), data
    try:
        while len(out) < LOOK_BYTES:
            for at in range(0, len(rest), _CHUNK_BYTES):
                out += engine.decompress(rest[at : at + _CHUNK_BYTES], LOOK_BYTES - len(out))
                if engine.eof or len(out) >= LOOK_BYTES:
                    rest = engine.unused_data + rest[at + _CHUNK_BYTES :]
                    break
            else:
                return bytes(out), False
            if not engine.eof:
                return bytes(out), False
            if not rest.strip(b"\0"):
                return bytes(out), True
            following = _engine(rest)
            if following is None:
                return bytes(out), False
            engine = following
    except _BROKEN as error:
        raise Broken from error
    return bytes(out), False


def _engine(data: bytes) -> _Engine | None:
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(31)
    if data.startswith(_ZLIB):
        return zlib.decompressobj()
    if data.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if data.startswith((b"\xfd7zXZ\x00", b"\x5d\x00")):
        return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY_BYTES)
    return None


def name_findings(head: bytes, path: str) -> tuple[Finding, ...]:
    """A compressed file whose name does not say so, or of which nobody here can tell that it holds plain data."""
    if not head.startswith((*READABLE, *SEALED)):
        return ()
    suffixes = [suffix.lower() for suffix in PurePosixPath(path.rsplit("/", 1)[-1]).suffixes]
    wrapped = bool(suffixes) and suffixes[-1] in _WRAPPERS
    sealed = head.startswith(SEALED) and not head.startswith((b"7z", b"Rar!"))
    if wrapped and not (sealed and (suffixes[-2:-1] or [""])[0] not in _DATA):
        return ()
    message = "compressed or archived content under a name that does not say so: loaders that go by content open it"
    return (Finding("file.compressed", FindingClass.AMBIGUITY, Severity.HIGH, message),)
