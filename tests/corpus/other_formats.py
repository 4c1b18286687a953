"""safetensors with hostile headers, and formats that may never be judged complete. Nothing here is ever loaded."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zlib

import numpy as np

from tests.corpus import zips
from tests.corpus.pickles import SYSTEM


def safetensors(header: str | bytes, data: bytes = bytes(16), length: int | None = None) -> bytes:
    raw = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def tensor(dtype: object = "F32", shape: object = (2, 2), offsets: object = (0, 16)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


GOOD = json.dumps({"__metadata__": {"format": "pt"}, "w": tensor()})


def hostile_safetensors() -> dict[str, bytes]:
    def one(**changes: object) -> bytes:
        return safetensors(json.dumps({"w": tensor(**changes)}))  # type: ignore[arg-type]

    return {
        "length-past-file": safetensors(GOOD, length=10_000),
        "length-huge": safetensors(GOOD, length=1 << 63),
        "length-over-100-mb": safetensors(GOOD, length=100_000_001),
        "duplicate-key": safetensors(f'{{"w":{json.dumps(tensor())},"w":{json.dumps(tensor())}}}'),
        "duplicate-inner-key": safetensors('{"w":{"dtype":"F32","dtype":"F64","shape":[2,2],"data_offsets":[0,16]}}'),
        "nan": safetensors('{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,16]}}'),
        "float-shape": one(shape=[2.0, 2.0]),
        "bool-shape": one(shape=[True, 4]),
        "negative-shape": one(shape=[-2, -2]),
        "overflow-shape": one(shape=[1 << 40, 1 << 40]),
        "unknown-dtype": one(dtype="Q9"),
        "dtype-no-text": one(dtype=["F32"]),
        "offsets-backwards": one(offsets=[16, 0]),
        "offsets-short": one(offsets=[0, 12]),
        "hole": safetensors(json.dumps({"w": tensor(offsets=[16, 32])}), bytes(32)),
        "overlap": safetensors(json.dumps({"a": tensor(), "b": tensor()})),
        "trailing": safetensors(GOOD, bytes(16) + SYSTEM),
        "trailing-zip": safetensors(GOOD, bytes(16) + b"PK\x05\x06" + bytes(18)),
        "short": safetensors(GOOD, bytes(8)),
        "deep": safetensors('{"w":' + "[" * 5000 + "]" * 5000 + "}"),
        "metadata-nested": safetensors(json.dumps({"__metadata__": {"a": {"b": "c"}}, "w": tensor()})),
        "extra-key": safetensors(json.dumps({"w": tensor() | {"run": "x"}})),
        "not-utf8": safetensors(GOOD.encode() + b"\xff"),
        "utf16": safetensors("{" + GOOD.encode("utf-16").decode("latin-1")),
        "list": safetensors("{} []"),
        "big-integer": safetensors('{"w":{"dtype":"F32","shape":[' + "9" * 5000 + '],"data_offsets":[0,16]}}'),
        "pickle-inside-name": SYSTEM,
    }  # fmt: skip


def polyglots() -> dict[str, bytes]:
    """Valid safetensors that an unpickler, or torch's tar reader, takes for something else; named as loaders try them."""
    module, name, argument = "multiprocessing.resource_sharer_", "run_".ljust(32, "x"), "x" * 32
    steps = (
        b"U " + module.encode() + b"U " + name.encode() + b"q\xe2\x93\x94" + b"U " + argument.encode() + b"q\xc2\x85R."
    )
    return {"tar.bin": _tar_polyglot(), "tar.safetensors": _tar_polyglot(), "pickle.bin": _pickle_polyglot(steps)}


def _pickle_polyglot(steps: bytes) -> bytes:
    """The header's length is chosen so that its first two bytes are SHORT_BINBYTES and the distance to the steps."""
    head, tail = b'{"__metadata__":{"a":"', b'"},"w":' + json.dumps(tensor()).encode() + b"}"
    distance = 6 + len(head)
    length = distance << 8 | 0x43
    body = head + steps + tail
    return safetensors(body + b" " * (length - len(body)))


def _tar_polyglot() -> bytes:
    """A tar header of spaces and octal digits inside the metadata of a safetensors header."""
    fields = bytearray(b" " * 512)
    fields[0:8] = struct.pack("<Q", 1024)
    fields[8:30] = b'{"__metadata__":{"a":"'
    fields[124:135] = b"00000000000"
    fields[156:157] = b"0"
    tail = b'"},"w":' + json.dumps(tensor()).encode() + b"}"
    for _ in range(2):
        fields[148:156] = b"%06o  " % (sum(fields[:148]) + 8 * 0x20 + sum(fields[156:512]))
    body = bytes(fields[8:]) + tail
    return safetensors(body + b" " * (1024 - len(body)))


def benign_safetensors() -> dict[str, bytes]:
    from safetensors.numpy import save

    arrays = {f"layer.{i}": np.ones((3, i + 1), dtype=d) for i, d in enumerate(("float32", "float16", "int64"))}
    return {
        "library": save(arrays, metadata={"format": "pt"}),
        "empty": save({}),
        "scalar": save({"s": np.array(3.0)}),
        "zero": save({"z": np.zeros((0, 3))}),
    }


def not_judged() -> dict[str, bytes]:
    """Formats that can act or hide what acts, under the names that they come with."""
    objects = io.BytesIO()
    np.save(objects, np.array([1, "x"], dtype=object), allow_pickle=True)
    records = io.BytesIO()
    np.save(records, np.zeros(2, dtype=[("a", "<i4"), ("b", "O")]), allow_pickle=True)
    npz = io.BytesIO()
    np.savez(npz, a=np.array([1, "x"], dtype=object))
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }"
    evil = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + SYSTEM
    raw_lzma = lzma.compress(SYSTEM, format=lzma.FORMAT_ALONE)
    return {
        "object.npy": objects.getvalue(),
        "record.npy": records.getvalue(),
        "objects.npz": npz.getvalue(),
        "evil-object.npy": evil,
        "evil-objects.npz": zips.Archive([zips.Entry("a.npy", evil)]).build(),
        "raw-pickle.npz": SYSTEM,
        "raw-pickle.npy": b"\x93NUMPY\x01\x00" + SYSTEM,
        "model.pkl.gz": gzip.compress(SYSTEM),
        "double.pkl.gz": gzip.compress(gzip.compress(SYSTEM)),
        "model.pkl.z": zlib.compress(SYSTEM),
        "model.pkl.bz2": bz2.compress(SYSTEM),
        "model.pkl.xz": lzma.compress(SYSTEM),
        "model.pkl.lzma": raw_lzma,
        "model.7z": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(200),
        "seven.pt": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(200),
        "model.rar": b"Rar!\x1a\x07\x01\x00" + bytes(100),
        "legacy.tar": _tar({"storages": SYSTEM, "tensors": SYSTEM, "pickle": SYSTEM}),
        "torch-tar.pt": _tar({"pickle": SYSTEM}),
        "old-tar.pt": _tar({"pickle": SYSTEM}, tarfile.USTAR_FORMAT).replace(b"ustar\x0000", bytes(8)),
        "slip.tar": _tar({"../../x": b"x"}),
        "model.h5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "user-block.h5": bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes(100),
        "model.onnx": b"\x08\x07\x12\x07pytorch\x1a\x01\x30" + bytes(50),
        "saved_model.pb": b"\x08\x01\x12\x20" + bytes(60),
        "model.tflite": b"\x1c\x00\x00\x00TFL3" + bytes(60),
        "program": b"\x7fELF\x02\x01\x01" + bytes(100),
        "program.bin": b"MZ" + bytes(200),
        "mach-o": b"\xcf\xfa\xed\xfe" + bytes(100),
        "script.sh": b"#!/bin/sh\ntrue\n",
        "joblib.pkl": _joblib(),
        "noise.bin": bytes(range(256)) * 4,
        "model.rds": b"RDX3\nX\n" + bytes(40),
        "model.pmml": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><PMML>&e;</PMML>",
    }  # fmt: skip


def _joblib() -> bytes:
    head = b"\x80\x04\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93)\x81}b"
    return head + bytes(64) + b"."


def _tar(files: dict[str, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()
