"""Every name in the policy must mean something: packages at their paths, calls and references to what exists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath
from typing import Any

from gateway.policy.capabilities import ARITIES
from gateway.policy.data_layers import DATA_ROOTS
from gateway.policy.locals_of import declared, implicit
from gateway.policy.syntax import ANY, ModuleTree, Reference, RefPath, RuleTree, dotted, references

ENTRYPOINT: RefPath = ("data", "gateway", "decision")

# Names that regorus does not read as part of a package or rule path (rego.md §5).
KEYWORDS = frozenset(
    "as contains default else every false if import in not null package some true with".split()  # noqa: SIM905
)


class Table:
    """All rules, functions and packages of a set of modules, by absolute path."""

    def __init__(self, trees: Sequence[ModuleTree]) -> None:
        self.packages = {tree.package for tree in trees}
        self.rules: dict[RefPath, list[RuleTree]] = {}
        self.arities: dict[RefPath, set[int]] = {}
        self._below: dict[RefPath, set[RefPath]] = {}
        for tree in trees:
            for rule in tree.rules:
                self.rules.setdefault(rule.name, []).append(rule)
                if rule.arity is not None:
                    self.arities.setdefault(rule.name, set()).add(rule.arity)
                for length in range(1, len(rule.name) + 1):
                    self._below.setdefault(rule.name[:length], set()).add(rule.name)

    def absolute(self, path: RefPath, tree: ModuleTree) -> RefPath | None:
        """The path from `data` on that a name in a module stands for; None for a local, `input` or a built-in."""
        root = path[0]
        if root == "data":
            return path
        if root in tree.imports:
            target = tree.imports[str(root)] + path[1:]
            return target if target[0] == "data" else None
        own = (*tree.package, root)
        return tree.package + path if own in self._below else None

    def matches(self, path: RefPath) -> set[RefPath]:
        """The rules that a reference can touch: itself, above or below; a dynamic part touches every name."""
        if ANY in path:
            return {name for name in self.rules if all(a in (b, ANY) for a, b in zip(path, name, strict=False))}
        above = {path[:n] for n in range(1, len(path)) if path[:n] in self.rules}
        return above | self._below.get(path, set())


def placement(tree: ModuleTree) -> Iterator[str]:
    """A module's package follows from its path, and holds no keyword."""
    expected = _packages_at(tree.module.path)
    if tree.package not in expected:
        names = " or ".join(dotted(p[1:]) for p in sorted(expected, key=len))
        yield f"{tree.module.path}:1:1: its package is {dotted(tree.package[1:])}; at this path it must be {names}"
    for name in {*tree.package, *(part for rule in tree.rules for part in rule.name)}:
        if name in KEYWORDS:
            yield f"{tree.module.path}:1:1: {name} is a keyword; packages and rules need another name"


def _packages_at(path: str) -> set[RefPath]:
    """`lib/text.rego` -> gateway.lib, gateway.lib.text; `…_test.rego` the same with `_test` at the end."""
    pure = PurePosixPath(path)
    folders = tuple(part.replace("-", "_") for part in pure.parts[:-1])
    root: tuple[str, ...] = ("data",) if folders[:1] == ("system",) else ("data", "gateway")
    folder = (*root, *folders)
    if not path.endswith("_test.rego"):
        return {folder, (*folder, pure.stem)}
    return {(*folder[:-1], f"{folder[-1]}_test"), (*folder, pure.stem)}


def shared_packages(trees: Sequence[ModuleTree]) -> Iterator[str]:
    """One package per file: two files of one package can conflict, and only at evaluation."""
    seen: dict[RefPath, str] = {}
    for tree in trees:
        other = seen.setdefault(tree.package, tree.module.path)
        if other != tree.module.path:
            yield f"{tree.module.path}:1:1: {other} has the package {dotted(tree.package[1:])} already"
    for tree in trees:
        for rule in tree.rules:
            for length in range(len(tree.package) + 1, len(rule.name) + 1):
                if rule.name[:length] in seen:
                    yield (
                        f"{tree.place(rule.node)}: the rule {dotted(rule.name[1:])} lies on the package of"
                        f" {seen[rule.name[:length]]}"
                    )


def entrypoint(table: Table) -> Iterator[str]:
    if ENTRYPOINT not in table.rules:
        yield "no module defines data.gateway.decision, the entrypoint of the policy contract"


def resolve(tree: ModuleTree, table: Table, allowed: AbstractSet[str]) -> Iterator[str]:
    """Every call and reference of a module that means nothing, or what policies may not call."""
    for alias, path in tree.imports.items():
        if path[0] not in {"data", "input"}:
            yield f"{tree.module.path}:1:1: import {dotted(path)} as {alias} is neither data nor input"
        elif path[0] == "data" and (mistake := _unknown(path, table)):
            yield f"{tree.module.path}:1:1: import {mistake}"
    for rule in tree.rules:
        own, loose = declared(tree, rule), implicit(rule)
        for reference in references(rule.content):
            mistake = (
                _reference(reference, tree, table, own, loose)
                if reference.arguments is None
                else _call(reference, reference.arguments, tree, table, allowed)
            )
            if mistake is None and rule.arity is not None and not tree.module.is_test:
                mistake = _by_alias(reference, tree, table, own)
            if mistake:
                yield f"{tree.place(reference.node)}: {mistake}"


def _call(
    reference: Reference, arguments: list[Any], tree: ModuleTree, table: Table, allowed: AbstractSet[str]
) -> str | None:
    if not reference.path:
        return "a computed value is called like a function"
    target = table.absolute(reference.path, tree)
    name = dotted(reference.path)
    if target is None:
        if name not in allowed:
            return f"{name} is neither a function of this library nor in capabilities.json"
        arities = {ARITIES[name]} if name in ARITIES else set()
    else:
        arities = table.arities.get(target, set())
        if not arities:
            return f"no function is named {dotted(target)}"
    count = len(arguments)
    if arities and not arities & {count, count - 1}:  # one argument more binds the result
        return f"{name} takes {_counts(arities)}, not {count}"
    return None


def _counts(arities: set[int]) -> str:
    return " or ".join(str(n) for n in sorted(arities)) + " argument(s)"


def _reference(
    reference: Reference, tree: ModuleTree, table: Table, own: AbstractSet[str], loose: AbstractSet[str]
) -> str | None:
    root = reference.path[0]
    if root in own or root in {"_", "input"}:
        return None
    target = table.absolute(reference.path, tree)
    if target is not None:
        return _unknown(target, table)
    if root in loose or root in tree.imports:
        return None
    return f"{root} is no variable, rule or import here"


def _by_alias(reference: Reference, tree: ModuleTree, table: Table, own: AbstractSet[str]) -> str | None:
    """In a function regorus reads another package's rule as undefined where it is named by the import's alias.

    Not asked of tests: there an undefined value is a failure that everybody sees.
    """
    root = reference.path[0]
    if reference.arguments is not None or root in own or root not in tree.imports:
        return None
    target = tree.imports[str(root)] + reference.path[1:]
    if not any(rule.arity is None for name in table.matches(target) for rule in table.rules[name]):
        return None
    name = dotted(reference.path)
    return f"a function reads the rule {name} by an alias, undefined in regorus at times; write {dotted(target)}"


def _unknown(path: RefPath, table: Table) -> str | None:
    """A reference below `data` must lie in a data root, or touch a rule."""
    if len(path) == 1 or path[1] is ANY:
        return "all of data is asked for; name the root"
    if path[1] in DATA_ROOTS:
        return None
    if any(package[: len(path)] == path for package in table.packages) or table.matches(path):
        return None
    return f"{dotted(path)} names no rule, package or data root"
