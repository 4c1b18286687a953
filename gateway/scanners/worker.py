"""A scanner worker: `python -m gateway.scanners.worker ENTRY MEMORY_BYTES`, started, fed and killed by `isolation`.

It holds no secret, opens no file of the store and no connection: it sees only the byte ranges it asks for. Limits that
the kernel enforces are set here before the first hostile byte; the gateway enforces the rest from outside.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from gateway.domain.evidence import Coverage, Surface
from gateway.scanners.budget import PAGE_BYTES
from gateway.scanners.reader import Inspection, Reader, SourceLost
from gateway.scanners.wire import DATA, HEADER, LOST, OUTCOME, RANGE, READ, READY, TASK, frame, inspection_json

Entry = Callable[[Reader, str, int], Inspection]
_MAX_FILES = 64
_STATUS = "/proc/self/status"
_CLEAR_REFS = "/proc/self/clear_refs"


class Channel:
    """Frames over two pipes."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._in = incoming
        self._out = outgoing

    def receive(self) -> tuple[bytes, bytes]:
        """The next message. Raises EOFError when the gateway is gone."""
        kind, length = HEADER.unpack(self._exactly(HEADER.size))
        return kind, self._exactly(length)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        self._out.write(frame(kind, payload))
        self._out.flush()

    def _exactly(self, count: int) -> bytes:
        data = self._in.read(count)
        if len(data) != count:
            raise EOFError
        return data


class RemoteReader:
    """Bytes of a file that only the gateway can reach."""

    def __init__(self, channel: Channel, size: int) -> None:
        self._channel = channel
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """Ask for whole pages. Raises SourceLost."""
        if offset % PAGE_BYTES:
            raise ValueError("a worker reads whole pages")
        self._channel.send(READ, RANGE.pack(offset, length))
        kind, payload = self._channel.receive()
        if kind == LOST:
            raise SourceLost("the gateway could not read the source")
        if kind != DATA:
            raise EOFError
        return payload


def limit_process(memory_bytes: int) -> None:
    """Kernel limits for the life of the worker: no core, no new files, few descriptors, a high address-space fence.

    The gateway's own loop goes before scans where the processor is short.
    """
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_FILES, _MAX_FILES))
    # The second fence only: the gateway's own watch over resident memory comes first.
    resource.setrlimit(resource.RLIMIT_AS, (4 * memory_bytes, 4 * memory_bytes))


def limit_cpu(seconds: float) -> None:
    """The kernel ends this process after `seconds` more of CPU time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 1, hard))


def reset_peak() -> None:
    """Forget the peak of earlier tasks, where the kernel can."""
    try:
        with open(_CLEAR_REFS, "w", encoding="ascii") as file:  # noqa: PTH123 - a kernel control, not a path
            file.write("5")
    except OSError:
        return  # without it a former peak counts once more: that errs on the safe side


def peak_bytes() -> int:
    """Peak resident memory of this task (`VmHWM`; ru_maxrss would count what the parent had before exec)."""
    try:
        with open(_STATUS, encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def handle(channel: Channel, entry: Entry, task: dict[str, Any]) -> None:
    """One file: limits, inspection, answer."""
    reset_peak()
    limit_cpu(float(task["cpu_s"]))
    reader = RemoteReader(channel, int(task["size_bytes"]))
    # The isolation boundary: whatever a format module raises becomes Coverage, so that it can never read as clean.
    try:
        seen = entry(reader, str(task["path"]), int(task["read_budget_bytes"]))
    except MemoryError:
        seen = _failed("oom")
    except SourceLost:
        seen = _failed("source-lost")
    except EOFError:
        raise
    except Exception:  # hostile input may raise anything; it reads as a failed scan, never as clean
        seen = _failed("crashed")
    channel.send(OUTCOME, json.dumps(inspection_json(seen, peak_bytes())).encode())


def _failed(cause: str) -> Inspection:
    return Inspection("unknown", Coverage(Surface.FAILED, False, cause))


def load_entry(name: str) -> Entry:
    """`module:function`."""
    module, _, function = name.partition(":")
    entry: Entry = getattr(importlib.import_module(module), function)
    return entry


def main() -> None:
    """Serve tasks until the gateway closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Stray prints of a library must not reach the channel: descriptor 1 becomes the null device.
    outgoing = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    incoming = os.fdopen(os.dup(0), "rb")
    os.dup2(null, 0)
    entry = load_entry(sys.argv[1])
    limit_process(int(sys.argv[2]))
    channel = Channel(incoming, outgoing)
    channel.send(READY)
    try:
        while True:
            kind, payload = channel.receive()
            if kind != TASK:
                return
            handle(channel, entry, json.loads(payload))
    except (EOFError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
