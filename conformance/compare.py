"""What got worse and what got better between the published matrix and a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from conformance.cells import FAIL, LIMIT, NOT_RUN, PASS, REFUSED

_RANK = {PASS: 3, REFUSED: 2, LIMIT: 2, FAIL: 1, NOT_RUN: 0}


def worse(published: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """One sentence per cell of the run that is worse than what is published: its result, or the words of a refusal."""
    for where, before, now in _pairs(published, found):
        if now is None:
            yield f"{where}: was {before['result']}, has gone"
        elif _RANK[now["result"]] < _RANK[before["result"]]:
            yield f"{where}: was {before['result']}, is {now['result']}: {now.get('detail', '')}"
        elif before["result"] == now["result"] and before["result"] in (LIMIT, REFUSED) and before != now:
            yield f"{where}: the words changed from {before.get('detail')!r} to {now.get('detail')!r}"


def better(published: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """One sentence per cell that is better than what is published, or new."""
    for where, before, now in _pairs(published, found):
        if now and _RANK[now["result"]] > _RANK[before["result"]]:
            yield f"{where}: was {before['result']}, is {now['result']}"
    for where, now, before in _pairs(found, published):
        if before is None:
            yield f"{where}: is new, {now['result']}"


def _pairs(left: dict[str, Any], right: dict[str, Any]) -> Iterator[tuple[str, dict[str, str], Any]]:
    for client, entry in left.items():
        for feature, ways in entry["cells"].items():
            for endpoint, before in ways.items():
                now = right.get(client, {"cells": {}})["cells"].get(feature, {}).get(endpoint)
                yield f"{client} / {feature} / {endpoint}", before, now


def of_clients(matrix: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The part of a matrix that concerns these clients."""
    return {name: matrix[name] for name in names if name in matrix}
