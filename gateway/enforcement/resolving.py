"""Ref -> commit, and all facts of a revision: remembered, and served stale while the hub is down."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from cachetools import TLRUCache, TTLCache

from gateway.clock import Clock, rfc3339
from gateway.domain.artifact import RefKind, Repo
from gateway.domain.errors import (
    StoreError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamThrottled,
    UpstreamUnavailable,
)
from gateway.domain.evidence import Reachable, Snapshot
from gateway.enforcement.background import SingleFlight
from gateway.enforcement.codec import snapshot_from_json, snapshot_to_json
from gateway.ports import Facts, KnownCommit, Resolved, Upstream

# Snapshots in memory are bounded by the files they list. The largest that the hub's listing may have must fit: to read
# one again for each of its files would keep the loop busy for seconds each time.
_HELD_FILES = 250_000
TOO_LARGE = "store/fact-invalid"  # of `Facts`: more than one fact may hold; the listing is fetched again when needed
STALE_AFTER_S = 3.0  # a client waits 10 s for a HEAD; with an older answer at hand the hub gets less
_PASSING = (UpstreamUnavailable, UpstreamThrottled, TimeoutError)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_log = structlog.get_logger("resolving")

T = TypeVar("T")


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
    """`ref_ttl_s`: how long a mutable ref is believed; `facts_ttl_s`: how long the facts of a repo are, and that a
    commit may be had; `max_stale`: how old all of it may be while the hub is down, or slower than `stale_after_s`.

    What cannot change of a commit (its files, its time, that the default branch holds it) is asked for once."""

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
        stale_after_s: float = STALE_AFTER_S,
    ) -> None:
        self._upstream = upstream
        self._facts = facts
        self._flights = flights
        self._clock = clock
        self._max_stale_s = max_stale.total_seconds()
        self._stale_after_s = stale_after_s
        self.facts_ttl_s = facts_ttl_s
        self.ref_ttl_s = ref_ttl_s
        self._refs: TTLCache[tuple[Repo, str], Resolved] = TTLCache(50_000, ref_ttl_s, time.monotonic)
        absent_ttl_s = min(ref_ttl_s, 10.0)
        self._absent: TTLCache[tuple[Repo, str], UpstreamNotFound | UpstreamRefused] = TTLCache(
            10_000, absent_ttl_s, time.monotonic
        )
        # Asked for on behalf of those who may not know of them; as long as an absence is remembered.
        self._kept_from: TTLCache[tuple[Repo, str], bool] = TTLCache(10_000, absent_ttl_s, time.monotonic)
        # Repos that vanished or shut since some of their commits were seen, and when (Unix seconds).
        self._doubted: TTLCache[Repo, float] = TTLCache(10_000, facts_ttl_s, time.monotonic)
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

    async def as_if_unknown(self, repo: Repo, ref: str) -> None:
        """Ask of a repo that is kept from the one who asks as of one that nobody ever saw: as often, and in the same
        trouble. Else what is remembered of it would tell, while the hub is down, that it is there (P7).

        Raises UpstreamError for the hub's trouble alone."""
        key = (repo, ref)
        if key in self._kept_from or key in self._absent:
            return
        try:
            await self._flights.do(("ask-ref", repo, ref), lambda: self._ask_ref(repo, ref, self._refs.get(key)))
        except (UpstreamNotFound, UpstreamRefused):
            return
        self._kept_from[key] = True

    def forget(self, repo: Repo, ref: str) -> None:
        """Ask the hub again where the ref points, when it is wanted next."""
        self._refs.pop((repo, ref), None)

    async def _resolve(self, repo: Repo, ref: str) -> Resolved:
        kept = await self._facts.get("ref", _ref_key(repo, ref))
        stale = self._younger(kept, self._max_stale_s)
        if stale is not None and _COMMIT.fullmatch(ref) and self._is_believed(repo, kept):
            self._refs[repo, ref] = stale
            return stale
        try:
            return await self._in_time(("ask-ref", repo, ref), lambda: self._ask_ref(repo, ref, stale), stale)
        except _PASSING:
            if stale is None:
                raise
            _log.warning("ref.stale", repo=str(repo), ref=ref, commit=stale.commit)
            self._refs[repo, ref] = stale
            return stale

    async def _ask_ref(self, repo: Repo, ref: str, before: Resolved | None) -> Resolved:
        try:
            resolved = await self._upstream.resolve(repo, ref)
        except (UpstreamNotFound, UpstreamRefused) as error:
            self._absent[repo, ref] = error
            if isinstance(error, UpstreamRefused) or error.what == "repo":
                self._doubted[repo] = self._clock.now().timestamp()
            raise
        if before is not None and before.access != resolved.access:
            self._doubted[repo] = self._clock.now().timestamp()
        self._refs[repo, ref] = resolved
        await self._keep_ref(repo, ref, resolved)
        return resolved

    async def _keep_ref(self, repo: Repo, ref: str, resolved: Resolved) -> None:
        value = {"commit": resolved.commit, "access": resolved.access, "at_s": self._clock.now().timestamp()}
        await self._facts.put("ref", _ref_key(repo, ref), value)

    async def _in_time(self, key: object, ask: Callable[[], Coroutine[Any, Any, T]], older: object) -> T:
        """The hub's answer, not waited for long where an older one is at hand; the question goes on, for the next."""
        async with asyncio.timeout(None if older is None else self._stale_after_s):
            return await self._flights.do(key, ask)

    def _is_believed(self, repo: Repo, kept: Any) -> bool:
        """Was the commit seen lately, and was nothing heard of its repo since that speaks against it?"""
        at_s = float(kept.get("at_s", 0))
        return 0 <= self._clock.now().timestamp() - at_s <= self.facts_ttl_s and at_s > self._doubted.get(repo, -1.0)

    def _younger(self, value: Any, age_s: float) -> Resolved | None:
        # Something from the future tells that the clock was set back.
        if not isinstance(value, dict) or abs(self._clock.now().timestamp() - float(value.get("at_s", 0))) > age_s:
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
        kept, age_s = await self._kept(repo, resolved)
        if kept is not None and 0 <= age_s <= self.facts_ttl_s:
            return await self._under_ref(repo, ref, resolved, kept), age_s
        older = None if kept is None or abs(age_s) > self._max_stale_s else kept
        try:
            asking = ("ask-snapshot", repo, ref, resolved)
            return await self._in_time(asking, lambda: self._ask_snapshot(repo, ref, resolved, kept), older), 0.0
        except _PASSING:
            if older is None:
                raise
            _log.warning("facts.stale", repo=str(repo), commit=resolved.commit)
            stale = await self._under_ref(repo, ref, resolved, older)
            return stale, self.facts_ttl_s - min(self.facts_ttl_s, self.ref_ttl_s)

    async def _kept(self, repo: Repo, resolved: Resolved) -> tuple[Snapshot | None, float]:
        """What is kept of the commit, whatever ref it was asked for by, and its age in seconds."""
        value = await self._facts.get("snapshot", _commit_key(repo, resolved))
        value = value if isinstance(value, dict) else {}
        return snapshot_from_json(value.get("snapshot")), self._clock.now().timestamp() - float(value.get("at_s", 0))

    async def _ask_snapshot(self, repo: Repo, ref: str, resolved: Resolved, kept: Snapshot | None) -> Snapshot:
        known = None if kept is None else KnownCommit(kept, is_fresh=False)
        snapshot = await self._upstream.snapshot(repo, ref, resolved.commit, resolved.access, known)
        value = {"at_s": self._clock.now().timestamp(), "snapshot": snapshot_to_json(snapshot)}
        try:
            await self._facts.put("snapshot", _commit_key(repo, resolved), value)
        except StoreError as error:
            if error.code != TOO_LARGE:
                raise
            _log.warning("facts.not-kept", repo=str(repo), commit=resolved.commit, files=len(snapshot.revision.files))
        await self._keep_ref(repo, resolved.commit, resolved)
        return snapshot

    async def _under_ref(self, repo: Repo, ref: str, resolved: Resolved, kept: Snapshot) -> Snapshot:
        """What is kept of a commit, as asked for by `ref`. Raises UpstreamError where only the hub knows its kind."""
        if kept.revision.ref == ref:
            return kept
        key = f"{_commit_key(repo, resolved)}|{ref}"
        named = await self._facts.get("ref_kind", key)
        if isinstance(named, dict):
            kind, reachable = RefKind(named["kind"]), Reachable(named["reachable"])
            reachable = Reachable.YES if kept.revision.reachable is Reachable.YES else reachable
            return replace(kept, revision=replace(kept.revision, ref=ref, ref_kind=kind, reachable=reachable))
        known = KnownCommit(kept, is_fresh=True)
        snapshot = await self._upstream.snapshot(repo, ref, resolved.commit, resolved.access, known)
        value = {"kind": snapshot.revision.ref_kind.value, "reachable": snapshot.revision.reachable.value}
        await self._facts.put("ref_kind", key, value)
        return snapshot


def _ref_key(repo: Repo, ref: str) -> str:
    return f"{repo.hub}|{repo}|{ref}"


def _commit_key(repo: Repo, resolved: Resolved) -> str:
    return f"{repo.hub}|{repo}|{resolved.commit}|{resolved.access}"
