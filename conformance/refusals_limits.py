"""Where no gateway can put its reason into the client's message, and why: each line is proven by the cells it names."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

from conformance.refusals_judging import ABSENCE, BAD, CACHED, CHAIN, MUTE, NOT_RUN, REASON, WAITED, WITHOUT
from conformance.refusals_scenarios import ABSENT, LATE, OUTAGE, WARM, Scenario


@dataclass(frozen=True, slots=True)
class Limit:
    """The cells of these clients, operations, scenarios and caches (globs) that end in `result`, and the client's reason."""

    result: str
    why: str
    clients: str = "*"
    operations: str = "*"
    scenarios: str = "*"
    caches: str = "*"


_OWN_COPY = "the file is in the client's cache under this very commit, so it asks for nothing (hub-protocol §1, 16; §8.3)"

LIMITS = (
    Limit(MUTE, "transformers.js shows the status and the address, never a text (hub-protocol §1, 11)", "js-transformers"),
    Limit(MUTE, "`curl -f` throws the body away; `--fail-with-body` shows it", "curl", "get"),
    Limit(MUTE, "wget shows the status alone; `--content-on-error` shows the body", "wget", "get"),
    Limit(MUTE, "aria2c shows the status alone", "aria2c"),
)  # fmt: skip


def standing(scenario: Scenario, cache: str, result: str, where: tuple[str, str, str]) -> tuple[str, str]:
    """What a cell counts as, and why: ("pass" | "limit" | "fail" | "not run", the client's reason).

    `where`: the names of client, operation and scheme.
    """
    if result == NOT_RUN:
        return "not run", ""
    good = {ABSENT: {ABSENCE}, LATE: {WAITED, REASON}, OUTAGE: {REASON}}.get(scenario.kind, {REASON, WITHOUT})
    if result in good or (scenario.kind == OUTAGE and cache == WARM and result == CACHED):
        return "pass", ""
    limit = explained(scenario.name, cache, result, where)
    return ("limit", limit.why) if limit and result != BAD else ("fail", "")


def explained(scenario: str, cache: str, result: str, where: tuple[str, str, str]) -> Limit | None:
    client, operation, _ = where
    for limit in LIMITS:
        names = ((client, limit.clients), (operation, limit.operations), (scenario, limit.scenarios), (cache, limit.caches))
        if limit.result == result and all(fnmatch(name, pattern) for name, pattern in names):
            return limit
    return None


__all__ = ["CHAIN", "LIMITS", "Limit", "explained", "standing"]
