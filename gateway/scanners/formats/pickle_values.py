"""The symbols that stand for values on the unpickler's stack, and the record of what each global was used for."""

from __future__ import annotations

from dataclasses import dataclass, field


class Symbol:
    """A value of which only the kind matters."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind


PLAIN = Symbol("plain")
BYTES = Symbol("bytes")
CONTAINER = Symbol("container")
LONG_TEXT = Symbol("long text")
TUPLE = Symbol("tuple")
PERSISTENT = Symbol("persistent object")


@dataclass(slots=True)
class GlobalUse:
    """One imported name. `uses`: import, call, new, build, arg."""

    module: str
    name: str
    protocol: int
    offset: int
    uses: set[str] = field(default_factory=set)

    @property
    def symbol(self) -> str:
        return f"{self.module}.{self.name}"


class GlobalRef:
    """An imported object on the stack."""

    __slots__ = ("use",)

    def __init__(self, use: GlobalUse) -> None:
        self.use = use

    @property
    def symbol(self) -> str:
        return self.use.symbol


class Nested(tuple[object, ...]):  # noqa: SLOT001 - a tuple cannot have slots that hold something
    """A tuple that holds tuples; `weight` counts the values in it when each is taken apart anew, as hashing does."""

    weight: int


def weight_of(value: object) -> int:
    """How many values a loader visits to hash this one."""
    return value.weight if isinstance(value, Nested) else 1 + len(value) if isinstance(value, tuple) else 1


class Result:
    """What a call gave back; `use` is the global that was called, None where that is not known."""

    __slots__ = ("use",)

    def __init__(self, use: GlobalUse | None) -> None:
        self.use = use

    @property
    def symbol(self) -> str:
        return f"{self.use.symbol}(…)" if self.use else ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a stream of plain data does not do. `rule` names it, `offset` is the opcode's place."""

    rule: str
    offset: int
    symbol: str = ""
