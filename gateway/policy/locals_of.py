"""The variables of a rule: those it declares, and those that only stand where Rego binds them silently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.policy.capabilities import ARITIES
from gateway.policy.syntax import ModuleTree, RuleTree, as_node, children, dotted, nodes, path_of, references, word_at


def declared(tree: ModuleTree, rule: RuleTree) -> frozenset[str]:
    """Arguments, `:=`, `=`, `some` and `every` variables, over the whole rule."""
    found: set[str] = set()
    head = rule.node.fields.get("head")
    arguments = rule.node.fields.get("args") or (next(iter(head.values())).get("args") if head else None) or []
    found.update(pattern_names(arguments))
    for node in nodes(rule.node.fields):
        found.update(_declared_by(node.kind, node.fields, tree))
    for statement in _statements(rule.node.fields):
        for kind, literal in statement["literal"].items():
            found.update(_declared_by(kind, literal, tree))
    return frozenset(found)


def _declared_by(kind: str, fields: dict[str, Any], tree: ModuleTree) -> Iterator[str]:
    if kind == "AssignExpr":
        yield from pattern_names(fields["lhs"])
        if fields["op"] == "Eq":
            yield from pattern_names(fields["rhs"])
    elif kind == "SomeIn":
        yield from pattern_names([fields["key"], fields["value"]])
    elif kind == "SomeVars":
        yield from (word_at(tree.module, span) for span in fields["vars"])
    elif kind == "Every":
        yield from (word_at(tree.module, span) for span in (fields["key"], fields["value"]) if span)


def implicit(rule: RuleTree) -> frozenset[str]:
    """Names that are bound by standing in brackets (`x[i]`), or in a built-in's place for its result."""
    found: set[str] = set()
    for node in nodes(rule.node.fields):
        if node.kind == "RefBrack":
            found.update(pattern_names(node.fields["index"]))
    for reference in references(rule.content):
        arguments = reference.arguments
        if arguments and ARITIES.get(dotted(reference.path)) == len(arguments) - 1:
            found.update(pattern_names(arguments[-1]))
    return frozenset(found)


def pattern_names(value: Any) -> Iterator[str]:
    """The variables that a pattern (variable, array, object, nested) binds."""
    todo = [value]
    while todo:
        current = todo.pop()
        if isinstance(current, list):
            todo.extend(current)
            continue
        node = as_node(current)
        if node is None:
            continue
        if node.kind == "Var":
            yield str(path_of(current)[0])
        elif node.kind == "Array":
            todo.extend(node.fields["items"])
        elif node.kind == "Object":
            todo.extend(field[2] for field in node.fields["fields"])


def _statements(value: Any) -> Iterator[dict[str, Any]]:
    todo = [value]
    while todo:
        current = todo.pop()
        if isinstance(current, dict) and "literal" in current:
            yield current
        todo.extend(children(current))
