"""Of which files the first bytes may be trickled while the file is judged (design §6.4), and where they come from.

The rule is P1's: what leaves can neither complete nor usefully begin a file. So it is a list of what is allowed, by
content: formats that no loader opens without their end (zip, HDF5, Parquet, Arrow) or whose beginning is a length and a
table (safetensors, GGUF). Text, scripts, tar and gzip begin usefully; a pickle acts opcode by opcode as it arrives.
"""

from __future__ import annotations

import asyncio
import hashlib
import pickletools
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath

import structlog

from gateway.domain.artifact import Artifact, Span
from gateway.domain.errors import GatewayError
from gateway.domain.evidence import JudgedSpan
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.fills import Fills
from gateway.enforcement.release import HELD_TAIL_BYTES
from gateway.enforcement.staged import opened, read_at
from gateway.ports import BlobStore, Upstream

MOST_BYTES = 512
_log = structlog.get_logger("hold")

# Names under which a loader, a shell or a person takes the first bytes for something of use, whatever they are.
_CODE = "py pyw pyi pyc sh bash zsh ps1 bat cmd js mjs ts lua rb pl php r c cc cpp h cu rs go java so dll exe dylib"
_TEXT = "json jsonl ndjson ipynb yaml yml toml ini cfg conf xml html htm svg md txt text rst csv tsv log vocab merges"
_ACTS = "jinja jinja2 j2 tar tgz gz bz2 xz zst lz4 pkl pickle joblib dill npy jar whl"
_NEVER = frozenset(f".{suffix}" for suffix in f"{_CODE} {_TEXT} {_ACTS}".split())
# How files of these formats are called. Another name is one under which somebody else may take the bytes for his.
_FORMATS = "bin pt pt2 ptl pth ckpt zip npz keras h5 hdf hdf5 parquet pq arrow feather ipc gguf safetensors"
_SEALED = frozenset(f".{suffix}" for suffix in _FORMATS.split())
_ACTING = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD"})
_MOST_HEADER_BYTES = 100_000_000  # of a safetensors file (its specification)
_MOST_COUNT = 1 << 24  # tensors, or metadata entries, of a GGUF file


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first bytes of a file, and the span that binds the rest of it to them."""

    data: bytes
    span: JudgedSpan


def may_trickle(path: str, head: bytes) -> bool:
    """May these first bytes of the file `path` leave before it is judged? Pure; what is not known is no."""
    name = path.rsplit("/", 1)[-1].lower()
    suffixes = PurePosixPath(name).suffixes
    if _NEVER & set(suffixes) or not suffixes or suffixes[-1] not in _SEALED:
        return False
    return _begins_sealed(head) and not _is_tar(head) and not _acts_as_pickle(head)


def _begins_sealed(head: bytes) -> bool:
    """Is it one of the formats that are of no use without what follows?"""
    if head.startswith((b"\x89HDF\r\n\x1a\n", b"ARROW1\x00\x00")):
        return True
    if head.startswith(b"PK\x03\x04"):
        return _begins_entry(head)
    if head.startswith(b"PAR1"):
        return any(byte < 0x09 or 0x0D < byte < 0x20 for byte in head[4:16])  # a Thrift header, no text
    if head.startswith(b"GGUF"):
        counts = (int.from_bytes(head[at : at + 8], "little") for at in (8, 16))
        return head[4:8] in {b"\x02\0\0\0", b"\x03\0\0\0"} and all(count < _MOST_COUNT for count in counts)
    length = int.from_bytes(head[:8], "little")
    # A line of its own in the table would be one to a shell; JSON needs none, and writers make none.
    return 2 <= length < _MOST_HEADER_BYTES and head[8:9] == b"{" and not _has_control(head[8 : 8 + length])


def _begins_entry(head: bytes) -> bool:
    """Is it the first entry of a zip, stored or deflated, under a name that is one line (APPNOTE 4.3.7)?"""
    method, length = (int.from_bytes(head[at : at + 2], "little") for at in (8, 26))
    name = head[30 : 30 + length]
    return method in {0, 8} and 0 < length == len(name) and not _has_control(name)


def _has_control(text: bytes) -> bool:
    return any(byte < 0x20 or byte == 0x7F for byte in text)


def _is_tar(head: bytes) -> bool:
    """A tar header alone makes links and folders; its first bytes are a name, which may look like anything."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _acts_as_pickle(head: bytes) -> bool:
    """Does an unpickler come to an opcode that imports or calls before it breaks?"""
    try:
        return any(opcode.name in _ACTING for opcode, _, _ in pickletools.genops(head))
    except (ValueError, IndexError, OverflowError):  # what genops makes of bytes that are no pickle, at the break
        return False


class Beginnings:
    """Reads the first bytes of files that are being judged: from what is here, else by one small range read."""

    def __init__(self, store: BlobStore, upstream: Upstream, fills: Fills, flights: SingleFlight) -> None:
        self._store = store
        self._upstream = upstream
        self._fills = fills
        self._flights = flights

    async def read(self, artifact: Artifact, access: str) -> Beginning | None:
        """The first 512 bytes; None where they may not be trickled, or cannot be had."""
        if artifact.entry.size_bytes <= HELD_TAIL_BYTES:
            return None
        try:
            data = await self._flights.do(("beginning", artifact.entry.identity), lambda: self._bytes(artifact, access))
        except GatewayError as error:
            _log.info("hold.no-beginning", path=artifact.path, cause=str(error))
            return None
        if len(data) != MOST_BYTES or not may_trickle(artifact.path, data):
            return None
        return Beginning(data, JudgedSpan(0, MOST_BYTES, hashlib.sha256(data).hexdigest()))

    async def _bytes(self, artifact: Artifact, access: str) -> bytes:
        sha256 = artifact.entry.sha256
        if sha256 is not None and (blob := await self._store.stat(sha256)) is not None:
            return await asyncio.to_thread(read_at, opened(blob.path), 0, MOST_BYTES)
        fill = self._fills.running(artifact)
        if fill is not None and fill.written >= MOST_BYTES:
            return await fill.read(0, MOST_BYTES)
        return await self._upstream.read_range(artifact, Span(0, MOST_BYTES), access)
