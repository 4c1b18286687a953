"""Pickles that act where nobody looks at first sight: behind padding, compression, array headers and joblib's arrays.

Every sample is one that a loader (joblib.load, numpy.load, pandas.read_pickle) would run; none may pass any profile.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from functools import cache

from tests.corpus import zips
from tests.corpus.pickles import SYSTEM

_PAD_BYTES = 9 * 1024 * 1024
_HEAD = b"\x80\x04"
# SYSTEM is a whole stream: without its STOP it can stand among other opcodes.
_ACT = SYSTEM[:-1]
_WRAPPER = b"\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93"


def padded() -> bytes:
    """9 MiB of bytes, dropped again, before the call."""
    return _HEAD + b"B" + struct.pack("<I", _PAD_BYTES) + bytes(_PAD_BYTES) + b"0" + _ACT + b"."


def crowded() -> bytes:
    """600,000 opcodes that do nothing before the call."""
    return _HEAD + b"N0" * 300_000 + _ACT + b"."


def array(data: bytes, descr: str = "'|O'", shape: str = "(1,)") -> bytes:
    """A .npy file of that dtype."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def _interleaved() -> bytes:
    """Nine bytes of array data that, read as opcodes, swallow the call behind them."""
    swallow = b"\x8e" + struct.pack("<Q", len(_ACT) + 1)
    return _HEAD + _WRAPPER + b")\x81}b" + swallow + _ACT + b"0" + b"0N."


def _two_members(data: bytes) -> bytes:
    return gzip.compress(data[:4]) + gzip.compress(data[4:])


def _broken_trailer(data: bytes) -> bytes:
    return gzip.compress(data)[:-8] + bytes(8)


def _small_dictionary(data: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 4096, "lc": 3, "lp": 0, "pb": 2}]
    return lzma.compress(data, format=lzma.FORMAT_ALONE, filters=filters)


def _npz(*members: tuple[str, bytes], method: int = 0) -> bytes:
    return zips.Archive([zips.Entry(name, data, method=method) for name, data in members]).build()


def _checkpoint(pickle: bytes) -> bytes:
    return _npz(("archive/data.pkl", pickle), ("archive/version", b"3\n"))


@cache
def samples() -> dict[str, bytes]:
    numbers = array(bytes(8), "'<i8'")
    return {
        "padded.npy": array(padded()),
        "crowded.npy": array(crowded()),
        "object-by-name.npy": array(SYSTEM, "'object'"),
        "object-in-record.npy": array(SYSTEM, "[('a', '<i4'), ('b', [('c', '|O')])]"),
        "padded.npz": _npz(("a.npy", array(padded()))),
        "deflated.npz": _npz(("a.npy", array(padded())), method=8),
        "late.npz": _npz(*((f"a{n}.npy", numbers) for n in range(1001)), ("z.npy", array(SYSTEM))),
        "other-member.npz": _npz(("a.npy", numbers), *((f"{n}.txt", b"x") for n in range(1001)), ("z", array(SYSTEM))),
        "padded.pkl.gz": gzip.compress(padded()),
        "padded.pkl.z": zlib.compress(padded()),
        "padded.pkl.bz2": bz2.compress(padded(), 1),
        "padded.pkl.xz": lzma.compress(padded(), preset=0),
        "crowded.pkl.gz": gzip.compress(crowded()),
        "two-members.pkl.gz": _two_members(SYSTEM),
        "broken-trailer.pkl.gz": _broken_trailer(SYSTEM),
        "small-dictionary.pkl.lzma": _small_dictionary(SYSTEM),
        "four-times.pkl.gz": gzip.compress(gzip.compress(gzip.compress(gzip.compress(SYSTEM)))),
        "interleaved.joblib": _interleaved(),
        "interleaved.bin": _interleaved(),
        "interleaved.pkl.gz": gzip.compress(_interleaved()),
        "checkpoint-inside.mar": _npz(("handler.py", b"x = 1"), ("m.pt", _checkpoint(_HEAD + _ACT + b"."))),
        "checkpoint-inside.pt2": _npz(("archive/data/weights/w.pt", _checkpoint(_HEAD + _ACT + b".")), method=8),
        "zip-in-zip-in-zip.zip": _npz(("a.zip", _npz(("b.zip", _npz(("w.pkl", _HEAD + _ACT + b".")))))),
        "large-checkpoint-inside.zip": _npz(("m.pt", _checkpoint(padded()))),
        "opcodes.joblib": _HEAD + _WRAPPER + b"0" + b"N0" * 2_050_000 + _ACT + b".",
        **{f"odd/{name}.bin": data for name, data in odd_numbers().items()},
        **{f"sealed.{ext}": head + bytes(64) for ext, head in _SEALED.items()},
        **{
            f"disguised.{ext}": gzip.compress(b"anything") for ext in ("bin", "pt", "pth", "ckpt", "safetensors", "dat")
        },
    }


_SEALED = {
    "pt": b"Rar!\x1a\x07\x01\x00",
    "bin": b"7z\xbc\xaf\x27\x1c\x00\x04",
    "joblib": b"\x04\x22\x4d\x18",
    "pkl.lz4": b"\x04\x22\x4d\x18",
    "pkl.zst": b"\x28\xb5\x2f\xfd",
    "pkl": b"ZF0x00000000000000ff     x\x9c",
}


def harmless() -> dict[str, bytes]:
    """Compressed data and arrays that hold no pickle: not judged, and no reason to refuse them either."""
    table = b"a,b,c\n1,2,3\n"
    return {
        "data.csv.gz": gzip.compress(table * 1_000_000),
        "data.jsonl.gz": gzip.compress(b'{"a": 1}\n' * 1000),
        "members.vcf.gz": gzip.compress(table) + gzip.compress(table),
        "data.parquet.zst": b"\x28\xb5\x2f\xfd" + bytes(64),
        "arrays.npz": _npz(
            ("a.npy", array(bytes(8), "'<i8'")), ("b.npy", array(bytes(_PAD_BYTES), "'|u1'", f"({_PAD_BYTES},)"))
        ),
        "checkpoint.pt2": _npz(("archive/data/weights/w.pt", _checkpoint(b"\x80\x02}q\x00."))),
        "pictures.zip": _npz(("a.png", b"\x89PNG\r\n\x1a\n" + bytes(_PAD_BYTES))),
    }


def odd_numbers() -> dict[str, bytes]:
    """Streams that the C unpickler follows past a number, or a frame, on which a plainer reader stops; no PROTO first."""
    short_frame = b"\x95" + struct.pack("<Q", 4)
    return {
        "float-with-nul": b"F1.0\x00zz\n0" + _ACT + b".",
        "empty-int": b"I\x00\n0" + _ACT + b".",
        "empty-int-and-more": b"I\x00zz\n0" + _ACT + b".",
        "line-across-a-frame": short_frame + b"Lx'01999\n0" + _ACT + b".",
        "float-across-a-frame": short_frame + b"NF\\'01\n0" + _ACT + b".",
    }
