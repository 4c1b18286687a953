"""The state of an unpickler, on symbols: stack, marks, memo, and what imports, calls and builds do to them.

Source: CPython Modules/_pickle.c and Lib/pickle.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from gateway.scanners.formats.pickle_cursor import Cursor, MalformedPickle, PickleLimit
from gateway.scanners.formats.pickle_values import (
    BYTES,
    CONTAINER,
    LONG_TEXT,
    PERSISTENT,
    TUPLE,
    Event,
    GlobalRef,
    GlobalUse,
    Nested,
    Result,
    weight_of,
)
from gateway.scanners.reader import Reader

MAX_MARKS = 100_000
MAX_TEXT = 1024
MAX_KEPT_TUPLE = 16
MAX_ALLOCATION = 1 << 28
PLAIN_CODECS = frozenset({"latin1", "latin-1", "ascii", "utf-8", "utf8", "iso-8859-1"})
MAX_WEIGHT = 20_000_000
MAX_PERSISTENT_IDS = 200_000

_INT = re.compile(rb"\s*[+-]?(0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)\s*\Z")


@dataclass(slots=True)
class Program:
    """What one stream does. `end`: "stopped", or why it was not followed further; `end_offset`: the byte after it.

    `doubts`: places where one unpickler goes on and another refuses.
    """

    globals: dict[tuple[str, str], GlobalUse] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    persistent_ids: list[Any] = field(default_factory=list)
    end: str = "stopped"
    end_offset: int = 0
    opcodes: int = 0
    protocol: int = 0
    doubts: int = 0
    top: Any = None


def _unrolls(argument: Result, name: str) -> bool:
    """A short description of something long, given to what writes it out: a range to a list, a decimal to an int."""
    made_by = argument.use.name if argument.use else ""
    return (made_by == "range" and name != "range") or (made_by in {"Decimal", "Fraction"} and name in {"int", "range"})


class Machine:
    """The unpickler's state and what opcodes are made of. Raises MalformedPickle where an unpickler would raise."""

    def __init__(self, reader: Reader, start: int) -> None:
        self.cursor = Cursor(reader, start)
        self.program = Program()
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.at = start

    # --- stack ---------------------------------------------------------------------------------------------------

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise MalformedPickle("stack underflow")
        return self.stack.pop()

    def peek(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise MalformedPickle("stack underflow")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            raise MalformedPickle("no mark")
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        if len(self.marks) >= MAX_MARKS:
            raise PickleLimit("too many marks")
        self.marks.append(len(self.stack))

    def drop(self) -> None:
        """POP: removes a mark where the mark is on top."""
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.pop()

    # --- what acts -----------------------------------------------------------------------------------------------

    def event(self, rule: str, symbol: str = "") -> None:
        if len(self.program.events) < 1000:
            self.program.events.append(Event(rule, self.at, symbol))

    def doubt(self) -> None:
        """One unpickler refuses this, another may not: go on, and do not call the stream sound."""
        self.program.doubts += 1

    def import_global(self, module: Any, name: Any) -> Any:
        """GLOBAL, STACK_GLOBAL and INST: a name becomes an object."""
        if not isinstance(module, str) or not isinstance(name, str):
            if isinstance(module, int) or isinstance(name, int):
                raise MalformedPickle("a global's name is no string")
            self.event("pickle.computed-name")
            return Result(None)
        key = (module, name)
        use = self.program.globals.get(key)
        if use is None:
            if len(self.program.globals) >= 10_000:
                raise PickleLimit("too many globals")
            use = GlobalUse(module, name, self.program.protocol, self.at)
            self.program.globals[key] = use
        use.protocol = min(use.protocol, self.program.protocol)
        use.uses.add("import")
        return GlobalRef(use)

    def call(self, target: Any, args: Any, use: str) -> Any:
        if not isinstance(args, tuple | Result) and args is not TUPLE:
            self.doubt()
        if isinstance(args, tuple):
            self.note_args(args)
        if isinstance(target, GlobalRef):
            target.use.uses.add(use)
            self.check_arguments(target.use, args)
            return Result(target.use)
        if isinstance(target, Result):
            self.event("pickle.computed-callable", target.symbol)
            return Result(None)
        if target is PERSISTENT:
            self.event("pickle.computed-callable", "persistent object")
            return Result(None)
        self.doubt()
        return Result(None)

    def check_arguments(self, use: GlobalUse, args: Any) -> None:
        """Names that are harmless only with plain arguments."""
        if use.name == "encode":
            codec = args[1] if isinstance(args, tuple) and len(args) == 2 else None
            if not isinstance(codec, str) or codec not in PLAIN_CODECS:
                self.event("pickle.codec", use.symbol)
        elif use.name in {"bytearray", "bytes"}:
            size = args[0] if isinstance(args, tuple) and len(args) == 1 else 0
            if isinstance(size, int) and size > MAX_ALLOCATION:
                self.event("pickle.allocation", use.symbol)
        if isinstance(args, tuple) and any(isinstance(a, Result) and _unrolls(a, use.name) for a in args):
            self.event("pickle.expansion", use.symbol)

    def note_args(self, values: Any) -> None:
        for value in values:
            if value.__class__ is GlobalRef:
                value.use.uses.add("arg")

    def build(self) -> None:
        state, target = self.pop(), self.peek()
        self.note_args((state,))
        if isinstance(target, GlobalRef):
            target.use.uses.add("build")
            self.event("pickle.build-on-global", target.symbol)
        elif isinstance(target, Result):
            if target.use is not None:
                target.use.uses.add("build")
        elif target is PERSISTENT:
            self.event("pickle.build-on-global", "persistent object")
        else:
            self.doubt()

    def fill(self, items: list[Any], pairs: bool = False) -> None:
        """APPEND(S), SETITEM(S), ADDITEMS: put values into the container on top."""
        target = self.peek()
        if pairs and len(items) % 2:
            self.doubt()
        self.note_args(items)
        if isinstance(target, GlobalRef):
            self.event("pickle.method-on-global", target.symbol)
        elif target is PERSISTENT:
            self.event("pickle.method-on-global", "persistent object")
        elif target is not CONTAINER and not isinstance(target, Result):
            self.doubt()

    def persistent(self, pid: Any) -> None:
        if len(self.program.persistent_ids) >= MAX_PERSISTENT_IDS:
            raise PickleLimit("too many persistent ids")
        self.program.persistent_ids.append(pid)
        self.push(PERSISTENT)

    # --- operands ------------------------------------------------------------------------------------------------

    def text(self, length: int) -> None:
        if length > MAX_TEXT:
            self.cursor.skip(length)
            self.push(LONG_TEXT)
            return
        try:
            self.push(self.cursor.take(length).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            raise MalformedPickle("text is not UTF-8") from error

    def blob(self, length: int, value: Any = BYTES) -> None:
        self.cursor.skip(length)
        self.push(value)

    def legacy_string(self, raw: bytes) -> None:
        """STRING and BINSTRING: bytes that the loader decodes by an encoding of its choice."""
        self.push(raw.decode("ascii") if len(raw) <= MAX_TEXT and raw.isascii() else LONG_TEXT)

    def make_tuple(self, items: list[Any]) -> None:
        self.note_args(items)
        if any(isinstance(item, tuple) for item in items):
            nested = Nested(items[:MAX_KEPT_TUPLE])
            nested.weight = min(sum(weight_of(item) for item in items), 2 * MAX_WEIGHT)
            if nested.weight > MAX_WEIGHT:
                self.event("pickle.expansion")
            self.push(nested)
        else:
            self.push(tuple(items) if len(items) <= MAX_KEPT_TUPLE else TUPLE)

    def line_text(self, encoding: str = "utf-8") -> str:
        return self.decoded(self.cursor.short_line(), encoding)

    def decoded(self, raw: bytes, encoding: str) -> str:
        try:
            return raw.decode(encoding)
        except (UnicodeDecodeError, ValueError) as error:
            raise MalformedPickle("text operand is not decodable") from error

    def integer(self, raw: bytes, base: int) -> int:
        raw = raw.split(b"\0", 1)[0]
        if not _INT.match(raw):
            raise MalformedPickle("not a number")
        try:
            return int(raw, base) if len(raw) <= 24 else 1 << 80
        except ValueError:
            return 1 << 80  # a leading zero: octal for C, refused by Python; no value depends on it

    def memo_key(self) -> int:
        key = self.integer(self.cursor.short_line(), 10)
        if key < 0:
            raise MalformedPickle("negative memo key")
        return key

    def put(self, key: int) -> None:
        if key > len(self.memo) + (1 << 24):
            self.event("pickle.memo-index")
        self.memo[key] = self.peek()

    def get(self, key: int) -> None:
        if key not in self.memo:
            raise MalformedPickle("memo entry was never stored")
        self.push(self.memo[key])
