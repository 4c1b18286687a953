"""Which format a file has, by its bytes; the name only tells apart formats that share their bytes (text)."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from gateway.scanners.budget import InflateBudgetExceeded
from gateway.scanners.formats import safetensors
from gateway.scanners.formats.compressed import READABLE, SEALED
from gateway.scanners.formats.inert_names import SNIFF_BYTES, is_textual, sniff_inert
from gateway.scanners.formats.numpy_array import MAGIC as NUMPY_MAGIC
from gateway.scanners.formats.pickle_globals import Tier, tier
from gateway.scanners.formats.pickle_machine import OpcodeBudget, Program, run
from gateway.scanners.formats.torch import LEGACY_MAGIC
from gateway.scanners.formats.zip_container import ZipFault, open_archive
from gateway.scanners.reader import Reader

_HDF5 = b"\x89HDF\r\n\x1a\n"
# HDF5 may start after a user block of 512 bytes times a power of two.
_HDF5_OFFSETS = (0, 512, 1024, 2048, 4096, 8192, 16384, 32768)

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"GGUF", "gguf"),
    (b"FUGG", "gguf"),
    (NUMPY_MAGIC, "numpy"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b", "gzip"),
    (b"\x7fELF", "executable"),
    (b"MZ", "executable"),
    (b"\xfe\xed\xfa\xce", "executable"),
    (b"\xfe\xed\xfa\xcf", "executable"),
    (b"\xce\xfa\xed\xfe", "executable"),
    (b"\xcf\xfa\xed\xfe", "executable"),
    (b"\xca\xfe\xba\xbe", "executable"),
    (b"\x00asm", "executable"),
)
_PROBE_OPCODES = 3_000_000
_PROBE_STREAMS = 16
# Text can hold these by chance; none of them runs anything.
_IDLE_EVENTS = frozenset({"pickle.memo-index", "pickle.frame-overrun", "pickle.out-of-band"})

# What a name promises, where a loader trusts the name: content of another format is a lie.
PROMISES: dict[str, frozenset[str]] = {
    "safetensors": frozenset({"safetensors"}),
    "gguf": frozenset({"gguf"}),
    "json": frozenset({"json", "empty"}),
    "onnx": frozenset({"onnx"}),
    "hdf5": frozenset({"hdf5"}),
    "numpy": frozenset({"numpy"}),
    "npz": frozenset({"npz"}),
    "keras": frozenset({"keras", "hdf5"}),
    "parquet": frozenset({"parquet"}),
    "arrow": frozenset({"arrow"}),
    "image": frozenset({"image"}),
    "audio": frozenset({"audio"}),
    "video": frozenset({"video"}),
    "markdown": frozenset({"markdown", "empty"}),
    "text": frozenset({"text", "json", "csv", "empty"}),
    "csv": frozenset({"csv", "empty"}),
    "yaml": frozenset({"yaml", "empty"}),
    "python": frozenset({"python", "empty"}),
}


def detect(reader: Reader, path: str) -> str:
    """The format word of a file. Reads the head, the tail of text-like files, and the directory of zip archives."""
    if reader.size == 0:
        return "empty"
    head = reader.read(0, SNIFF_BYTES)
    if is_tar(head):
        return "tar"  # first of all: a tar header fits into the first bytes of many other formats
    if head.startswith(LEGACY_MAGIC):
        return "torch-legacy"
    textual = is_textual(head)  # "GGUF is a format…" is a text; every signature below comes with control bytes
    for magic, word in _MAGIC:
        if head.startswith(magic) and not textual:
            return _zip_kind(reader) if word == "zip" else word
    if safetensors.looks_like(head, reader.size):
        return "safetensors"
    if any(head[at : at + 8] == _HDF5 for at in _HDF5_OFFSETS):
        return "hdf5"
    if head[4:8] == b"TFL3":
        return "tflite"
    if is_pickle(reader, head):
        return "pickle"
    if not textual and head.startswith((*READABLE, *SEALED)):  # those without a word of their own
        return "unknown"
    return _by_name(reader, head, path)


def _by_name(reader: Reader, head: bytes, path: str) -> str:
    tail = reader.read(max(reader.size - SNIFF_BYTES, 0), SNIFF_BYTES)
    word = sniff_inert(head, tail, path)
    if word == "executable" and b"python" in head.split(b"\n", 1)[0]:
        return "python"
    lower = path.lower()
    if word == "unknown" and lower.endswith(".onnx"):
        return "onnx"
    if word == "unknown" and lower.endswith((".pb", ".pbtxt", ".meta")):
        return "tensorflow"
    return word


def is_pickle(reader: Reader, head: bytes) -> bool:
    r"""Would an unpickler get anywhere with this file?

    Text can begin like a pickle by chance ("cat\ndog\n" imports at.dog), so for streams without a protocol header
    something must have been run, or a known name imported, before it broke.
    """
    if len(head) > 1 and head[0] == 0x80 and head[1] <= 5:
        return True
    streams = list(_probe(reader))
    if any(_acts(program) for program in streams):
        return True
    return streams[-1].end == "stopped" and not streams[-1].doubts


def acts_as_pickle(reader: Reader) -> bool:
    """Would an unpickler run something of a file that has the form of another format?"""
    return any(_acts(program) for program in _probe(reader))


def _probe(reader: Reader) -> Iterator[Program]:
    """The streams that stand one after another from the first byte on, as far as they are followed."""
    budget, at = OpcodeBudget(_PROBE_OPCODES), 0
    for _ in range(_PROBE_STREAMS):
        program = run(reader, at, budget)
        yield program
        at = program.end_offset
        if program.end != "stopped" or program.doubts or at >= reader.size:
            return


def _acts(program: Program) -> bool:
    if program.end in {"opcode-budget", "limit"} or any(e.rule not in _IDLE_EVENTS for e in program.events):
        return True
    return any(use.uses - {"import"} or _known(use.module, use.name) for use in program.globals.values())


def _known(module: str, name: str) -> bool:
    return tier(module, name, 0) is not Tier.UNKNOWN


def _zip_kind(reader: Reader) -> str:
    """What is in the archive decides: `data.pkl` in any case makes it a torch checkpoint."""
    try:
        names = [member.name.lower() for member in open_archive(reader).members]
    except (ZipFault, InflateBudgetExceeded):
        return "zip"
    if any(name.rsplit("/", 1)[-1] == "data.pkl" for name in names):
        return "torch-zip"
    if "config.json" in names and "metadata.json" in names:
        return "keras"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def is_tar(head: bytes) -> bool:
    """Does Python's tarfile, by which torch opens its oldest checkpoints, take the first block for a header?"""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


__all__ = ["PROMISES", "acts_as_pickle", "detect", "is_pickle", "is_tar"]
