"""The messages between the gateway and a scanner worker: a kind, a length, a payload. Both ends use this module."""

from __future__ import annotations

import struct
from typing import Any

from gateway.domain.evidence import Coverage, Finding, FindingClass, JudgedSpan, ScanReport, Severity, Surface
from gateway.scanners.reader import Inspection

HEADER = struct.Struct(">cI")
RANGE = struct.Struct(">QI")

READY = b"Y"  # worker: imported everything, waiting
TASK = b"T"  # gateway: {"path", "size_bytes", "read_budget_bytes", "cpu_s"}
READ = b"R"  # worker: an offset and a length
DATA = b"D"  # gateway: the bytes of that range
LOST = b"E"  # gateway: the bytes cannot be had
OUTCOME = b"O"  # worker: the inspection, and its peak memory

MAX_FINDINGS = 500
_MESSAGE_CHARS = 200
_LOCATION_CHARS = 300


class MalformedOutcome(Exception):
    """A worker answered something that is no inspection."""


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def inspection_json(seen: Inspection, peak_bytes: int) -> dict[str, Any]:
    """JSON form of an inspection; at most 500 findings, the gravest first."""
    order = list(Severity)
    findings = sorted(seen.findings, key=lambda f: order.index(f.severity))[:MAX_FINDINGS]
    return {
        "format": seen.format,
        "surface": seen.coverage.surface.value,
        "whole_file": seen.coverage.whole_file,
        "cause": seen.coverage.cause,
        "peak_bytes": peak_bytes,
        "findings": [[f.rule, f.cls.value, f.severity.value, f.message, f.location, f.symbol] for f in findings],
    }


def inspection_of(value: Any) -> Inspection:
    """The inspection in a worker's answer. Raises MalformedOutcome; text is cut to what a record may hold."""
    try:
        coverage = Coverage(Surface(value["surface"]), bool(value["whole_file"]), str(value["cause"])[:60])
        findings = tuple(_finding(*item) for item in value["findings"])
        return Inspection(str(value["format"])[:40], coverage, findings)
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedOutcome("the worker's answer is no inspection") from error


def _finding(rule: str, cls: str, severity: str, message: str, location: str, symbol: str) -> Finding:
    return Finding(
        _line(rule, 100),
        FindingClass(cls),
        Severity(severity),
        _line(message, _MESSAGE_CHARS),
        _line(location, _LOCATION_CHARS),
        _line(symbol, _LOCATION_CHARS),
    )


def _line(text: str, limit: int) -> str:
    if not isinstance(text, str):
        raise TypeError("not text")
    return "".join(c if c.isprintable() else "?" for c in text[:limit])


def report_of(seen: Inspection, scanner: str, version: str, spans: tuple[JudgedSpan, ...], whole: bool) -> ScanReport:
    """A report from what the worker saw and what the gateway knows it was given."""
    coverage = Coverage(seen.coverage.surface, whole, seen.coverage.cause)
    return ScanReport(scanner, version, seen.format, coverage, seen.findings, () if whole else spans)
