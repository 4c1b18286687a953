"""What a decision obliges the gateway to: prepared before the answer; an unknown kind means no allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gateway.domain.decision import Decision, Obligation
from gateway.domain.errors import PolicyError

# `hide_paths` and `warn` are carried out by the dialect from `files` and `warnings`; `notify` by the ledger record;
# `serve_last_approved` speaks of a refused revision: refusing it is the stricter reading.
KNOWN = frozenset({"hide_paths", "warn", "max_age_s", "notify", "serve_last_approved"})


def fulfil(decision: Decision, now: datetime) -> Decision:
    """The decision with its obligations carried out as far as they change it.

    Raises PolicyError `pdp/unknown-obligation`, so that nothing is allowed.
    """
    for obligation in decision.obligations:
        if obligation.kind not in KNOWN:
            raise PolicyError(
                f"the policy asks for the obligation {obligation.kind!r}, which this gateway does not know",
                code="pdp/unknown-obligation",
            )
    ages = [_age(o) for o in decision.obligations if o.kind == "max_age_s"]
    return replace(decision, valid_until=earliest([decision.valid_until, *(now + age for age in ages)]))


def earliest(moments: Sequence[datetime | None]) -> datetime | None:
    """The first of the given moments; None where none is given."""
    return min((m for m in moments if m is not None), default=None)


def _age(obligation: Obligation) -> timedelta:
    value = obligation.value
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise PolicyError("the obligation max_age_s is not a whole number of seconds", code="pdp/malformed")
    return timedelta(seconds=value)
