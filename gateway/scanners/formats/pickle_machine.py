"""Runs a pickle on symbols: every opcode moves the stack as CPython's C unpickler would, nothing is imported or called.

Sources: CPython Modules/_pickle.c and Lib/pickle.py. Where the two differ from `pickletools` the unpickler counts: INT
and LONG take any base, text operands end at a NUL, PROTO may stand anywhere, the protocol last set decides on name
mapping. What a stream does before it breaks has been done: its findings stay, and its end is not "stopped".
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Any

from gateway.scanners.formats.pickle_cursor import MalformedPickle, PickleLimit
from gateway.scanners.formats.pickle_state import Machine, Program
from gateway.scanners.formats.pickle_values import BYTES, CONTAINER, LONG_TEXT, PLAIN, TUPLE, GlobalRef, Result
from gateway.scanners.reader import Reader

MAX_OPCODES = 4_000_000

__all__ = ["MAX_OPCODES", "OpcodeBudget", "Program", "run"]


class OpcodeBudget:
    """Opcodes that all streams of one file may use together."""

    def __init__(self, opcodes: int = MAX_OPCODES) -> None:
        self.opcodes = opcodes


def run(reader: Reader, start: int, budget: OpcodeBudget) -> Program:
    """Follow the stream at `start` to its STOP. Hostile content never raises; errors of the reader do."""
    machine = Machine(reader, start)
    program, cursor, left = machine.program, machine.cursor, budget.opcodes
    try:
        while True:
            if left <= 0:
                program.end = "opcode-budget"
                break
            left -= 1
            machine.at = cursor.offset
            code = cursor.byte()
            if code == 0x2E:
                program.top = machine.pop()
                break
            _TABLE.get(code, _no_opcode)(machine)
    except MalformedPickle:
        program.end = "malformed"
    except PickleLimit:
        program.end = "limit"
    if cursor.straddles:
        machine.event("pickle.frame-straddle")
    if cursor.overruns:
        machine.event("pickle.frame-overrun")
    program.opcodes = budget.opcodes - left
    budget.opcodes = left
    program.end_offset = cursor.offset
    return program


def _no_opcode(_m: Machine) -> None:
    raise MalformedPickle("no such opcode, or the stream has no STOP")


def _proto(m: Machine) -> None:
    version = m.cursor.byte()
    if not 0 <= version <= 5:
        raise MalformedPickle("unknown protocol")
    m.program.protocol = version


def _frame(m: Machine) -> None:
    m.cursor.frame(m.cursor.number(8))


def _int(m: Machine) -> None:
    raw = m.cursor.line()
    if raw is not None and raw[:1] == b"\0":
        m.doubt()  # for the C unpickler an empty number is 0; the pure one raises
        m.push(PLAIN)
    else:
        m.push(PLAIN if raw is None or raw in {b"00", b"01"} else m.integer(raw, 0))


def _long(m: Machine) -> None:
    raw = m.cursor.line()
    m.push(PLAIN if raw is None else m.integer(raw.split(b"\0", 1)[0].removesuffix(b"L"), 0))


def _long1(m: Machine, length: int) -> None:
    if length > 16:
        m.blob(length, PLAIN)
    else:
        m.push(int.from_bytes(m.cursor.take(length), "little", signed=True))


def _signed_length(m: Machine) -> int:
    value: int = struct.unpack("<i", m.cursor.take(4))[0]
    if value < 0:
        raise MalformedPickle("negative length")
    return value


def _float(m: Machine) -> None:
    raw = m.cursor.line()
    try:
        float(raw.split(b"\0", 1)[0] if raw is not None else b"0")
    except ValueError as error:
        raise MalformedPickle("not a number") from error
    m.push(PLAIN)


def _string(m: Machine) -> None:
    line = m.cursor.line()
    if line is None:
        m.push(LONG_TEXT)
        return
    raw = line.rstrip()
    if len(raw) < 2 or raw[0] != raw[-1] or raw[:1] not in {b"'", b'"'}:
        raise MalformedPickle("STRING without quotes")
    try:
        value: bytes = codecs.escape_decode(raw[1:-1])[0]
    except ValueError as error:
        raise MalformedPickle("STRING with a broken escape") from error
    m.legacy_string(value)


def _binstring(m: Machine) -> None:
    _legacy_blob(m, _signed_length(m))


def _legacy_blob(m: Machine, length: int) -> None:
    if length > 1024:
        m.blob(length, LONG_TEXT)
    else:
        m.legacy_string(m.cursor.take(length))


def _unicode(m: Machine) -> None:
    raw = m.cursor.line()
    text = None if raw is None else m.decoded(raw, "raw-unicode-escape")
    m.push(LONG_TEXT if text is None or len(text) > 1024 else text)


def _global(m: Machine) -> None:
    module = m.line_text()
    m.push(m.import_global(module, m.line_text()))


def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    m.push(m.import_global(module, name))


def _inst(m: Machine) -> None:
    module = m.line_text()
    target = m.import_global(module, m.line_text())
    args = m.pop_mark()
    m.note_args(args)
    m.push(m.call(target, tuple(args) if len(args) <= 16 else TUPLE, "call"))


def _obj(m: Machine) -> None:
    items = m.pop_mark()
    if not items:
        raise MalformedPickle("OBJ without a class")
    m.note_args(items[1:])
    m.push(m.call(items[0], tuple(items[1:]) if len(items) <= 17 else TUPLE, "call"))


def _reduce(m: Machine) -> None:
    args, target = m.pop(), m.pop()
    m.push(m.call(target, args, "call"))


def _newobj(m: Machine) -> None:
    args, target = m.pop(), m.pop()
    m.push(m.call(target, args, "new"))


def _newobj_ex(m: Machine) -> None:
    kwargs, args, target = m.pop(), m.pop(), m.pop()
    if kwargs is not CONTAINER and not isinstance(kwargs, Result):
        m.doubt()
    m.push(m.call(target, args, "new"))


def _extension(size: int) -> Callable[[Machine], None]:
    def handler(m: Machine) -> None:
        m.event("pickle.extension", str(m.cursor.number(size)))
        m.push(Result(None))

    return handler


def _persid(m: Machine) -> None:
    raw = m.cursor.line()
    m.persistent(LONG_TEXT if raw is None else m.decoded(raw, "ascii"))


def _out_of_band(m: Machine) -> None:
    m.event("pickle.out-of-band")
    m.push(BYTES)


def _append(m: Machine) -> None:
    value = m.pop()
    m.fill([value])


def _setitem(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    m.fill([key, value], pairs=True)


def _dict(m: Machine) -> None:
    items = m.pop_mark()
    if len(items) % 2:
        m.doubt()
    _container(m, items)


def _container(m: Machine, items: list[Any]) -> None:
    m.note_args(items)
    m.push(CONTAINER)


def _tuple_of(count: int) -> Callable[[Machine], None]:
    def handler(m: Machine) -> None:
        m.make_tuple([m.pop() for _ in range(count)][::-1])

    return handler


def _memoize(m: Machine) -> None:
    m.put(len(m.memo))


def _readonly(m: Machine) -> None:
    if isinstance(m.peek(), GlobalRef):
        m.doubt()


# fmt: off
_TABLE: dict[int, Callable[[Machine], None]] = {ord(code): handler for code, handler in {
    "\x80": _proto, "\x95": _frame,
    "(": Machine.mark, "0": Machine.drop, "1": lambda m: m.note_args(m.pop_mark()), "2": lambda m: m.push(m.peek()),
    "N": lambda m: m.push(PLAIN), "\x88": lambda m: m.push(PLAIN), "\x89": lambda m: m.push(PLAIN),
    "I": _int, "L": _long, "F": _float, "G": lambda m: m.blob(8, PLAIN),
    "J": lambda m: m.push(int.from_bytes(m.cursor.take(4), "little", signed=True)),
    "K": lambda m: m.push(m.cursor.number(1)), "M": lambda m: m.push(m.cursor.number(2)),
    "\x8a": lambda m: _long1(m, m.cursor.number(1)), "\x8b": lambda m: m.blob(_signed_length(m), PLAIN),
    "S": _string, "T": _binstring, "U": lambda m: _legacy_blob(m, m.cursor.number(1)), "V": _unicode,
    "X": lambda m: m.text(m.cursor.number(4)), "\x8c": lambda m: m.text(m.cursor.number(1)),
    "\x8d": lambda m: m.text(m.cursor.number(8)),
    "B": lambda m: m.blob(m.cursor.number(4)), "C": lambda m: m.blob(m.cursor.number(1)),
    "\x8e": lambda m: m.blob(m.cursor.number(8)), "\x96": lambda m: m.blob(m.cursor.number(8)),
    "\x97": _out_of_band, "\x98": _readonly,
    "c": _global, "\x93": _stack_global, "i": _inst, "o": _obj, "R": _reduce, "\x81": _newobj, "\x92": _newobj_ex,
    "b": Machine.build, "P": _persid, "Q": lambda m: m.persistent(m.pop()),
    "\x82": _extension(1), "\x83": _extension(2), "\x84": _extension(4),
    "]": lambda m: m.push(CONTAINER), "}": lambda m: m.push(CONTAINER), "\x8f": lambda m: m.push(CONTAINER),
    ")": lambda m: m.push(()), "t": lambda m: m.make_tuple(m.pop_mark()),
    "\x85": _tuple_of(1), "\x86": _tuple_of(2), "\x87": _tuple_of(3),
    "l": lambda m: _container(m, m.pop_mark()), "d": _dict, "\x91": lambda m: _container(m, m.pop_mark()),
    "a": _append, "e": lambda m: m.fill(m.pop_mark()), "s": _setitem,
    "u": lambda m: m.fill(m.pop_mark(), pairs=True), "\x90": lambda m: m.fill(m.pop_mark()),
    "p": lambda m: m.put(m.memo_key()), "q": lambda m: m.put(m.cursor.number(1)),
    "r": lambda m: m.put(m.cursor.number(4)), "\x94": _memoize,
    "g": lambda m: m.get(m.memo_key()), "h": lambda m: m.get(m.cursor.number(1)),
    "j": lambda m: m.get(m.cursor.number(4)),
}.items()}
# fmt: on
