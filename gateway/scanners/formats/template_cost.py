"""Bounds on what rendering a chat template could cost, read from its syntax tree: sizes, loops, growth and
recursion."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator

from jinja2 import nodes

from gateway.scanners.formats.template_flow import Sources, targets, variable, walk

MAX_INTEGER = 1_000_000
MAX_REPEAT = 10_000
MAX_ITERATIONS = 1_000_000
MAX_RANGE = 100_000
MAX_LOOP_DEPTH = 8
MAX_FILTER_INTEGER = 10_000

_WIDE_STRFTIME = re.compile(r"%[-_0^#+]*\d{3,}")
_Holds = Callable[[str], bool]


def _literal_size(sources: Sources, node: nodes.Node, seen: frozenset[str] = frozenset()) -> int:
    """Upper bound of a number as far as the template itself sets it; the caller's own data counts as 1."""
    if isinstance(node, nodes.Const):
        if isinstance(node.value, int | float) and math.isfinite(node.value):
            return abs(int(node.value)) + 1
        return int(node.value[:12]) if isinstance(node.value, str) and node.value[:12].isdecimal() else 1
    if isinstance(node, nodes.Mul):
        return _literal_size(sources, node.left, seen) * _literal_size(sources, node.right, seen)
    if isinstance(node, nodes.Add | nodes.Sub):
        return _literal_size(sources, node.left, seen) + _literal_size(sources, node.right, seen)
    if isinstance(node, nodes.Filter) and node.name in ("length", "count"):
        return 1
    name = variable(node)
    if name:
        held = [] if name in seen else sources.of(node)
        return max((_literal_size(sources, value, seen | {name}) for value in held), default=1)
    return max((_literal_size(sources, child, seen) for child in node.iter_child_nodes()), default=1)


def _is_call_of(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == name


def _range_size(sources: Sources, node: nodes.Node, seen: frozenset[str] = frozenset()) -> int:
    """How many items a loop over the expression has, as far as the template itself sets it."""
    if _is_call_of(node, "range"):
        assert isinstance(node, nodes.Call)
        return max((_literal_size(sources, argument) for argument in node.args), default=1)
    name = variable(node)
    if name and name not in seen:
        return max((_range_size(sources, value, seen | {name}) for value in sources.of(node)), default=1)
    return max((_range_size(sources, c, seen) for c in node.iter_child_nodes()), default=1) if not name else 1


def size_faults(tree: nodes.Template, sources: Sources) -> Iterator[str]:
    """Literals, ranges and repetitions that are larger than any conversation needs."""
    for node in walk(tree):
        if isinstance(node, nodes.Const):
            if isinstance(node.value, int | float) and not -MAX_INTEGER <= node.value <= MAX_INTEGER:
                yield "a number over 1,000,000"
            if isinstance(node.value, str) and _WIDE_STRFTIME.search(node.value):
                yield "a format with a width of three or more digits"
        elif isinstance(node, nodes.Mul) and _literal_size(sources, node) > MAX_REPEAT:
            yield "a multiplication over 10,000"
        elif _is_call_of(node, "range") and _range_size(sources, node) > MAX_RANGE:
            yield "a range over 100,000"
        elif isinstance(node, nodes.Filter):
            numbers = [n.value for n in walk(node) if isinstance(n, nodes.Const) and isinstance(n.value, int)]
            if any(abs(number) > MAX_FILTER_INTEGER for number in numbers):
                yield "a filter with a number over 10,000"


def loop_faults(tree: nodes.Template, sources: Sources) -> Iterator[str]:
    """Loops nested too deep, or whose literal sizes multiply to more than 1,000,000."""
    pending: list[tuple[nodes.Node, int, int]] = [(tree, 0, 1)]
    while pending:
        node, depth, iterations = pending.pop()
        if isinstance(node, nodes.For):
            depth, iterations = depth + 1, iterations * _range_size(sources, node.iter)
            if depth > MAX_LOOP_DEPTH:
                yield "loops nested more than 8 deep"
                return
            if iterations > MAX_ITERATIONS:
                yield "nested loops over 1,000,000 rounds"
                return
            if node.recursive:
                yield "a recursive loop"
        pending.extend((child, depth, iterations) for child in node.iter_child_nodes())


def _copies(node: nodes.Node | None, holds: _Holds) -> int:
    """How many copies of a variable that `holds` accepts the value of an expression may contain."""
    if node is None:
        return 0
    name = variable(node)
    if name:
        return int(holds(name))
    if isinstance(node, nodes.CondExpr):
        return max(_copies(node.expr1, holds), _copies(node.expr2, holds))
    if isinstance(node, nodes.And | nodes.Or):
        return max(_copies(node.left, holds), _copies(node.right, holds))
    if isinstance(node, nodes.Compare | nodes.Test | nodes.Not | nodes.Sub | nodes.Const):
        return 0
    if isinstance(node, nodes.Mul):
        return 2 * (_copies(node.left, holds) + _copies(node.right, holds))
    copies = sum(_copies(child, holds) for child in node.iter_child_nodes())
    replaces = (isinstance(node, nodes.Filter) and node.name == "replace") or (
        isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr == "replace"
    )
    if isinstance(node, nodes.Filter | nodes.Call) and replaces and _replacement_grows(node):
        copies *= 2
    return copies


def _replacement_grows(node: nodes.Filter | nodes.Call) -> bool:
    if len(node.args) != 2:
        return True
    old, new = node.args
    if isinstance(old, nodes.Const) and isinstance(new, nodes.Const):
        return len(str(new.value)) > len(str(old.value))
    return True


def growth_faults(tree: nodes.Template) -> Iterator[str]:
    """Assignments within loops or macros that may double their own value each round (2^n bytes after n rounds)."""
    values: dict[str, list[nodes.Node]] = defaultdict(list)
    for scope in walk(tree):
        if isinstance(scope, nodes.For | nodes.Macro):
            for node in walk(scope):
                if isinstance(node, nodes.Assign | nodes.AssignBlock):
                    bodies = [node.node] if isinstance(node, nodes.Assign) else [nodes.Concat(_outputs(node))]
                    for name in targets(node.target):
                        values[name] = [*[v for v in values[name] if v not in bodies], *bodies]
    feeds = {name: {variable(n) for v in held for n in walk(v)} & values.keys() for name, held in values.items()}
    for name, held in values.items():
        above = _reachable(name, feeds)
        cycle = {other for other in above if name in _reachable(other, feeds)}
        if any(_copies(value, cycle.__contains__) > 1 for value in held):
            yield "a value that doubles in each round of a loop"
            return


def _outputs(block: nodes.AssignBlock) -> list[nodes.Expr]:
    return [
        e for n in walk(block) if isinstance(n, nodes.Output) for e in n.nodes if not isinstance(e, nodes.TemplateData)
    ]


def _reachable(start: str, feeds: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    pending = list(feeds.get(start, ()))
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending.extend(feeds.get(name, ()))
    return reached


def recursion_faults(sources: Sources) -> Iterator[str]:
    """Macros that call themselves without going down into data (schemas recurse into `param.items`; a bomb counts)."""
    calls = {name: [c for c in walk(macro) if _macro_called(c, sources)] for name, macro in sources.macros.items()}
    graph = {name: {_macro_called(c, sources) for c in made} for name, made in calls.items()}
    for name, made in calls.items():
        for call in made:
            callee = _macro_called(call, sources)
            if (callee == name or name in _reachable(callee, graph)) and not _descends(call, sources):
                yield "a macro that calls itself without going down into data"
                return


def _macro_called(node: nodes.Node, sources: Sources) -> str:
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in sources.macros:
        return node.node.name
    return ""


def _descends(call: nodes.Node, sources: Sources) -> bool:
    """True where an argument is a part of something: an attribute, an item, or a loop's variable."""
    assert isinstance(call, nodes.Call)
    for argument in [*call.args, *(k.value for k in call.kwargs)]:
        for node in walk(argument):
            if isinstance(node, nodes.Getattr | nodes.Getitem):
                return True
            if isinstance(node, nodes.Name) and node.name in _loop_variables(sources):
                return True
    return False


def _loop_variables(sources: Sources) -> set[str]:
    return {n for m in sources.macros.values() for f in walk(m) if isinstance(f, nodes.For) for n in targets(f.target)}
