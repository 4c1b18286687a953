"""Reads one data file (YAML or JSON) to plain JSON values, strictly.

YAML's surprises are refused or switched off: only `true` and `false` are booleans (`no` is a string), times stay
strings, a key stands once, there are no anchors, tags or numbers that the policy engines read differently (floats,
integers beyond 64 bit).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})\Z")
_NUMBER_LIKE = re.compile(
    r"[-+]?\.?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
)
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}


class Mistake(Exception):
    """One mistake in one file, as a sentence that begins with file and place."""


def read_data_file(path: Path) -> Any:
    """The content of a `.yaml`, `.yml` or `.json` file of at most 16 MiB. Raises Mistake."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Mistake(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        text = path.read_text("utf-8")
    except OSError as error:
        raise Mistake(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise Mistake(f"{path}: is not UTF-8 at byte {error.start}") from error
    return read_json(text, str(path)) if path.suffix == ".json" else read_yaml(text, str(path))


def read_json(text: str, name: str) -> Any:
    """Strict JSON: no repeated key, no float, no integer beyond 64 bit. Raises Mistake."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise Mistake(f"{name}: the key {key!r} stands twice in one object")
            result[key] = value
        return result

    def refuse(literal: str) -> Any:
        raise Mistake(f"{name}: {literal} is not an integer; write whole numbers (bytes, seconds, per mille)")

    try:
        value = json.loads(
            text,
            object_pairs_hook=once,
            parse_float=refuse,
            parse_constant=refuse,
            parse_int=lambda literal: _integer(literal, name),
        )
    except json.JSONDecodeError as error:
        raise Mistake(f"{name}:{error.lineno}:{error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise Mistake(f"{name}: deeper than {MAX_DEPTH} levels") from error
    _bounded(value, name)
    return value


def _bounded(value: Any, name: str) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise Mistake(f"{name}: deeper than {MAX_DEPTH} levels")
        nested = (v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list))
        level = [inner for group in nested for inner in group]


def read_yaml(text: str, name: str) -> Any:
    """One YAML document as plain values. Raises Mistake with line and column."""
    try:
        events = yaml.parse(text, Loader=_LOADER)
        return _Builder(name, events).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise Mistake(f"{name}{place}: {error.problem or 'is not YAML'}") from error
    except yaml.YAMLError as error:
        raise Mistake(f"{name}: is not YAML ({str(error).splitlines()[0]})") from error


class _Builder:
    """Builds values straight from the parser's events: nothing is expanded, so nothing can explode."""

    def __init__(self, name: str, events: Iterator[Any]) -> None:
        self._name = name
        self._events = events

    def document(self) -> Any:
        result: Any = None
        seen = False
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    raise self._mistake(event, "a second document in one file")
                seen = True
                result = self._value(next(self._events), 0)
        return result

    def _value(self, event: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self._mistake(event, f"deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._mistake(event, "anchors and aliases are not allowed; write the value out")
        if getattr(event, "tag", None):
            raise self._mistake(event, f"the tag {event.tag} is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return list(self._until(yaml.SequenceEndEvent, lambda inner: self._value(inner, depth + 1)))
        return self._mapping(depth)

    def _until(self, end: type[Any], read: Callable[[Any], Any]) -> Iterator[Any]:
        while not isinstance(event := next(self._events), end):
            yield read(event)

    def _mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            if not isinstance(key, str):
                raise self._mistake(event, f"the key {key!r} is not a string; quote it")
            if key == "<<" and event.implicit[0]:
                raise self._mistake(event, "merge keys are not allowed; write the values out")
            if key in result:
                raise self._mistake(event, f"the key {key!r} stands twice in one object")
            result[key] = self._value(next(self._events), depth + 1)
        return result

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _NUMBER_LIKE.match(text):
            place = f"{self._name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"
            return _integer(text, place)
        return text

    def _mistake(self, event: Any, what: str) -> Mistake:
        mark = event.start_mark
        return Mistake(f"{self._name}:{mark.line + 1}:{mark.column + 1}: {what}")


def _integer(literal: str, place: str) -> int:
    """An integer of 64 bit in plain decimal: what both engines hold exactly."""
    if not _INTEGER.match(literal) or not -(2**63) <= int(literal) < 2**63:
        raise Mistake(f"{place}: {literal} is not a 64-bit integer in plain decimal; quote it if it is text")
    return int(literal)
