"""Random pickle streams for comparing the symbolic machine with CPython's unpicklers. Only inert names, only inert objects."""

from __future__ import annotations

import io
import pickle
import random
import struct
from typing import Any

# No name holds "r", "B" or "T": shifted by a mutation they would be opcodes that make the real unpicklers allocate gigabytes.
NAMES = ["alpha", "beta", "gamma.delta", "deque", "system"]
MODULES = ["module", "module.sub", "collections", "os", "__builtin__"]


class Inert:
    """Stands for whatever a stream imports: takes every call and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return Inert()

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None: ...

    def extend(self, value: Any) -> None: ...

    def add(self, value: Any) -> None: ...


class InertMeta(type):
    """A class object that may also be filled and built, as an imported class may be."""

    def __setitem__(cls, key: Any, value: Any) -> None: ...


def _imported(names: list[tuple[str, str]]) -> Any:
    class Loader:
        def find_class(self, module: str, name: str) -> Any:
            names.append((module, name))
            return InertMeta("Imported", (Inert,), {})

        def persistent_load(self, pid: Any) -> Any:
            return Inert()

    return Loader


def load_c(data: bytes) -> tuple[list[tuple[str, str]], bool]:
    """The names that the C unpickler asks for, and whether it reaches STOP."""
    names: list[tuple[str, str]] = []
    loader = type("C", (_imported(names), pickle.Unpickler), {})
    return names, _runs(loader, data)


def load_python(data: bytes) -> tuple[list[tuple[str, str]], bool]:
    """The same of the pure Python unpickler."""
    names: list[tuple[str, str]] = []
    loader = type("P", (_imported(names), pickle._Unpickler), {})  # type: ignore[attr-defined]
    return names, _runs(loader, data)


def _runs(loader: Any, data: bytes) -> bool:
    try:
        loader(io.BytesIO(data)).load()
    except Exception:  # an unpickler may raise anything on noise; what counts is that this one did not run to its end
        return False
    return True


def stream(seed: int) -> bytes:
    """One random stream: mostly sensible opcodes, so that many of them get far."""
    rng = random.Random(seed)
    out = bytearray()
    if rng.random() < 0.7:
        out += b"\x80" + bytes([rng.choice([0, 1, 2, 3, 4, 4, 5])])
    for _ in range(rng.randrange(1, 40)):
        out += _piece(rng)
        if rng.random() < 0.25:
            out += rng.choice([b")R", b")\x81", b"}b", b"\x85", b"\x86", b"0", b"2", b"\x94"])
    out += b"."
    if rng.random() < 0.2:
        at = rng.randrange(len(out))
        out[at] = rng.choice([c for c in range(256) if c not in b"rBTX\x8b\x8d\x8e\x96"])
    return bytes(out)


def _text(rng: random.Random) -> bytes:
    return rng.choice(MODULES + NAMES).encode()


def _piece(rng: random.Random) -> bytes:
    module, name = rng.choice(MODULES).encode(), rng.choice(NAMES).encode()
    text = _text(rng)
    short = b"\x8c" + bytes([len(text)]) + text
    pieces = [
        lambda: b"c" + module + b"\n" + name + b"\n",
        lambda: b"\x8c" + bytes([len(module)]) + module + b"\x8c" + bytes([len(name)]) + name + b"\x93",
        lambda: b"(" + short + b"i" + module + b"\n" + name + b"\n",
        lambda: b"(c" + module + b"\n" + name + b"\n" + short + b"o",
        lambda: short,
        lambda: b"X" + struct.pack("<I", len(text)) + text,
        lambda: b"V" + text + b"\n",
        lambda: b"S" + rng.choice([b"'", b'"']) + text + rng.choice([b"'", b'"']) + b"\n",
        lambda: b"U" + bytes([len(text)]) + text,
        lambda: b"I" + rng.choice([b"1", b"0x10", b"00", b"01", b"0b1", b" 7", b"1_0", b"zz", b"-3", b"1\x00x"]) + b"\n",
        lambda: b"L" + rng.choice([b"1L", b"0x1L", b"5", b"L", b"1LL"]) + b"\n",
        lambda: b"F" + rng.choice([b"1.5", b"nan", b"x"]) + b"\n",
        lambda: b"K" + bytes([rng.randrange(256)]),
        lambda: b"p" + str(rng.randrange(4)).encode() + b"\n",
        lambda: b"q" + bytes([rng.randrange(4)]),
        lambda: b"g" + str(rng.randrange(4)).encode() + b"\n",
        lambda: b"h" + bytes([rng.randrange(4)]),
        lambda: b"\x94",
        lambda: b"\x80" + bytes([rng.randrange(6)]),
        lambda: b"\x95" + struct.pack("<Q", rng.randrange(12)),
        lambda: b"C\x03abc",
        lambda: b"Pname\n",
        lambda: b"Q",
        lambda: b"\x96" + struct.pack("<Q", 2) + b"ab",
        *[lambda code=code: code for code in (b"(", b"0", b"1", b"2", b"N", b")", b"t", b"]", b"}", b"\x8f")],
        *[lambda code=code: code for code in (b"\x85", b"\x86", b"\x87", b"l", b"d", b"\x91", b"a", b"e", b"s", b"u")],
        *[lambda code=code: code for code in (b"\x90", b"R", b"\x81", b"\x92", b"b", b"\x98", b"\x88", b"(", b"N", b")R")],
    ]  # fmt: skip
    return rng.choice(pieces)()
