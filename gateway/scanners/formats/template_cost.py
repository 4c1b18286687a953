"""Bounds on what rendering a chat template could cost, read from its syntax tree: sizes, loops, growth and
recursion."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from jinja2 import nodes

from gateway.scanners.formats.template_flow import Sources, variable, walk

MAX_INTEGER = 1_000_000
MAX_REPEAT = 10_000
MAX_ITERATIONS = 1_000_000
MAX_RANGE = 100_000
MAX_LOOP_DEPTH = 8
MAX_FILTER_INTEGER = 10_000

_PASSES = 20
_CAP = 10**12

_WIDE_STRFTIME = re.compile(r"%[-_0^#+]*\d{3,}")


def _is_call_of(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == name


class Sizes:
    """Upper bounds of numbers and of loop lengths as far as the template itself sets them.

    The caller's own data counts as 1. Variables are settled in a fixed number of passes, so a counter in a loop ends.
    """

    def __init__(self, sources: Sources) -> None:
        self._numbers: dict[str, int] = {}
        self._rounds: dict[str, int] = {}
        for _ in range(_PASSES):
            for name in sources.names:
                held = sources.held_by(name)
                self._numbers[name] = max((self.number(v) for v in held), default=1)
                self._rounds[name] = max((self.rounds(v) for v in held), default=1)

    def number(self, node: nodes.Node) -> int:
        """How large the value of an expression may be, at least 1, at most _CAP."""
        return min(self._number(node), _CAP)

    def _number(self, node: nodes.Node) -> int:
        if isinstance(node, nodes.Const):
            if isinstance(node.value, int | float) and math.isfinite(node.value):
                return abs(int(node.value)) + 1
            return int(node.value[:12]) if isinstance(node.value, str) and node.value[:12].isdecimal() else 1
        if isinstance(node, nodes.Mul):
            return self.number(node.left) * self.number(node.right)
        if isinstance(node, nodes.Add | nodes.Sub):
            return self.number(node.left) + self.number(node.right)
        if isinstance(node, nodes.Filter) and node.name in ("length", "count"):
            return 1
        if name := variable(node):
            return self._numbers.get(name, 1)
        return max((self.number(child) for child in node.iter_child_nodes()), default=1)

    def rounds(self, node: nodes.Node) -> int:
        """How many items a loop over the expression has."""
        if _is_call_of(node, "range"):
            assert isinstance(node, nodes.Call)
            return max((self.number(argument) for argument in node.args), default=1)
        if name := variable(node):
            return self._rounds.get(name, 1)
        return max((self.rounds(child) for child in node.iter_child_nodes()), default=1)


def size_faults(tree: nodes.Template, sizes: Sizes) -> Iterator[str]:
    """Literals, ranges and repetitions that are larger than any conversation needs."""
    for node in walk(tree):
        if isinstance(node, nodes.Const):
            if isinstance(node.value, int | float) and not -MAX_INTEGER <= node.value <= MAX_INTEGER:
                yield "a number over 1,000,000"
            if isinstance(node.value, str) and _WIDE_STRFTIME.search(node.value):
                yield "a format with a width of three or more digits"
        elif isinstance(node, nodes.Mul) and sizes.number(node) > MAX_REPEAT:
            yield "a multiplication over 10,000"
        elif _is_call_of(node, "range") and sizes.rounds(node) > MAX_RANGE:
            yield "a range over 100,000"
        elif isinstance(node, nodes.Filter):
            arguments = [*node.args, *(keyword.value for keyword in node.kwargs)]
            numbers = [a.value for a in arguments if isinstance(a, nodes.Const) and isinstance(a.value, int)]
            if any(abs(number) > MAX_FILTER_INTEGER for number in numbers):
                yield "a filter with a number over 10,000"


def loop_faults(tree: nodes.Template, sizes: Sizes) -> Iterator[str]:
    """Loops nested too deep, or whose literal sizes multiply to more than 1,000,000."""
    pending: list[tuple[nodes.Node, int, int]] = [(tree, 0, 1)]
    while pending:
        node, depth, iterations = pending.pop()
        if isinstance(node, nodes.For):
            depth, iterations = depth + 1, iterations * sizes.rounds(node.iter)
            if depth > MAX_LOOP_DEPTH:
                yield "loops nested more than 8 deep"
                return
            if iterations > MAX_ITERATIONS:
                yield "nested loops over 1,000,000 rounds"
                return
            if node.recursive:
                yield "a recursive loop"
        pending.extend((child, depth, iterations) for child in node.iter_child_nodes())
