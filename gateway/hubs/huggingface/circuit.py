"""One breaker per upstream host: what is down is not asked by everybody, only by one probe of our own (ADR 0016).

Open: requests fail at once, so that what was judged is served from memory without waiting for a time-out first. The
probe is a small neutral request, never a client's: it closes the breaker as soon as the host answers anything sane.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from yarl import URL

from gateway.domain.artifact import RepoType
from gateway.domain.errors import UpstreamUnavailable

FIRST_PROBE_S: Final = 1.0
MOST_PROBE_S: Final = 5.0
MOST_OPEN_S: Final = 60.0
WINDOW_S: Final = 60.0
SUBJECTS: Final = 3
MOST_HOSTS: Final = 256
_WORDS: Final = frozenset({"api", "v2", "resolve-cache", *(kind.api for kind in RepoType)})
_log = structlog.get_logger("circuit")


@dataclass(slots=True)
class _Host:
    """`failures`: when, and of which subject ("" where no subject can be at fault), since the last answer."""

    failures: list[tuple[float, str]] = field(default_factory=list)
    is_open: bool = False
    is_timeout: bool = False
    cause: str = ""
    next_probe_s: float = 0.0
    pause_s: float = FIRST_PROBE_S
    opened_s: float = 0.0


class Circuits:
    """`failures` in a row open a host's breaker. What may be the fault of one repo (an answer of 5xx, a time-out, a
    connection cut without an answer) counts only once three namespaces have it: nobody's odd repo stops the others."""

    def __init__(self, failures: int = 5, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._monotonic = monotonic
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    def check(self, host: str) -> None:
        """Raises UpstreamUnavailable (`upstream/circuit-open`) while the host's breaker is open."""
        known = self._hosts.get(host)
        if known is not None and known.is_open:
            wait_s = max(1.0, known.next_probe_s - self._monotonic() + 1.0)
            raise UpstreamUnavailable(
                f"The hub ({host}) did not answer the last requests ({known.cause}) and is asked again soon.",
                timeout=known.is_timeout,
                code="upstream/circuit-open",
                retry_after_s=wait_s,
            )

    def answered(self, host: str) -> None:
        """An answer below 500 ends every doubt."""
        known = self._hosts.pop(host, None)
        if known is not None and known.is_open:
            _log.warning("circuit.changed", host=host, state="closed")

    def failed(self, host: str, subject: str, cause: str, *, is_timeout: bool = False) -> bool:
        """Count a failure; True where it opened the breaker: then somebody must probe. `subject` is whose namespace may
        be at fault, "" where it cannot be."""
        known = self._hosts.setdefault(host, _Host())
        self._hosts.move_to_end(host)
        now_s = self._monotonic()
        if known.is_open:
            return False
        known.failures = [f for f in known.failures if f[0] > now_s - WINDOW_S][-8 * self._failures :]
        known.failures.append((now_s, subject))
        if not self._is_down(known):
            while len(self._hosts) > MOST_HOSTS:
                self._hosts.popitem(last=False)
            return False
        known.is_open, known.cause, known.is_timeout = True, cause, is_timeout
        known.opened_s, known.next_probe_s = now_s, now_s + known.pause_s
        _log.warning("circuit.changed", host=host, state="open", cause=cause)
        return True

    def pause_s(self, host: str) -> float:
        """How long to wait before the next probe of an open breaker; 0 where it is closed.

        After a minute it closes by itself: what is probed may be out of order alone, and would lock out all the rest.
        """
        known = self._hosts.get(host)
        if known is None or not known.is_open:
            return 0.0
        if self._monotonic() - known.opened_s >= MOST_OPEN_S:
            self.answered(host)
            return 0.0
        pause_s = known.pause_s
        known.pause_s = min(2 * pause_s, MOST_PROBE_S)
        known.next_probe_s = self._monotonic() + pause_s
        return pause_s

    def open_hosts(self) -> Mapping[str, str]:
        """The hosts whose breaker is open, and why."""
        return {host: known.cause for host, known in self._hosts.items() if known.is_open}

    def _is_down(self, known: _Host) -> bool:
        subjects = [subject for _, subject in known.failures if subject]
        blameless = len(known.failures) - len(subjects)
        return blameless >= self._failures or (len(known.failures) >= self._failures and len(set(subjects)) >= SUBJECTS)


def host_of(url: URL) -> str:
    """What has a breaker of its own."""
    return f"{url.host}:{url.port}"


def subject_of(url: URL, *, is_own: bool) -> str:
    """Whose fault an answer may be: on the hub a namespace, or all searches together (a client chooses what is asked);
    on a download host the folder that holds a repo's bytes."""
    parts = url.raw_path.strip("/").split("/")
    if not is_own:
        return "/".join(parts[:-1])
    names = [part for part in parts if part not in _WORDS]
    return names[0] if names else "search"
