"""Small builders of model file formats, byte by byte, for samples and tests. No payload built here is ever loaded."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping, Sequence

FLOAT_BYTES = 4
_GGUF_UINT32, _GGUF_STRING, _GGUF_ARRAY = 4, 8, 9
_GGUF_ALIGNMENT = 32
ZIP_DATE = (2025, 1, 15, 10, 0, 0)


def floats(count: int) -> bytes:
    """`count` little-endian float32 values 0, 1, 2 …"""
    return struct.pack(f"<{count}f", *range(count))


def safetensors(tensors: Mapping[str, Sequence[int]], metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file of float32 tensors, given by name and shape (format: 8 bytes length, JSON header, data)."""
    counts = {name: _product(shape) for name, shape in tensors.items()}
    data = b"".join(floats(count) for count in counts.values())
    return safetensors_header(tensors, metadata) + data


def safetensors_header(tensors: Mapping[str, Sequence[int]], metadata: Mapping[str, str] | None = None) -> bytes:
    """Only the length and the header, padded to 8 bytes."""
    header: dict[str, object] = {"__metadata__": dict(metadata or {"format": "pt"})}
    at = 0
    for name, shape in tensors.items():
        end = at + _product(shape) * FLOAT_BYTES
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def gguf(
    metadata: Mapping[str, str | int | Sequence[str]], tensors: Mapping[str, Sequence[int]] | None = None
) -> bytes:
    """A GGUF v3 file; metadata values are text, unsigned 32-bit numbers or lists of text; tensors are float32."""
    head, sizes = gguf_head(metadata, tensors or {})
    return head + b"".join(_padded(floats(size // FLOAT_BYTES)) for size in sizes)


def gguf_head(
    metadata: Mapping[str, str | int | Sequence[str]], tensors: Mapping[str, Sequence[int]]
) -> tuple[bytes, list[int]]:
    """Everything before the tensor data, aligned, and the size in bytes of each tensor."""
    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
    for key, value in metadata.items():
        out += _gguf_text(key) + _gguf_value(value)
    sizes: list[int] = []
    at = 0
    for name, shape in tensors.items():
        size = _product(shape) * FLOAT_BYTES
        out += _gguf_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, at)
        sizes.append(size)
        at += size + -size % _GGUF_ALIGNMENT
    return _padded(bytes(out)), sizes


def _gguf_text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _gguf_value(value: str | int | Sequence[str]) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _GGUF_STRING) + _gguf_text(value)
    if isinstance(value, int):
        return struct.pack("<II", _GGUF_UINT32, value)
    items = b"".join(_gguf_text(item) for item in value)
    return struct.pack("<IIQ", _GGUF_ARRAY, _GGUF_STRING, len(value)) + items


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _GGUF_ALIGNMENT)


def _product(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


# -- pickle ------------------------------------------------------------------------------------------------------------


def pickle_text(text: str) -> bytes:
    """BINUNICODE."""
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def pickle_number(value: int) -> bytes:
    """BININT."""
    return b"J" + struct.pack("<i", value)


def pickle_global(module: str, name: str) -> bytes:
    """GLOBAL: the import of one name."""
    return f"c{module}\n{name}\n".encode()


def pickle_call(module: str, name: str, argument: str = "echo inert sample") -> bytes:
    """A whole protocol 2 pickle that would call `module.name(argument)` on load: the shape of an attack, inert here."""
    return b"\x80\x02" + pickle_global(module, name) + pickle_text(argument) + b"\x85R."


def state_dict_pickle(tensors: Mapping[str, Sequence[int]]) -> bytes:
    """The `data.pkl` of a torch checkpoint: an ordered dict of float32 tensors with storages `0`, `1` …"""
    empty = pickle_global("collections", "OrderedDict") + b")R"
    out = bytearray(b"\x80\x02" + empty + b"(")
    for index, (name, shape) in enumerate(tensors.items()):
        count = _product(shape)
        strides = [_product(shape[axis + 1 :]) for axis in range(len(shape))]
        storage = (
            b"(" + pickle_text("storage") + pickle_global("torch", "FloatStorage") + pickle_text(str(index))
            + pickle_text("cpu") + pickle_number(count) + b"tQ"
        )  # fmt: skip
        out += pickle_text(name) + pickle_global("torch._utils", "_rebuild_tensor_v2") + b"(" + storage
        out += pickle_number(0) + _pickle_tuple(shape) + _pickle_tuple(strides) + b"\x89" + empty + b"tR"
    return bytes(out) + b"u."


def _pickle_tuple(numbers: Sequence[int]) -> bytes:
    return b"(" + b"".join(pickle_number(n) for n in numbers) + b"t"


def torch_zip(
    tensors: Mapping[str, Sequence[int]], *, data_pkl: bytes | None = None, extra: Mapping[str, bytes] | None = None
) -> bytes:
    """A checkpoint as `torch.save` writes it: a stored zip of `archive/…`. `data_pkl` replaces the honest pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        members = {"data.pkl": state_dict_pickle(tensors) if data_pkl is None else data_pkl, "byteorder": b"little"}
        members |= {f"data/{index}": floats(_product(shape)) for index, shape in enumerate(tensors.values())}
        members |= {"version": b"3\n", ".data/serialization_id": b"0" * 40, **(extra or {})}
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", ZIP_DATE), data)
    return buffer.getvalue()


# -- tables ------------------------------------------------------------------------------------------------------------


def parquet(column: str = "value") -> bytes:
    """A valid Parquet file with one int32 column and no rows (metadata in Thrift's compact protocol)."""
    name = column.encode()
    root = b"\x48" + bytes([6]) + b"schema" + b"\x15\x02\x00"  # field 4 name, field 5 num_children = 1
    leaf = b"\x15\x02\x25\x00\x18" + bytes([len(name)]) + name + b"\x00"  # type INT32, REQUIRED, name
    footer = b"\x15\x04" + b"\x19\x2c" + root + leaf + b"\x16\x00" + b"\x19\x0c" + b"\x00"
    return b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"
