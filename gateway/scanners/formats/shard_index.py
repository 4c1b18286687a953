"""Shard indexes (`*.index.json`): `weight_map` names the files that a loader opens next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.domain.evidence import Finding, FindingClass, Severity
from gateway.scanners.formats.printable import printable

_PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_PLAIN = re.compile(r"[A-Za-z0-9_][\w.\-]*(?:/[A-Za-z0-9_][\w.\-]*)*\Z", re.ASCII)
_MAX_NAMED = 20


def weight_map_findings(value: Any, where: str) -> Iterator[Finding]:
    """Findings of one `weight_map`: a value that is no plain relative path is traversal, critical.

    A pickle shard is noted (class policy, info): the shard itself is judged when it is fetched.
    """
    if not isinstance(value, dict) or not all(isinstance(target, str) for target in value.values()):
        message = "a weight_map that is no table of file names"
        yield Finding("json.weight-map", FindingClass.AMBIGUITY, Severity.HIGH, message, where)
        return
    targets = sorted(set(value.values()))
    hostile = [t for t in targets if not _PLAIN.match(t) or ".." in t.split("/") or "\n" in t]
    for target in hostile[:_MAX_NAMED]:
        message = "a shard index that names a path outside the repository, or no plain file name"
        yield Finding("json.weight-map", FindingClass.TRAVERSAL, Severity.CRITICAL, message, where, printable(target))
    if any(target.lower().endswith(_PICKLE_SUFFIXES) for target in targets):
        message = "a shard index that names pickle files"
        yield Finding("json.pickle-shards", FindingClass.POLICY, Severity.INFO, message, where)
