"""Where the values of a chat template come from: needed to judge computed keys, sizes and loops without rendering.

Jinja's `x[key]` falls back to `getattr(x, key)`, so a key put together from pieces reaches anything a dunder literal
would. A key is fine where it is a literal, a number, or data of the conversation; it is not where the template makes a
string for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from jinja2 import nodes

_SAFE_KEY_FILTERS = frozenset(
    ("length", "count", "int", "float", "list", "first", "last", "min", "max", "sum", "abs", "round", "items",
    "dictsort",
     "sort", "unique", "select", "reject", "selectattr", "rejectattr", "reverse", "default", "d")
)  # fmt: skip
_PASSES = 50
_NUMERIC_FILTERS = frozenset({"length", "count", "int", "float", "abs", "round", "wordcount"})
_SAFE_KEY_METHODS = frozenset({"items", "keys", "values", "get", "index", "find", "rfind", "count", "copy"})
_NUMERIC_METHODS = frozenset({"index", "find", "rfind", "rindex", "count"})
_LOOP_NUMBERS = frozenset({"index", "index0", "revindex", "revindex0", "length", "depth", "depth0"})


def walk(root: nodes.Node) -> Iterator[nodes.Node]:
    """Every node under `root`, itself included, in the order of the text.

    Without recursion: a sum of 10,000 terms is 10,000 deep.
    """
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(list(node.iter_child_nodes())))


def variable(node: nodes.Node) -> str:
    """The key under which values of a variable or namespace attribute are kept; "" for another expression."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.NSRef):
        return f"{node.name}.{node.attr}"
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        return f"{node.node.name}.{node.attr}"
    return ""


def targets(node: nodes.Node) -> list[str]:
    """The variables that an assignment target binds."""
    if isinstance(node, nodes.Tuple | nodes.List):
        return [name for item in node.items for name in targets(item)]
    return [name] if (name := variable(node)) else []


def _is_namespace_call(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "namespace"


def _namespaces(tree: nodes.Template) -> tuple[frozenset[str], frozenset[int]]:
    """The names that are set to `namespace(…)`, and the ids of nodes by which a namespace could get a second name.

    A namespace is the only value that can be changed in place, so every rule here about where values come from holds
    only as long as each has one name.
    """
    named: set[str] = set()
    plain: set[int] = set()
    for node in walk(tree):
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name) and _is_namespace_call(node.node):
            named.add(node.target.name)
            plain.add(id(node.node))
        elif isinstance(node, nodes.Getattr):
            plain.add(id(node.node))
    loose = {
        id(n)
        for n in walk(tree)
        if id(n) not in plain
        and (_is_namespace_call(n) or (isinstance(n, nodes.Name) and n.ctx == "load" and n.name in named))
    }
    return frozenset(named), frozenset(loose)


class Sources:
    """Every expression that each variable of one template may take its value from."""

    def __init__(self, tree: nodes.Template) -> None:
        self.macros = {n.name: n for n in walk(tree) if isinstance(n, nodes.Macro)}
        self.namespaces, self.loose_namespaces = _namespaces(tree)
        self._of: dict[str, list[nodes.Node]] = defaultdict(list)
        for node in walk(tree):
            self._collect(node)
        self.names = tuple(self._of)
        self._numeric = set(self.names)
        self._made: set[str] = set()
        self._settle()

    def _settle(self) -> None:
        """Decide numeric and made for all variables at once: each pass sees one assignment further.

        What has not come to rest after _PASSES passes is taken as a made string.
        """
        for _ in range(_PASSES):
            not_numeric = {n for n in self._numeric if not all(self.is_numeric(v) for v in self._of[n])}
            self._numeric -= not_numeric
            made = {n for n in self.names if n not in self._made and any(self.makes_a_key(v) for v in self._of[n])}
            self._made |= made
            if not (not_numeric or made):
                return
        self._numeric, self._made = set(), set(self.names)

    def _collect(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Assign | nodes.For):
            value = node.node if isinstance(node, nodes.Assign) else node.iter
            for name in targets(node.target):
                self._of[name].append(value)
                if (
                    isinstance(value, nodes.Call)
                    and isinstance(value.node, nodes.Name)
                    and value.node.name == "namespace"
                ):
                    for keyword in value.kwargs:
                        self._of[f"{name}.{keyword.key}"].append(keyword.value)
        elif isinstance(node, nodes.AssignBlock):
            for name in targets(node.target):
                self._of[name].append(node)  # rendered text: made by the template
        elif isinstance(node, nodes.With):
            for target, value in zip(node.targets, node.values, strict=True):
                for name in targets(target):
                    self._of[name].append(value)
        elif isinstance(node, nodes.Macro):
            for param, default in zip(reversed(node.args), reversed(node.defaults), strict=False):
                self._of[param.name].append(default)
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in self.macros:
            macro = self.macros[node.node.name]
            for param, value in zip(macro.args, node.args, strict=False):
                self._of[param.name].append(value)
            for keyword in node.kwargs:
                self._of[keyword.key].append(keyword.value)

    def of(self, node: nodes.Node) -> list[nodes.Node]:
        """The expressions a variable may hold; empty for a variable of the caller's (messages, tools, bos_token …)."""
        return self.held_by(variable(node))

    def held_by(self, name: str) -> list[nodes.Node]:
        return self._of.get(name, [])

    def is_numeric(self, node: nodes.Node) -> bool:
        """True where the expression cannot be a string."""
        if isinstance(node, nodes.Const):
            return isinstance(node.value, int | float)
        if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "loop":
            return node.attr in _LOOP_NUMBERS
        if isinstance(node, nodes.Filter):
            return node.name in _NUMERIC_FILTERS
        if isinstance(node, nodes.Call):
            return (isinstance(node.node, nodes.Getattr) and node.node.attr in _NUMERIC_METHODS) or (
                isinstance(node.node, nodes.Name) and node.node.name == "range"
            )
        if isinstance(node, nodes.Sub | nodes.Div | nodes.FloorDiv | nodes.Neg | nodes.Pos | nodes.Compare | nodes.Not):
            return True
        if isinstance(node, nodes.Add | nodes.Mul):
            return self.is_numeric(node.left) and self.is_numeric(node.right)
        if isinstance(node, nodes.Mod):
            return self.is_numeric(node.left)
        if isinstance(node, nodes.CondExpr):
            return self.is_numeric(node.expr1) and (node.expr2 is None or self.is_numeric(node.expr2))
        return variable(node) in self._numeric

    def makes_a_key(self, node: nodes.Node | None) -> bool:
        """True where the template itself composes the string that would be used as a key."""
        if node is None or self.is_numeric(node):
            return False
        if isinstance(node, nodes.Const):
            # Dunder literals are findings wherever they stand; a private name is one only as a key.
            return isinstance(node.value, str) and node.value.startswith("_")
        if isinstance(node, nodes.Compare | nodes.Test | nodes.Not | nodes.Slice):
            return False
        if isinstance(node, nodes.Add):
            return not (self.is_numeric(node.left) or self.is_numeric(node.right))
        if isinstance(node, nodes.Mul):
            return self.makes_a_key(node.left) or self.makes_a_key(node.right)
        if isinstance(node, nodes.Filter):
            return node.name not in _SAFE_KEY_FILTERS or any(self.makes_a_key(c) for c in node.iter_child_nodes())
        if isinstance(node, nodes.Call):
            return self._call_makes_a_key(node)
        if isinstance(node, nodes.Getitem):
            return isinstance(node.node, nodes.Const) or self.makes_a_key(node.node)
        if isinstance(node, nodes.List | nodes.Tuple | nodes.Dict | nodes.Pair | nodes.CondExpr | nodes.And | nodes.Or):
            return any(self.makes_a_key(child) for child in node.iter_child_nodes())
        return self._variable_makes_a_key(node)

    def _call_makes_a_key(self, node: nodes.Call) -> bool:
        callee = node.node
        if isinstance(callee, nodes.Name):
            if callee.name not in ("range", "namespace", "dict"):
                return True
            return any(self.makes_a_key(child) for child in (*node.args, *(keyword.value for keyword in node.kwargs)))
        if isinstance(callee, nodes.Getattr) and callee.attr in _SAFE_KEY_METHODS:
            return self.makes_a_key(callee.node) or any(self.makes_a_key(a) for a in node.args)
        return True

    def _variable_makes_a_key(self, node: nodes.Node) -> bool:
        name = variable(node)
        if name in self._of:
            return name in self._made
        if isinstance(node, nodes.Getattr):
            return self.makes_a_key(node.node)
        # A special token comes from the same repo as the template does; every other free name is the caller's data.
        return not isinstance(node, nodes.Name) or name.endswith("_token")
