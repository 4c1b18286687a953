"""Token buckets by subject and by address. Bounded memory: the longest unused bucket goes first (it is the fullest)."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

from gateway.clock import Clock
from gateway.domain.errors import ConfigError
from gateway.domain.subject import Subject, SubjectKind

MAX_BUCKETS = 65_536
IPV6_PREFIX_BITS = 64  # one site's addresses count as one


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_s` requests each second on the long run, `burst` at once."""

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not self.per_s > 0 or self.burst < 1:
            raise ConfigError("a rate limit needs a positive rate and a burst of at least 1")


@dataclass(slots=True)
class _Bucket:
    """`level` requests were left at `at_s`."""

    level: float
    at_s: float


class Buckets:
    """One bucket per key, each full at first sight."""

    def __init__(self, rate: Rate, *, max_buckets: int = MAX_BUCKETS) -> None:
        self._rate = rate
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def admit(self, key: str, now_s: float) -> float:
        """0.0 and one request of `key` counted, or the seconds until one fits and nothing counted."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(float(self._rate.burst), now_s)
            if len(self._buckets) > self._max_buckets:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        # A clock that was set back refills nothing, and must not block until it is where it was.
        passed_s = max(0.0, now_s - bucket.at_s)
        bucket.level = min(float(self._rate.burst), bucket.level + passed_s * self._rate.per_s)
        bucket.at_s = now_s
        if bucket.level < 1:
            return (1 - bucket.level) / self._rate.per_s
        bucket.level -= 1
        return 0.0

    def count(self, key: str, more: int) -> None:
        """Count `more` requests of `key`, which was admitted: it may owe up to a burst, and then waits."""
        if (bucket := self._buckets.get(key)) is not None:
            bucket.level = max(-float(self._rate.burst), bucket.level - more)


class RateLimiter:
    """Both limits at once; None switches one off. Anonymous subjects are told apart by address only."""

    def __init__(
        self, clock: Clock, *, subject: Rate | None, address: Rate | None, max_buckets: int = MAX_BUCKETS
    ) -> None:
        self._clock = clock
        self._subjects = None if subject is None else Buckets(subject, max_buckets=max_buckets)
        self._addresses = None if address is None else Buckets(address, max_buckets=max_buckets)

    def admit_address(self, address: str) -> float:
        """Before the credential is looked at: 0.0 and counted, or the seconds to wait and nothing counted."""
        return self._admit(self._addresses, network_of(address))

    def admit_subject(self, subject: Subject) -> float:
        """After it: 0.0 and counted, or the seconds to wait and nothing counted."""
        if subject.kind is SubjectKind.ANONYMOUS:
            return 0.0
        return self._admit(self._subjects, f"{subject.kind}\x1f{subject.id}")

    def count(self, subject: Subject, address: str, more: int) -> None:
        """What was admitted stands for `more` requests beside itself, in both limits."""
        if self._addresses is not None:
            self._addresses.count(network_of(address), more)
        if self._subjects is not None and subject.kind is not SubjectKind.ANONYMOUS:
            self._subjects.count(f"{subject.kind}\x1f{subject.id}", more)

    def _admit(self, buckets: Buckets | None, key: str) -> float:
        return 0.0 if buckets is None else buckets.admit(key, self._clock.now().timestamp())


@lru_cache(maxsize=16_384)  # parsing an address costs more than the rest of a limit
def network_of(address: str) -> str:
    """What shares one bucket: an IPv4 address, a /64 of IPv6; text that is no address stands for itself."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, IPV6_PREFIX_BITS), strict=False))
