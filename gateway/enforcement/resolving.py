"""Ref -> commit, and all facts of a revision: remembered, and served stale while the hub is down."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog
from cachetools import TLRUCache, TTLCache

from gateway.clock import Clock, rfc3339
from gateway.domain.artifact import Repo
from gateway.domain.errors import (
    StoreError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamThrottled,
    UpstreamUnavailable,
)
from gateway.domain.evidence import Snapshot
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.codec import snapshot_from_json, snapshot_to_json
from gateway.ports import Facts, Resolved, Upstream

# Snapshots in memory are bounded by the files they list. The largest that the hub's listing may have must fit: to read
# one again for each of its files would keep the loop busy for seconds each time.
_HELD_FILES = 250_000
TOO_LARGE = "store/fact-invalid"  # of `Facts`: more than one fact may hold; the listing is fetched again when needed
_STALE_AFTER_S = 3.0  # a client waits 10 s for a HEAD; with an older answer at hand the hub gets less
_log = structlog.get_logger("resolving")


@dataclass(frozen=True, slots=True)
class Known:
    """A snapshot and the fingerprint of its policy-relevant facts: a decision binds to it, so that changed facts
    (a repo that became gated, a new verdict of the hub) are decided anew. Counters are left out: they move hourly.
    `believed_s`: how much longer the facts are believed, from when they were put in memory."""

    snapshot: Snapshot
    fingerprint: str
    believed_s: float = 0.0

    @property
    def code_paths(self) -> tuple[str, ...]:
        """Every Python file of the revision, by name."""
        paths = (file.entry.path for file in self.snapshot.revision.files)
        return tuple(path for path in paths if path.lower().endswith(".py"))


def fingerprint(snapshot: Snapshot) -> str:
    """sha256 over the facts of a snapshot, without download and like counters and the hub's raw JSON."""
    bare = replace(snapshot, repo=replace(snapshot.repo, downloads=0, likes=0, last_modified=""), info={}, tree=())
    return hashlib.sha256(json.dumps(snapshot_to_json(bare), sort_keys=True).encode()).hexdigest()


def _weight(known: Known) -> int:
    return 100 + len(known.snapshot.revision.files)


class Resolving:
    """`ref_ttl_s`: how long a mutable ref is believed; `facts_ttl_s`: how long the facts of a revision are;
    `max_stale`: how old both may be while the hub is down."""

    def __init__(
        self,
        upstream: Upstream,
        facts: Facts,
        flights: SingleFlight,
        clock: Clock,
        *,
        ref_ttl_s: float,
        facts_ttl_s: float,
        max_stale: timedelta,
    ) -> None:
        self._upstream = upstream
        self._facts = facts
        self._flights = flights
        self._clock = clock
        self._max_stale = max_stale
        self.facts_ttl_s = facts_ttl_s
        self.ref_ttl_s = ref_ttl_s
        self._refs: TTLCache[tuple[Repo, str], Resolved] = TTLCache(50_000, ref_ttl_s, time.monotonic)
        self._absent: TTLCache[tuple[Repo, str], UpstreamNotFound | UpstreamRefused] = TTLCache(
            10_000, min(ref_ttl_s, 10.0), time.monotonic
        )
        self._snapshots: TLRUCache[tuple[Repo, str, Resolved], Known] = TLRUCache(
            _HELD_FILES, lambda _, known, now_s: now_s + known.believed_s, time.monotonic, getsizeof=_weight
        )

    async def resolve(self, repo: Repo, ref: str) -> Resolved:
        """Where `ref` points now. Raises UpstreamError."""
        key = (repo, ref)
        if (known := self._refs.get(key)) is not None:
            return known
        if (absent := self._absent.get(key)) is not None:
            raise absent.with_traceback(None)
        return await self._flights.do(("ref", key), lambda: self._resolve(repo, ref))

    async def _resolve(self, repo: Repo, ref: str) -> Resolved:
        stored = f"{repo.hub}|{repo}|{ref}"
        stale = self._still_good(await self._facts.get("ref", stored))
        try:
            async with asyncio.timeout(None if stale is None else _STALE_AFTER_S):
                resolved = await self._upstream.resolve(repo, ref)
        except (UpstreamNotFound, UpstreamRefused) as error:
            self._absent[repo, ref] = error
            raise
        except (UpstreamUnavailable, UpstreamThrottled, TimeoutError):
            if stale is None:
                raise
            _log.warning("ref.stale", repo=str(repo), ref=ref, commit=stale.commit)
            self._refs[repo, ref] = stale
            return stale
        self._refs[repo, ref] = resolved
        now = self._clock.now()
        await self._facts.put(
            "ref", stored, {"commit": resolved.commit, "access": resolved.access, "at_s": now.timestamp()}
        )
        return resolved

    def _still_good(self, value: Any) -> Resolved | None:
        if not isinstance(value, dict):
            return None
        age_s = self._clock.now().timestamp() - float(value.get("at_s", 0))
        if abs(age_s) > self._max_stale.total_seconds():  # from the future: the clock was set back
            return None
        return Resolved(str(value["commit"]), str(value["access"]))

    async def snapshot(self, repo: Repo, ref: str, resolved: Resolved) -> Known:
        """All facts of one revision, with our own first-seen clock. Raises UpstreamError."""
        key = (repo, ref, resolved)
        if (known := self._snapshots.get(key)) is not None:
            return known
        return await self._flights.do(("snapshot", key), lambda: self._snapshot(repo, ref, resolved))

    async def _snapshot(self, repo: Repo, ref: str, resolved: Resolved) -> Known:
        snapshot, age_s = await self._fetch(repo, ref, resolved)
        seen_key = snapshot.repo.stable_key or f"{repo.hub}|{repo}"
        first_seen = await self._facts.put_if_absent("first_seen", seen_key, rfc3339(self._clock.now()))
        facts = replace(snapshot.repo, first_seen_at=str(first_seen))
        if resolved.access != "anonymous":
            facts = replace(facts, private=True)  # a stranger is not told that it is there, whatever its flags say (P7)
        if facts.gated != "no":
            facts = replace(facts, access="gateway_token")  # its bytes open only to the gateway's token (P7)
        snapshot = replace(snapshot, repo=facts)
        known = Known(snapshot, fingerprint(snapshot), max(0.0, self.facts_ttl_s - age_s))
        if _weight(known) <= _HELD_FILES:
            self._snapshots[repo, ref, resolved] = known
        return known

    async def _fetch(self, repo: Repo, ref: str, resolved: Resolved) -> tuple[Snapshot, float]:
        """The facts and their age in seconds; stale ones are put in memory for a moment only, to be asked for again."""
        stored = f"{repo.hub}|{repo}|{ref}|{resolved.commit}|{resolved.access}"
        value = await self._facts.get("snapshot", stored)
        value = value if isinstance(value, dict) else {}
        kept = snapshot_from_json(value.get("snapshot"))
        now_s = self._clock.now().timestamp()
        age_s = now_s - float(value.get("at_s", 0))
        if kept is not None and 0 <= age_s <= self.facts_ttl_s:
            return kept, age_s
        try:
            snapshot = await self._upstream.snapshot(repo, ref, resolved.commit, resolved.access)
        except (UpstreamUnavailable, UpstreamThrottled):
            if kept is None or abs(age_s) > self._max_stale.total_seconds():
                raise
            _log.warning("facts.stale", repo=str(repo), commit=resolved.commit)
            return kept, self.facts_ttl_s - min(self.facts_ttl_s, self.ref_ttl_s)
        try:
            await self._facts.put("snapshot", stored, {"at_s": now_s, "snapshot": snapshot_to_json(snapshot)})
        except StoreError as error:
            if error.code != TOO_LARGE:
                raise
            _log.warning("facts.not-kept", repo=str(repo), commit=resolved.commit, files=len(snapshot.revision.files))
        return snapshot, 0.0
