"""JSON files: parsed strictly and whole, then searched for what would make a loader run code or leave its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.formats.json_switches import EVERY_VALUE, findings_of
from gateway.scanners.reader import Inspection, Reader

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
MAX_DIGITS = 100
"""The default model_max_length of tokenizers has 31 digits, so large numbers as such are ordinary."""

_MAX_LINES_BYTES = 16 * 1024 * 1024
_SAMPLE_BYTES = 1024 * 1024
_MAX_FINDINGS = 100
_LONG_NUMBER = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")
_BOM = b"\xef\xbb\xbf"


class _Strict:
    """One strict parse: what json.loads would pass over in silence is kept as a finding."""

    def __init__(self) -> None:
        self.faults: dict[str, Finding] = {}

    def parse(self, text: str) -> Any:
        """The value. Raises ValueError or RecursionError where the text is no JSON."""
        hooks: dict[str, Any] = {"parse_int": self._integer} if _LONG_NUMBER.search(text) else {}
        return json.loads(text, object_pairs_hook=self._object, parse_constant=self._constant, **hooks)

    def _fault(self, rule: str, cls: FindingClass, severity: Severity, message: str) -> None:
        self.faults.setdefault(rule, Finding(f"json.{rule}", cls, severity, message))

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            message = "a key twice in one object: readers differ in which one counts"
            self._fault("duplicate-key", FindingClass.AMBIGUITY, Severity.HIGH, message)
            # Both values are judged, whichever a reader takes.
            result[EVERY_VALUE] = [value for _, value in pairs]
            for key, value in pairs:
                result.setdefault(key, value)
        return result

    def _constant(self, name: str) -> float:
        # Common in trainer states and state-space configs; Python reads it, strict readers refuse the file.
        self._fault("not-a-number", FindingClass.POLICY, Severity.INFO, "NaN or Infinity, which standard JSON has not")
        return float(name)

    def _integer(self, digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            self._fault("big-integer", FindingClass.DOS, Severity.HIGH, "an integer of more than 100 digits")
            return 0
        return int(digits)


def _is_too_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            return True
        inner: list[Any] = []
        for item in level:
            if type(item) is dict:
                inner.extend(v for v in item.values() if type(v) is dict or type(v) is list)
            elif type(item) is list:
                inner.extend(v for v in item if type(v) is dict or type(v) is list)
        level, depth = inner, depth + 1
    return False


def _ambiguity(rule: str, message: str) -> Finding:
    return Finding(f"json.{rule}", FindingClass.AMBIGUITY, Severity.HIGH, message)


def judge_text(text: str, path: str) -> tuple[bool, list[Finding]]:
    """(is it JSON, findings) of one JSON text."""
    strict = _Strict()
    try:
        value = strict.parse(text)
    except RecursionError:
        return False, [Finding("json.depth", FindingClass.DOS, Severity.HIGH, "JSON nested too deep to read")]
    except ValueError:
        return False, [_ambiguity("malformed", "not JSON, though named or shaped so"), *strict.faults.values()]
    found = list(strict.faults.values())
    if _is_too_deep(value):
        found.append(Finding("json.depth", FindingClass.DOS, Severity.HIGH, "JSON nested more than 64 deep"))
    return True, [*found, *findings_of(value, path)]


def inspect(reader: Reader, path: str) -> Inspection:
    """Judge JSON, JSON lines or a notebook.

    JSON is read whole up to 64 MiB, beyond that it is `partial` ("too-large"). JSON lines (by name, or where only that
    parses) are judged line by line up to 16 MiB; of a longer file the first and last 1 MiB count, `complete` with
    whole_file False, for no loader takes configuration from them. Text that is not UTF-8 or not JSON: surface
    `failed`, cause "content-mismatch", and a finding of class ambiguity.
    """
    lines = path.lower().endswith((".jsonl", ".ndjson"))
    if lines and reader.size > _MAX_LINES_BYTES:
        return _long_lines(reader, path)
    if reader.size > MAX_BYTES:
        return Inspection("json", Coverage(Surface.PARTIAL, whole_file=False, cause="too-large"))
    raw = reader.read(0, reader.size).removeprefix(_BOM)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return _mismatch([_ambiguity("encoding", "JSON that is not UTF-8")])
    del raw
    is_json, found = _judge_lines(text.split("\n"), path) if lines else judge_text(text, path)
    if not is_json and not lines and "\n" in text.strip():
        lines_too, found_in_lines = _judge_lines(text.split("\n"), path)
        is_json, found = (True, found_in_lines) if lines_too else (False, found)
    if not is_json:
        return _mismatch(found)
    return Inspection("json", Coverage(Surface.COMPLETE, whole_file=True), tuple(found[:_MAX_FINDINGS]))


def _mismatch(found: list[Finding]) -> Inspection:
    coverage = Coverage(Surface.FAILED, whole_file=True, cause="content-mismatch")
    return Inspection("json", coverage, tuple(found[:_MAX_FINDINGS]))


def _judge_lines(lines: list[str], path: str) -> tuple[bool, list[Finding]]:
    """All lines must be JSON; the findings of all, each kind once."""
    found: dict[tuple[str, str], Finding] = {}
    for line in lines:
        if line and not line.isspace():
            is_json, faults = judge_text(line, path)
            if not is_json:
                return False, faults
            found.update(((f.rule, f.symbol), f) for f in faults if len(found) < _MAX_FINDINGS)
    return True, list(found.values())


def _long_lines(reader: Reader, path: str) -> Inspection:
    head = reader.read(0, _SAMPLE_BYTES).removeprefix(_BOM).rpartition(b"\n")[0]
    tail = reader.read(reader.size - _SAMPLE_BYTES, _SAMPLE_BYTES).partition(b"\n")[2]
    try:
        is_json, found = _judge_lines(list(_decoded_lines(head, tail)), path)
    except UnicodeDecodeError:
        return _mismatch([_ambiguity("encoding", "JSON lines that are not UTF-8")])
    if not is_json:
        return _mismatch(found)
    return Inspection("json", Coverage(Surface.COMPLETE, whole_file=False), tuple(found[:_MAX_FINDINGS]))


def _decoded_lines(*samples: bytes) -> Iterator[str]:
    for sample in samples:
        yield from sample.decode().split("\n")
