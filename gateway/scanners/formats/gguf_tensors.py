"""Tensor infos of a GGUF file: known types, sane shapes, and extents that cover the data section exactly."""

from __future__ import annotations

from math import prod

from gateway.scanners.formats.gguf_cursor import Cursor, MalformedGguf

_MAX_TENSORS = 1_000_000
_MAX_NAME_BYTES = 256  # ggml's own bound is 64; image models exceed it
_MAX_DIMENSIONS = 8  # ggml reads 4; the rest of the family writes up to 5
_MAX_ELEMENTS = 2**62
_MIN_INFO_BYTES = 8 + 1 + 4 + 8 + 4 + 8

# ggml type -> (elements in a block, bytes of a block), after ggml.h and gguf-py of the ggml project.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74),
    18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2),
    26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 31: (32, 18), 32: (32, 18), 33: (32, 18),
    34: (256, 54), 35: (256, 66), 36: (32, 18), 37: (32, 18), 38: (32, 18), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip


def _padded(length: int, alignment: int) -> int:
    return (length + alignment - 1) // alignment * alignment


def _tensor_bytes(kind: int, shape: list[int]) -> int:
    if kind not in _BLOCKS:
        raise MalformedGguf("a tensor of unknown type")
    block, block_bytes = _BLOCKS[kind]
    elements = prod(shape)
    if elements > _MAX_ELEMENTS:
        raise MalformedGguf("a tensor whose size overflows")
    if (shape[0] if shape else 1) % block:
        raise MalformedGguf("a tensor whose rows are no whole blocks")
    return elements // block * block_bytes


def _read_info(cursor: Cursor, names: set[bytes]) -> tuple[int, int]:
    """(offset, length in bytes) of the next tensor."""
    name = cursor.string(_MAX_NAME_BYTES, "a tensor name")
    if name in names:
        raise MalformedGguf("a tensor name twice")
    if b"\0" in name:
        raise MalformedGguf("a tensor name with a NUL")
    names.add(name)
    dimensions = cursor.u32()
    if dimensions > _MAX_DIMENSIONS:
        raise MalformedGguf("a tensor of more than 8 dimensions")
    shape = [cursor.u64() for _ in range(dimensions)]
    if 0 in shape:
        raise MalformedGguf("a tensor with a dimension of length 0")
    kind, offset = cursor.u32(), cursor.u64()
    return offset, _tensor_bytes(kind, shape)


def check_tensors(cursor: Cursor, count: int, alignment: int) -> list[str]:
    """What is wrong with the layout of the tensor data, as sentences; empty where the extents cover it exactly.

    The cursor stands at the first tensor info. Raises MalformedGguf where the infos themselves cannot be trusted.
    """
    if count > _MAX_TENSORS or count * _MIN_INFO_BYTES > cursor.left:
        raise MalformedGguf("more tensors than the file has room for")
    names: set[bytes] = set()
    extents = sorted(_read_info(cursor, names) for _ in range(count))
    start = _padded(cursor.position, alignment)
    if not extents:
        return ["bytes after the metadata of a file without tensors"] if cursor.size > start else []
    faults, expected, end = [], 0, 0
    for offset, length in extents:
        if offset % alignment:
            faults.append("a tensor that is not aligned")
        elif offset < end:
            faults.append("tensors that overlap")
        elif offset > expected:
            faults.append("bytes between tensors that belong to none")
        end = max(end, offset + length)
        expected = _padded(end, alignment)
    if start + end > cursor.size:
        faults.append("tensor data beyond the end of the file")
    elif cursor.size > start + expected:
        faults.append("bytes after the last tensor")
    return sorted(set(faults))
