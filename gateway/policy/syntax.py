"""Rego source as a tree: what the loader's checks look at. The parser is regorus' own (`get_ast_as_json`).

A node is `{Kind: {"span": {line, col, start, end}, …}}`; a reference is nested `RefDot` / `RefBrack` around a `Var`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import regorus

from gateway.policy.worker import words

# A dynamic part of a reference (`data.a[x]`).
ANY = None

RefPath = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """One `.rego` file: its path relative to the Rego folder (POSIX), and its text."""

    path: str
    text: str

    @property
    def is_test(self) -> bool:
        return self.path.endswith("_test.rego")


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its kind and its fields, of which `span` is the place."""

    kind: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RuleTree:
    """One rule: `name` is the absolute path of its head (`data`, package, head), static up to the first dynamic part.

    `arity` is None for what is no function. `is_partial_set` tells `name contains x`.
    """

    name: RefPath
    arity: int | None
    is_partial_set: bool
    node: Node

    @property
    def content(self) -> list[Any]:
        """All of the rule but its own name: arguments, key, value, bodies, and what its head has in brackets."""
        fields = self.node.fields
        if self.node.kind == "Default":
            return [fields.get("args") or [], fields["value"]]
        (head,) = fields["head"].values()
        name = as_node(head["refr"])
        assert name is not None
        return [*_inside(name), head.get("args") or [], head.get("key"), head.get("assign"), fields["bodies"]]


@dataclass(slots=True)
class ModuleTree:
    """A parsed module: absolute package path, imports (alias -> absolute path), rules."""

    module: Module
    package: RefPath
    imports: dict[str, RefPath] = field(default_factory=dict)
    rules: list[RuleTree] = field(default_factory=list)

    def place(self, node: Node) -> str:
        """`file:line:col` of where a node begins (its own line and col name an operator inside it)."""
        return self.place_at(node.fields["span"]["start"])

    def place_at(self, offset_bytes: int) -> str:
        before = self.module.text.encode()[:offset_bytes]
        line_start = before.rfind(b"\n") + 1
        return f"{self.module.path}:{before.count(10) + 1}:{len(before[line_start:].decode()) + 1}"


class ParseFailure(Exception):
    """A module that is not Rego: one sentence with file:line:col."""


def parse(module: Module) -> ModuleTree:
    """Parse one module. Raises ParseFailure."""
    engine = regorus.Engine()
    try:
        engine.add_policy(module.path, module.text)
        tree = json.loads(engine.get_ast_as_json())[0]["ast"]
    except RuntimeError as error:
        raise ParseFailure(words(error)) from error
    package = ("data", *path_of(tree["package"]["refr"]))
    result = ModuleTree(module, package)
    for item in tree["imports"]:
        path = path_of(item["refr"])
        if path[0] == "rego" or path[:2] == ("future", "keywords"):
            continue
        alias = word_at(module, item["as"]) if item.get("as") else str(path[-1])
        result.imports[alias] = path
    for rule in tree["rules"]:
        result.rules.append(_rule(rule, package))
    return result


def _rule(raw: dict[str, Any], package: RefPath) -> RuleTree:
    node = as_node(raw)
    assert node is not None
    if node.kind == "Default":
        arguments = node.fields.get("args") or []
        return RuleTree((*package, *_static(path_of(node.fields["refr"]))), len(arguments) or None, False, node)
    ((kind, head),) = node.fields["head"].items()
    name = (*package, *_static(path_of(head["refr"])))
    return RuleTree(name, len(head["args"]) if kind == "Func" else None, kind == "Set", node)


def _static(path: RefPath) -> RefPath:
    return path[: path.index(ANY)] if ANY in path else path


def word_at(module: Module, span: dict[str, int]) -> str:
    """The source text of a span (offsets are bytes)."""
    return module.text.encode()[span["start"] : span["end"]].decode()


def as_node(value: Any) -> Node | None:
    """The node that a JSON value is, or None."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, fields),) = value.items()
        if isinstance(fields, dict) and isinstance(fields.get("span"), dict) and kind[0].isupper():
            return Node(kind, fields)
    return None


def children(value: Any) -> list[Any]:
    """What a JSON value holds that may hold nodes, last first (as a stack wants it)."""
    if isinstance(value, list):
        return [inner for inner in reversed(value) if isinstance(inner, dict | list)]
    return [inner for key, inner in reversed(value.items()) if key != "span" and isinstance(inner, dict | list)]


def nodes(value: Any) -> Iterator[Node]:
    """Every node in a tree, outermost first."""
    todo = [value]
    while todo:
        current = todo.pop()
        node = as_node(current)
        if node is not None:
            yield node
            todo.extend(children(node.fields))
        elif isinstance(current, dict | list):
            todo.extend(children(current))


def path_of(value: Any) -> RefPath:
    """The parts of a reference from its root on; ANY for what is not a constant string. `()` for no reference."""
    parts: list[str | None] = []
    node = as_node(value)
    while node is not None and node.kind in {"RefDot", "RefBrack"}:
        if node.kind == "RefDot":
            parts.append(node.fields["field"][1])
        else:
            index = as_node(node.fields["index"])
            constant = index is not None and index.kind in {"String", "RawString"}
            parts.append(index.fields["value"] if constant and index is not None else ANY)
        node = as_node(node.fields["refr"])
    if node is None or node.kind != "Var":
        return ()
    return (node.fields["value"], *reversed(parts))


@dataclass(frozen=True, slots=True)
class Reference:
    """A variable, reference or callee: its path, its node, and the arguments where it is called (else None)."""

    path: RefPath
    node: Node
    arguments: list[Any] | None


_REFS = frozenset({"Var", "RefDot", "RefBrack"})


def references(value: Any) -> Iterator[Reference]:
    """Every outermost reference in a tree; what stands in its brackets, and its arguments, follow on their own."""
    todo = [value]
    while todo:
        current = todo.pop()
        node = as_node(current)
        if node is None:
            todo.extend(children(current) if isinstance(current, dict | list) else ())
        elif node.kind == "Call":
            yield Reference(path_of(node.fields["fcn"]), node, node.fields["params"])
            todo.extend(reversed(node.fields["params"]))
        elif node.kind in _REFS:
            if path := path_of(current):
                yield Reference(path, node, None)
            todo.extend(_inside(node))
        else:
            todo.extend(children(node.fields))


def _inside(node: Node) -> Iterator[Any]:
    """What a reference holds beside its names: the indices, and a base that is no variable."""
    while node.kind in {"RefDot", "RefBrack"}:
        if node.kind == "RefBrack":
            yield node.fields["index"]
        base = node.fields["refr"]
        inner = as_node(base)
        assert inner is not None
        if inner.kind not in _REFS:
            yield base
        node = inner


def dotted(path: RefPath) -> str:
    """A path for people: `data.gateway.rules[_].deny`."""
    return "".join(f".{p}" if p is not None else "[_]" for p in path).removeprefix(".")
