"""The forms of Rego on which the engines differ, or that hide mistakes (rego.md §5, with the evidence there)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.policy.syntax import ModuleTree, Node, as_node, dotted, nodes, path_of, word_at

_INTEGER = re.compile(r"-?[0-9]{1,19}\Z")
_VERB = re.compile(r"%(.?)", re.DOTALL)
_STUCK = re.compile(r"[^*/.:,{]\*\*")


def find(tree: ModuleTree) -> Iterator[str]:
    """Every banned form in a module, one sentence each with its place."""
    for rule in tree.rules:
        if rule.is_partial_set and len(rule.name) - len(tree.package) > 1:
            yield f"{tree.place(rule.node)}: `a.b contains x`: regorus has no partial set at a dotted name"
        for node in nodes(rule.node.fields):
            for what in _node(node, tree):
                yield f"{tree.place(node)}: {what}"
        yield from _unused(rule.node.fields, tree)


def _node(node: Node, tree: ModuleTree) -> Iterator[str]:
    if node.kind == "UnaryExpr":
        yield "unary minus on an expression: the engines read it differently; subtract from 0"
    elif node.kind == "Number":
        literal = word_at(tree.module, node.fields["span"])
        if not _INTEGER.match(literal) or not -(2**63) <= int(literal) < 2**63:
            yield f"{literal}: only integers of 64 bit mean the same in both engines"
    elif node.kind == "NotExpr":
        yield from _negated(as_node(node.fields["expr"]))
    elif node.kind == "Call":
        check = _CALLS.get(dotted(path_of(node.fields["fcn"])))
        if check is not None:
            yield from check(node.fields["params"])


def _negated(asked: Node | None) -> Iterator[str]:
    """Only for the type tests: elsewhere the tree does not tell whether the argument is sure to be there."""
    if asked is None or asked.kind != "Call" or not asked.fields["params"]:
        return
    name, argument = dotted(path_of(asked.fields["fcn"])), as_node(asked.fields["params"][0])
    if name.startswith("is_") and argument is not None and argument.kind in {"RefDot", "RefBrack"}:
        yield (
            f"`not {name}(…)` of a reference: where that is missing OPA drops the whole body; write object.get(…, null)"
        )


def _walk(arguments: list[Any]) -> Iterator[str]:
    target = as_node(arguments[1]) if len(arguments) == 2 else None
    if target is None or target.kind != "Array" or len(target.fields["items"]) != 2:
        yield "walk must be written `walk(x, [path, value])`: every other form is silently empty in regorus"


def _glob(arguments: list[Any]) -> Iterator[str]:
    if len(arguments) < 3:
        return
    pattern, delimiters = _literal(arguments[0]), as_node(arguments[1])
    if pattern is not None and _STUCK.search(pattern):
        yield f"the glob {pattern!r} sticks `**` to text: regorus and OPA differ; write `*` or `/**`"
    if delimiters is not None and (delimiters.kind == "Null" or delimiters.fields.get("items") == []):
        yield "glob.match needs its delimiters written out"


def _sprintf(arguments: list[Any]) -> Iterator[str]:
    if len(arguments) < 2:
        return
    template, values = _literal(arguments[0]), as_node(arguments[1])
    if template is None:
        yield "sprintf needs its format as a literal"
        return
    verbs = [verb for verb in _VERB.findall(template) if verb != "%"]
    for verb in verbs:
        if verb not in {"s", "d", "v"}:
            yield f"sprintf `%{verb}`: only %s, %d and %v mean the same in both engines"
    if values is not None and values.kind == "Array" and len(values.fields["items"]) != len(verbs):
        yield f"sprintf has {len(verbs)} verb(s) and {len(values.fields['items'])} value(s)"


_CALLS = {"walk": _walk, "glob.match": _glob, "sprintf": _sprintf}


def _literal(value: Any) -> str | None:
    node = as_node(value)
    return str(node.fields["value"]) if node is not None and node.kind in {"String", "RawString"} else None


def _unused(value: Any, tree: ModuleTree) -> Iterator[str]:
    """A declared variable that is never used: OPA does not compile it."""
    todo: list[Any] = [value]
    while todo:
        current = todo.pop()
        if isinstance(current, list):
            todo.extend(current)
            for position, statement in enumerate(current):
                literal = statement.get("literal") if isinstance(statement, dict) else None
                if isinstance(literal, dict):
                    yield from _unused_in(literal, [*current[position + 1 :], value], tree)
        elif isinstance(current, dict):
            todo.extend(current.values())


def _unused_in(literal: dict[str, Any], scope: list[Any], tree: ModuleTree) -> Iterator[str]:
    if "Every" in literal:
        every = literal["Every"]
        spans, scope = [s for s in (every["key"], every["value"]) if s], [every["query"]]
    elif "SomeVars" in literal:
        spans = literal["SomeVars"]["vars"]
    else:
        return
    used = {str(n.fields["value"]) for n in nodes(scope) if n.kind == "Var"}
    for span in spans:
        name = word_at(tree.module, span)
        if name != "_" and name not in used:
            yield f"{tree.place_at(span['start'])}: {name} is declared and never used; write _"
