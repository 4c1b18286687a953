"""What can go wrong upstream, on purpose: a fault matches requests and bends the answer to them."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from fnmatch import translate

from gateway.simulator.content import Content


class Gate:
    """A place in an answer where the simulator waits. Usable from any thread, so that tests never sleep.

    `wait_reached` tells when a request stands at the gate; `open` lets it, and every later one, pass.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = False
        self._reached = threading.Event()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        with self._lock:
            self._is_open = True
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    async def passed(self) -> None:
        """Wait here until the gate is open (the simulator's side)."""
        event = asyncio.Event()
        with self._lock:
            self._reached.set()
            if self._is_open:
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        await event.wait()

    def wait_reached(self, timeout_s: float = 30.0) -> None:
        """Block until a request stands at the gate. Raises TimeoutError."""
        if not self._reached.wait(timeout_s):
            msg = f"no request reached the gate within {timeout_s} s"
            raise TimeoutError(msg)

    async def reached(self, timeout_s: float = 30.0) -> None:
        """`wait_reached` for a test that shares the simulator's loop."""
        await asyncio.to_thread(self.wait_reached, timeout_s)


@dataclass
class Fault:
    """Bends the answers to matching requests. Where several match, the later one wins field by field.

    Matching: `path` is a glob over the decoded request path or over the file (`org/name/model.safetensors`, also for
    CDN requests); `host` is "hub", "cdn" or "" for both; `method` "" matches all. The first `skip` matching
    requests pass untouched, then `times` are bent (None: all).
    """

    path: str = "*"
    host: str = ""
    method: str = ""
    times: int | None = None
    skip: int = 0

    delay_s: float | None = None  # before the status line
    gate: Gate | None = None  # the same, until the test opens it
    stall_at: int | None = None  # body bytes sent before the pause
    stall_s: float | None = None
    stall_gate: Gate | None = None
    truncate_at: int | None = None  # body bytes sent, then the connection is closed
    reset_at: int | None = None  # body bytes sent, then TCP RST
    drop: bool | None = None  # the connection is closed without any answer
    corrupt_at: int | None = None  # offset in the file whose 16 bytes are inverted, whatever range is asked for
    content: Content | None = None  # other bytes under the same name (honest length)
    etag: str | None = None  # replaces ETag and X-Linked-Etag
    ignore_range: bool | None = None  # 200 and the whole file
    chunked: bool | None = None  # no Content-Length
    status: int | None = None
    body: bytes | None = None  # with `status` or alone: replaces the whole answer body
    repeat: int | None = None  # `body` is sent so many times over (huge answers without memory)
    location: str | None = None  # with `status` 3xx, or replacing the Location of a real redirect
    headers: dict[str, str | None] | None = None  # set, or removed where None
    latency_s: float | None = None  # like delay_s, for pacing
    bandwidth_bytes_s: float | None = None

    hits: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._pattern = re.compile(translate(self.path))

    def matches(self, host: str, method: str, names: tuple[str, str], *, has_bytes: bool) -> bool:
        """Does the fault concern this request? `names` are its path and file; `has_bytes`: its answer is the file."""
        return (
            self.host in ("", host)
            and self.method in ("", method)
            and (has_bytes or not self.bends_bytes)
            and any(name and self._pattern.match(name) for name in names)
        )

    @property
    def bends_bytes(self) -> bool:
        """Such a fault concerns (and counts) only GET answers with the bytes themselves, never redirects or HEAD."""
        effects = (self.stall_at, self.truncate_at, self.reset_at, self.corrupt_at, self.content, self.ignore_range)
        return any(effect is not None for effect in effects)

    def take(self) -> bool:
        """Count one matching request; is it bent?"""
        self.hits += 1
        return self.hits > self.skip and (self.times is None or self.hits <= self.skip + self.times)

    @property
    def replaces_answer(self) -> bool:
        return self.status is not None or self.body is not None


_EFFECTS = [f.name for f in fields(Fault) if f.name not in {"path", "host", "method", "times", "skip", "hits"}]


class Faults:
    """The active faults. Adding and clearing is safe from any thread."""

    def __init__(self) -> None:
        self._active: list[Fault] = []

    def add(self, *faults: Fault) -> Fault:
        """Activate the faults; returns the last one (for its `hits` and gates)."""
        self._active = [*self._active, *faults]
        return faults[-1]

    def remove(self, *faults: Fault) -> None:
        self._active = [f for f in self._active if f not in faults]

    def clear(self) -> None:
        """Remove all faults and open their gates, so that nothing waits for ever."""
        active, self._active = self._active, []
        for fault in active:
            for gate in (fault.gate, fault.stall_gate):
                if gate is not None:
                    gate.open()

    @contextmanager
    def during(self, *faults: Fault) -> Iterator[Fault]:
        """The faults are active inside the `with` block only."""
        try:
            yield self.add(*faults)
        finally:
            self.remove(*faults)

    def effect(self, host: str, method: str, names: tuple[str, str], *, has_bytes: bool) -> Fault:
        """All matching faults folded into one; without any, a fault that does nothing."""
        folded = Fault()
        for fault in self._active:
            if fault.matches(host, method, names, has_bytes=has_bytes) and fault.take():
                for name in _EFFECTS:
                    value = getattr(fault, name)
                    if value is not None:
                        setattr(folded, name, value)
        return folded


def throttled(path: str = "*", *, wait_s: int = 1, times: int | None = None, host: str = "") -> Fault:
    """429 as the hub sends it: `Retry-After` and `RateLimit` both say `wait_s`."""
    return Fault(
        path=path,
        host=host,
        times=times,
        status=429,
        body=b'{"error":"We had to rate limit your IP."}',
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "Retry-After": str(wait_s),
            "RateLimit": f'"resolvers";r=0;t={wait_s}',
            "RateLimit-Policy": '"fixed window";"resolvers";q=3000;w=300',
            "X-Error-Message": "We had to rate limit your IP.",
        },
    )


def failing(path: str = "*", *, status: int = 503, times: int | None = None, host: str = "") -> Fault:
    """A 5xx storm."""
    return Fault(path=path, host=host, times=times, status=status, body=b"upstream connect error", headers={})


def second_read_differs(path: str, *, corrupt_at: int = 0, host: str = "") -> Fault:
    """Honest bytes the first time, other bytes of the right length afterwards."""
    return Fault(path=path, host=host, method="GET", skip=1, corrupt_at=corrupt_at)


def redirected(path: str, location: str, *, times: int | None = None) -> Fault:
    """A redirect to anywhere: a foreign host, a private address, a file URL."""
    return Fault(path=path, host="hub", times=times, status=302, body=b"", location=location, headers={})


def deep_json(path: str, depth: int = 100_000, *, host: str = "hub") -> Fault:
    """A JSON answer nested `depth` arrays deep."""
    return Fault(path=path, host=host, status=200, body=b"[" * depth + b"]" * depth, headers=dict(_JSON))


def huge_json(path: str, size_bytes: int, *, host: str = "hub") -> Fault:
    """A JSON answer of about `size_bytes` (never closed: nobody should read that far), sent chunked."""
    piece = b'"' + b"a" * 65_533 + b'",'
    return Fault(
        path=path, host=host, status=200, body=piece, repeat=size_bytes // len(piece) + 1, chunked=True,
        headers=dict(_JSON),
    )  # fmt: skip


_JSON: dict[str, str | None] = {"Content-Type": "application/json; charset=utf-8"}
