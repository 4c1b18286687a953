"""YAML without a parser: the marks in its bytes that make a loader build objects or run code.

Tags after YAML 1.2.2 §6.8.2 and §6.9.1. HyperPyYAML (`!new:`, `!apply:` …), PyYAML (`!!python/…`), Hydra (`_target_`)
and evaluation harnesses (`!function`) turn names into calls. Nothing is parsed, so aliases cannot expand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.domain.evidence import Finding, FindingClass, Severity
from gateway.scanners.formats.import_targets import runs_commands
from gateway.scanners.formats.printable import printable

_MAX_NAMED = 50

# YAML 1.1 §4.2 ends a line at each of these, and loaders of today still do; a byte order mark is nothing to them.
_BREAKS = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_BLANKS = re.compile(r"[ \t]+")
# A tag stands where a node begins: after an indicator, an anchor, or at the beginning of a line.
_TAG = re.compile(
    r"(?:^|[:\-?\[{,|>]|(?<![^\s\[{,:?-])&[^\s,\[\]{}]{1,200}|^---) ?"
    r"(!(?:<[^>\s]{0,500}>?|[^\s,\[\]{}]{0,500}))",
    re.MULTILINE,
)
# A tag of Python is never a matter of place: an anchor longer than any name must not hide it.
_PYTHON_MARK = re.compile(r"(?<![^\s\[{,:?-])!!python/[^\s,\[\]{}]{1,500}")
_LONG_ANCHOR = re.compile(r"(?<![^\s\[{,:?-])&[^\s,\[\]{}]{200}")
_CORE_TAGS = frozenset(
    {"!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!set", "!!binary", "!!timestamp", "!!omap"}
    | {"!!pairs", "!!merge", "!", "!ref", "!copy"}
)
# A tag of Python, or one that is written so that its name cannot be read here.
_PYTHON_TAG = re.compile(r"!(?:python|eval|exec)\b|python[/:]|!<|%[0-9A-Fa-f]{2}")
# "!github.draft" and "!cancelled()" are negations in an expression of a workflow, not tags.
_NEGATION = re.compile(r"!(?:github|env|inputs|steps|needs|matrix|secrets|vars)\.[\w.()-]+\Z|![a-z]+\(.*\Z")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|\\\r?\n[ \t]*")
_TARGET_WORD = re.compile(r"(?<![A-Za-z0-9_])_target_(?![A-Za-z0-9_])")
_TARGET = re.compile(_TARGET_WORD.pattern + r"""["']?\s*:\s*["']?([\w.:\-]*)""")
_SWITCH = re.compile(
    r"""(?:^|[\s{,"'])(auto_map|trust_remote_code|custom_pipelines?|custom_generate)["']?\s*:[ \t]*(\S*)""",
    re.MULTILINE,
)
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "off", "null", "~", "{}", "[]"})


def _unescaped(text: str) -> str:
    """The text with the escapes of double-quoted scalars resolved, so that no key hides behind them."""

    def character(match: re.Match[str]) -> str:
        digits = match.group(1) or match.group(2) or match.group(3)
        number = int(digits, 16) if digits else 0
        return chr(number) if 0 < number < 0x110000 else ""

    return _ESCAPE.sub(character, text)


def _plain_lines(text: str) -> str:
    """The text with one kind of line break, one blank where there are many, and no byte order marks."""
    return _BLANKS.sub(" ", _BREAKS.sub("\n", text.replace("\ufeff", "")))


def yaml_findings(data: bytes) -> list[Finding]:
    """Findings of a whole YAML file: tags and `_target_` (code-exec or remote-code), switches for remote code."""
    text = _unescaped(_plain_lines(data.decode("utf-8", "replace")))
    return [*_tag_findings(text), *_target_findings(text), *_switch_findings(text)]


def _tag_findings(text: str) -> Iterator[Finding]:
    if re.search(r"^%TAG\b", text, re.MULTILINE):
        message = "a %TAG directive, which renames tags"
        yield Finding("yaml.tag", FindingClass.CODE_EXEC, Severity.HIGH, message)
    if _LONG_ANCHOR.search(text):
        message = "an anchor of more than 200 characters, which can hide a tag"
        yield Finding("yaml.anchor", FindingClass.AMBIGUITY, Severity.HIGH, message)
    tags = {m.group(1) for m in _TAG.finditer(text)} | set(_PYTHON_MARK.findall(text))
    tags -= _CORE_TAGS
    for tag in sorted(tag for tag in tags if not _NEGATION.match(tag))[:_MAX_NAMED]:
        if _PYTHON_TAG.search(tag) or runs_commands(tag.partition(":")[2]):
            message = "a YAML tag that makes the loader import and call what it names"
            yield Finding("yaml.tag", FindingClass.CODE_EXEC, Severity.CRITICAL, message, symbol=printable(tag))
        else:
            message = "a YAML tag of an application: its loader decides what it builds"
            yield Finding("yaml.tag", FindingClass.REMOTE_CODE, Severity.HIGH, message, symbol=printable(tag))


def _target_findings(text: str) -> Iterator[Finding]:
    targets = sorted({m.group(1) for m in _TARGET.finditer(text)})
    if not targets and _TARGET_WORD.search(text):
        targets = [""]
    for target in targets[:_MAX_NAMED]:
        if runs_commands(target):
            message = "a Hydra `_target_` that runs commands or code"
            yield Finding("yaml.target", FindingClass.CODE_EXEC, Severity.CRITICAL, message, symbol=printable(target))
        else:
            message = "a Hydra `_target_`: the loader imports and calls what it names"
            yield Finding("yaml.target", FindingClass.REMOTE_CODE, Severity.HIGH, message, symbol=printable(target))


def _switch_findings(text: str) -> Iterator[Finding]:
    for name in sorted({m.group(1) for m in _SWITCH.finditer(text) if m.group(2) not in _FALSE}):
        message = "a switch that makes the loader run code of the repository"
        yield Finding("yaml.switch", FindingClass.REMOTE_CODE, Severity.HIGH, message, symbol=name)
