"""Where no gateway can put its reason into the client's message, and why: each line is proven by the cells it names."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

from conformance.refusals_judging import ABSENCE, BAD, CACHED, CHAIN, MUTE, NOT_RUN, REASON, TOLD, WAITED, WITHOUT
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


_OWN_COPY = (
    "the file is in the client's cache under this very commit, so it asks for nothing (hub-protocol §1, 16; §8.3)"
)

LIMITS = (
    Limit(MUTE, "transformers.js shows the status and the address, never a text (hub-protocol §1, 11)", "js-transformers"),
    Limit(CACHED, "transformers.js takes what its cache holds and asks for nothing", "js-transformers", caches=WARM),
    Limit(MUTE, "`curl -f` throws the body away; `--fail-with-body` shows it", "curl", "get"),
    Limit(MUTE, "wget shows the status alone; `--content-on-error` shows the body", "wget", "get"),
    Limit(MUTE, "aria2c shows the status alone", "aria2c"),
    Limit(CACHED, _OWN_COPY, scenarios="file", caches=WARM),
    Limit(CACHED, _OWN_COPY, scenarios="file-of-two", caches=WARM),
    Limit(CACHED, _OWN_COPY, scenarios="hidden", caches=WARM),
    Limit(CACHED, _OWN_COPY, operations="snapshot", scenarios="gated", caches=WARM),
    Limit(
        CACHED, "whoever may not see a private repo is told that there is none (P7), and clients answer that from their cache "
        "(hub-protocol §1, 14)", scenarios="private", caches=WARM,
    ),
    Limit(
        MUTE, "it asks for the listing first, and a hidden file stands in none", operations="filesystem", scenarios="hidden"
    ),
    Limit(CHAIN, "an error that may pass on HEAD is told as a broken connection (hub-protocol §8.1)", scenarios="hub-down"),
    Limit(
        CHAIN, "before a revision is judged nothing of it is shown, so HEAD and listing are refused too, in a form that may pass "
        "(design §5), and the client tells that as a broken connection (hub-protocol §8.1)", scenarios="engine-down*",
    ),
    Limit(MUTE, "0.36 retries a 5xx five times and then shows the status alone (hub-protocol §1, 10)", "hub-0.36.2", scenarios="hub-down"),
    Limit(MUTE, "0.36 retries a 5xx five times and then shows the status alone (hub-protocol §1, 10)", "transformers-4", scenarios="hub-down"),
    Limit(MUTE, "datasets keeps the first line of the broken connection and loses the rest (hub-protocol §8.2)", "datasets", scenarios="hub-down"),
    Limit(MUTE, "datasets keeps the first line of the broken connection and loses the rest (hub-protocol §8.2)", "datasets", scenarios="engine-down-new"),
    Limit(CACHED, _OWN_COPY, "diffusers", scenarios="gated", caches=WARM),
    Limit(CACHED, _OWN_COPY, "transformers-5", scenarios="gated", caches=WARM),
    Limit(CACHED, "after any error datasets uses the copy that it prepared earlier, and says so in its log", "datasets", caches=WARM),
)  # fmt: skip


def standing(scenario: Scenario, cache: str, result: str, where: tuple[str, str, str]) -> tuple[str, str]:
    """What a cell counts as, and why: ("pass" | "limit" | "fail" | "not run", the client's reason).

    `where`: the names of client, operation and scheme.
    """
    if result == NOT_RUN:
        return "not run", ""
    good = {ABSENT: {ABSENCE}, LATE: {WAITED, TOLD}, OUTAGE: {REASON}}.get(scenario.kind, {REASON, TOLD, WITHOUT})
    if result in good or (scenario.kind == OUTAGE and cache == WARM and result == CACHED):
        return "pass", ""
    limit = explained(scenario.name, cache, result, where)
    return ("limit", limit.why) if limit and result != BAD else ("fail", "")


def explained(scenario: str, cache: str, result: str, where: tuple[str, str, str]) -> Limit | None:
    client, operation, _ = where
    for limit in LIMITS:
        names = (
            (client, limit.clients),
            (operation, limit.operations),
            (scenario, limit.scenarios),
            (cache, limit.caches),
        )
        if limit.result == result and all(fnmatch(name, pattern) for name, pattern in names):
            return limit
    return None
