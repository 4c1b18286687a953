"""Refuses recursion, of rules and of functions: OPA does not compile it, regorus dies of it (rego.md §2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.policy.locals_of import declared
from gateway.policy.names import Table
from gateway.policy.syntax import ModuleTree, RefPath, RuleTree, dotted, references


def find(trees: Sequence[ModuleTree], table: Table) -> list[str]:
    """One sentence per cycle, with the place of the rule in which it was entered."""
    edges: dict[RefPath, set[RefPath]] = {}
    where: dict[RefPath, tuple[ModuleTree, RuleTree]] = {}
    for tree in trees:
        for rule in tree.rules:
            where.setdefault(rule.name, (tree, rule))
            own = declared(tree, rule)
            for reference in references(rule.content):
                # A call is never of a local variable: a local of that name must not hide it.
                if not reference.path or (reference.arguments is None and reference.path[0] in own):
                    continue
                target = table.absolute(reference.path, tree)
                if target is not None:
                    edges.setdefault(rule.name, set()).update(table.matches(target))
    found = []
    for cycle in _cycles(edges):
        tree, rule = where[cycle[0]]
        found.append(f"{tree.place(rule.node)}: recursion: {' -> '.join(dotted(p[1:]) for p in (*cycle, cycle[0]))}")
    return found


def _cycles(edges: Mapping[RefPath, set[RefPath]]) -> list[tuple[RefPath, ...]]:
    """Depth first without Python's stack; each back edge is one cycle."""
    found: list[tuple[RefPath, ...]] = []
    done: set[RefPath] = set()
    for root in edges:
        trail: list[RefPath] = []
        on_trail: set[RefPath] = set()
        todo: list[tuple[RefPath, bool]] = [(root, False)]
        while todo:
            current, leaving = todo.pop()
            if leaving:
                on_trail.discard(trail.pop())
                done.add(current)
            elif current in on_trail:
                found.append(tuple(trail[trail.index(current) :]))
            elif current not in done:
                trail.append(current)
                on_trail.add(current)
                todo.append((current, True))
                todo.extend((target, False) for target in sorted(edges.get(current, ()), key=str))
    return found
