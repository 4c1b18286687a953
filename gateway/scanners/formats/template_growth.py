"""What grows without a large number in it: text that doubles, macros that call macros, macros that call themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from math import prod

from jinja2 import nodes

from gateway.scanners.formats.template_cost import Sizes
from gateway.scanners.formats.template_flow import Sources, targets, variable, walk

MAX_GROWTH = 65_536
_Holds = Callable[[str], bool]


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
    if isinstance(node, nodes.Filter) and node.name in ("length", "count"):
        return 0
    if isinstance(node, nodes.Getitem):
        return _copies(node.node, holds)
    if isinstance(node, nodes.Mul):
        return 2 * (_copies(node.left, holds) + _copies(node.right, holds))
    copies = sum(_copies(child, holds) for child in node.iter_child_nodes())
    return copies * 2 if _grows_by_replace(node) else copies


def _grows_by_replace(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name == "replace" and _replacement_grows(node)
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        return node.node.attr == "replace" and _replacement_grows(node)
    return False


def _replacement_grows(node: nodes.Filter | nodes.Call) -> bool:
    if len(node.args) != 2:
        return True
    old, new = node.args
    if isinstance(old, nodes.Const) and isinstance(new, nodes.Const):
        return len(str(new.value)) > len(str(old.value))
    return True


class _Assignments:
    """All assignments of a template, and which variables feed which."""

    def __init__(self, tree: nodes.Template) -> None:
        self.values: dict[str, list[nodes.Node]] = defaultdict(list)
        self.repeated: set[int] = set()  # ids of values that are computed again and again: within loops and macros
        for node in walk(tree):
            if isinstance(node, nodes.Assign | nodes.AssignBlock):
                node_value = node.node if isinstance(node, nodes.Assign) else nodes.Concat(_outputs(node))
                for name in targets(node.target):
                    self.values[name].append(node_value)
        for scope in walk(tree):
            if isinstance(scope, nodes.For | nodes.Macro):
                inner = {
                    t for n in walk(scope) if isinstance(n, nodes.Assign | nodes.AssignBlock) for t in targets(n.target)
                }
                self.repeated.update(id(v) for name in inner for v in self.values[name])
        self.feeds = {
            n: {variable(x) for v in vs for x in walk(v)} & self.values.keys() for n, vs in self.values.items()
        }
        self.above = {name: _reachable(name, self.feeds) for name in self.values}

    def cycle(self, name: str) -> frozenset[str]:
        """The variables that feed `name` and are fed by it."""
        return frozenset(other for other in self.above[name] if name in self.above.get(other, ()))

    def growth(self, name: str, memo: dict[str, int]) -> int:
        """How many copies of one input the variable may hold when each statement runs once."""
        if name not in memo:
            memo[name] = 1
            group = self.cycle(name) | {name}
            values = [v for member in group for v in self.values[member]]
            inner = prod(max(1, _copies(v, group.__contains__) - _split_pairs(v)) for v in values)
            outer = max((self._outer(v, group, memo) for v in values), default=1)
            memo[name] = min(inner * max(1, outer), MAX_GROWTH + 1)
        return memo[name]

    def _outer(self, value: nodes.Node, group: frozenset[str], memo: dict[str, int]) -> int:
        names = {variable(n) for n in walk(value)} & self.values.keys() - group
        return sum(_copies(value, {name}.__contains__) * self.growth(name, memo) for name in names)


def growth_faults(tree: nodes.Template) -> Iterator[str]:
    """Values that double: line by line, or in each round of a loop (where only a namespace keeps a value)."""
    assignments = _Assignments(tree)
    memo: dict[str, int] = {}
    for name, held in assignments.values.items():
        cycle = assignments.cycle(name)
        kept = any("." in member for member in cycle)
        if kept and any(
            id(v) in assignments.repeated and _copies(v, cycle.__contains__) - _split_pairs(v) > 1 for v in held
        ):
            yield "a value that doubles in each round of a loop"
            return
        if assignments.growth(name, memo) > MAX_GROWTH:
            yield "a value put together from more than 65,536 copies of itself"
            return


def _split_pairs(value: nodes.Node) -> int:
    """How many times the value is split and put together again, as in `s[:i] ~ "</think>" ~ s[i:]`: no copy is made."""
    if any(isinstance(n, nodes.Mul) or _grows_by_replace(n) for n in walk(value)):
        return 0
    slices = [(n.node, n.arg) for n in walk(value) if isinstance(n, nodes.Getitem) and isinstance(n.arg, nodes.Slice)]
    heads = [(whole, cut.stop) for whole, cut in slices if cut.start is None and cut.stop is not None]
    tails = [(whole, cut.start) for whole, cut in slices if cut.stop is None and cut.start is not None]
    pairs = 0
    for tail in tails:
        if tail in heads:
            heads.remove(tail)
            pairs += 1
    return pairs


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


def macro_faults(sources: Sources, sizes: Sizes) -> Iterator[str]:
    """Macros that call macros that call macros, until one call is more than 65,536 calls."""
    weights: dict[str, int] = {}
    for name in sources.macros:
        if _macro_weight(name, sources, sizes, weights, frozenset()) > MAX_GROWTH:
            yield "macros that multiply into more than 65,536 calls"
            return


def _macro_weight(
    name: str, sources: Sources, sizes: Sizes, weights: dict[str, int], open_calls: frozenset[str]
) -> int:
    if name in open_calls:
        return 0  # recursion is judged by recursion_faults
    if name not in weights:
        weight = 1
        pending: list[tuple[nodes.Node, int]] = [(child, 1) for child in sources.macros[name].iter_child_nodes()]
        while pending:
            node, rounds = pending.pop()
            if isinstance(node, nodes.For):
                rounds *= sizes.rounds(node.iter)
            if callee := _macro_called(node, sources):
                weight += rounds * _macro_weight(callee, sources, sizes, weights, open_calls | {name})
            pending.extend((child, rounds) for child in node.iter_child_nodes())
        weights[name] = min(weight, MAX_GROWTH + 1)
    return weights[name]


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
