"""Entries for a worker that misbehaves: each stands for a format module that a hostile file has got hold of."""

from __future__ import annotations

import os
import resource
import signal
import threading

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.budget import PAGE_BYTES
from gateway.scanners.reader import Inspection, Reader

MIB = 1024 * 1024
CLEAN = Inspection("text", Coverage(Surface.COMPLETE, True))


def exits(reader: Reader, path: str, budget: int) -> Inspection:
    if path != "good":
        os._exit(0)
    return CLEAN


def segfaults(reader: Reader, path: str, budget: int) -> Inspection:
    if path != "good":
        os.kill(os.getpid(), signal.SIGSEGV)
    return CLEAN


def raises(reader: Reader, path: str, budget: int) -> Inspection:
    raise RuntimeError("secret detail")


def waits(reader: Reader, path: str, budget: int) -> Inspection:
    if path != "good":
        threading.Event().wait()
    return CLEAN


def burns(reader: Reader, path: str, budget: int) -> Inspection:
    while path != "good":
        pass
    return CLEAN


def balloons(reader: Reader, path: str, budget: int) -> Inspection:
    kept = []
    while path != "good":
        kept.append(bytearray(b"x" * MIB))
    return CLEAN


def runs_out(reader: Reader, path: str, budget: int) -> Inspection:
    """What an address-space limit does: an allocation fails, and a careless parser would go on."""
    raise MemoryError


def swells_and_shrinks(reader: Reader, path: str, budget: int) -> Inspection:
    kept = b"x" * (int(path) * MIB)
    del kept
    return CLEAN


def talks_too_much(reader: Reader, path: str, budget: int) -> Inspection:
    finding = Finding("x", FindingClass.POLICY, Severity.INFO, "x" * 20_000)
    return Inspection("text", Coverage(Surface.COMPLETE, True), (finding,) * 400)


def floods(reader: Reader, path: str, budget: int) -> Inspection:
    many = tuple(Finding(f"low-{i}", FindingClass.POLICY, Severity.LOW, "noise") for i in range(3000))
    grave = Finding("grave", FindingClass.CODE_EXEC, Severity.CRITICAL, "line one\nline two \u202e")
    return Inspection("text", Coverage(Surface.COMPLETE, True), (*many, grave))


def answers_nonsense(reader: Reader, path: str, budget: int) -> Inspection:
    return Inspection("text", Coverage("splendid", True))  # type: ignore[arg-type]


def prints(reader: Reader, path: str, budget: int) -> Inspection:
    print("x" * 100_000)
    os.write(1, b"y" * 100_000)
    return CLEAN


def reads_all(reader: Reader, path: str, budget: int) -> Inspection:
    for offset in range(0, reader.size, PAGE_BYTES):
        reader.read(offset, PAGE_BYTES)
    return CLEAN


def reads_first_page_twice(reader: Reader, path: str, budget: int) -> Inspection:
    reader.read(0, PAGE_BYTES)
    reader.read(0, PAGE_BYTES)
    return CLEAN


def asks_too_much(reader: Reader, path: str, budget: int) -> Inspection:
    """A captured worker ignores its own budget."""
    while True:
        reader.read(0, PAGE_BYTES)


def asks_for_all_at_once(reader: Reader, path: str, budget: int) -> Inspection:
    reader.read(0, 1 << 31)
    return CLEAN


def reads_then_waits(reader: Reader, path: str, budget: int) -> Inspection:
    if path != "good":
        reader.read(0, PAGE_BYTES)
        threading.Event().wait()
    return CLEAN


def swallows_loss(reader: Reader, path: str, budget: int) -> Inspection:
    try:
        reader.read(0, PAGE_BYTES)
    except Exception:  # a badly behaved scanner, on purpose: the parent must still notice the loss
        pass
    return CLEAN


def tells_surroundings(reader: Reader, path: str, budget: int) -> Inspection:
    facts = {
        "environment": ",".join(sorted(os.environ)),
        "core": str(resource.getrlimit(resource.RLIMIT_CORE)[1]),
        "files": str(resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        "writes": str(resource.getrlimit(resource.RLIMIT_FSIZE)[1]),
        "session": str(os.getsid(0) == os.getpid()),
        "descriptors": ",".join(sorted(os.listdir("/proc/self/fd"))),
    }
    findings = tuple(Finding(k, FindingClass.POLICY, Severity.INFO, v) for k, v in facts.items())
    return Inspection("text", Coverage(Surface.COMPLETE, True), findings)
