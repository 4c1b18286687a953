"""GGUF files: header, metadata and tensor infos, read in steps of 1 MiB; tensor data is never read.

Layout after the GGUF specification of the ggml project (docs/gguf.md), versions 2 and 3, little-endian.
"""

from __future__ import annotations

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.formats.gguf_cursor import Cursor, MalformedGguf
from gateway.scanners.formats.gguf_tensors import check_tensors
from gateway.scanners.formats.printable import printable
from gateway.scanners.formats.templates import MAX_TEMPLATE_CHARS, check_template
from gateway.scanners.reader import Inspection, Reader

_MAX_KEYS = 65_536
_MAX_KEY_BYTES = 65_535  # the specification's own bound
_MAX_STRING_BYTES = 16 * 1024 * 1024
_MAX_ITEMS = 16 * 1024 * 1024
_MAX_TEMPLATES = 64
_MAX_FINDINGS = 50
_DEFAULT_ALIGNMENT = 32
_MAX_ALIGNMENT = 1024 * 1024

_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_U32, _STRING, _ARRAY = 4, 8, 9


def ambiguity(rule: str, message: str, location: str = "") -> Finding:
    return Finding(f"gguf.{rule}", FindingClass.AMBIGUITY, Severity.HIGH, message, printable(location))


class _Metadata:
    """Walks the key-value pairs once; keeps the alignment, the number of templates and the findings."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._keys: set[bytes] = set()
        self._templates = 0
        self.alignment = _DEFAULT_ALIGNMENT
        self.findings: list[Finding] = []

    def walk(self, count: int) -> None:
        if count > _MAX_KEYS:
            raise MalformedGguf("more than 65,536 metadata keys")
        for _ in range(count):
            key = self._cursor.string(_MAX_KEY_BYTES, "a metadata key")
            name = _key_name(key)
            if key in self._keys:
                self.findings.append(
                    ambiguity("duplicate-key", "a metadata key twice: readers differ in which one counts", name)
                )
            self._keys.add(key)
            self._value(name, self._cursor.u32())

    def _value(self, name: str, kind: int) -> None:
        is_template = "template" in name.lower()
        if name == "general.alignment":
            self._alignment(kind)
        elif kind == _STRING and is_template:
            self._template(name)
        elif kind == _STRING:
            self._cursor.skip_string(_MAX_STRING_BYTES)
        elif kind == _ARRAY:
            self._array(name, is_template=is_template)
        elif kind in _SCALAR_BYTES:
            self._cursor.skip(_SCALAR_BYTES[kind])
            if is_template:
                self.findings.append(ambiguity("template-type", "a template key that holds no text", name))
        else:
            raise MalformedGguf("a metadata value of unknown type")

    def _array(self, name: str, *, is_template: bool) -> None:
        kind, count = self._cursor.u32(), self._cursor.u64()
        if count > _MAX_ITEMS:
            raise MalformedGguf("a metadata array of more than 16,777,216 items")
        if kind == _STRING and is_template:
            for index in range(count):
                self._template(f"{name}[{index}]")
        elif kind == _STRING:
            self._cursor.skip_strings(count, _MAX_STRING_BYTES)
        elif kind in _SCALAR_BYTES:
            self._cursor.skip(_SCALAR_BYTES[kind] * count)
            if is_template:
                self.findings.append(ambiguity("template-type", "a template key that holds no text", name))
        else:
            raise MalformedGguf("a metadata array of arrays or of unknown type")

    def _template(self, name: str) -> None:
        self._templates += 1
        if self._templates > _MAX_TEMPLATES:
            raise MalformedGguf("more than 64 templates")
        length = self._cursor.string_length(_MAX_STRING_BYTES)
        if length > 4 * MAX_TEMPLATE_CHARS:
            self._cursor.skip(length)
            message = "a template over 2 MiB: nothing that long is a chat template"
            self.findings.append(Finding("template.cost", FindingClass.DOS, Severity.HIGH, message, printable(name)))
            return
        try:
            text = self._cursor.take(length).decode()
        except UnicodeDecodeError:
            self.findings.append(ambiguity("template-encoding", "a template that is not UTF-8", name))
            return
        if "\0" in text:
            self.findings.append(
                ambiguity("template-nul", "a template with a NUL: readers differ in where it ends", name)
            )
        self.findings.extend(check_template(text, name))

    def _alignment(self, kind: int) -> None:
        if kind != _U32:
            raise MalformedGguf("general.alignment is no 32-bit number")
        self.alignment = self._cursor.u32()
        if not 1 <= self.alignment <= _MAX_ALIGNMENT or self.alignment & (self.alignment - 1):
            raise MalformedGguf("general.alignment is no power of two up to 1 MiB")


def _key_name(key: bytes) -> str:
    try:
        name = key.decode()
    except UnicodeDecodeError:
        raise MalformedGguf("a metadata key that is not UTF-8") from None
    if not name or not name.isprintable():
        raise MalformedGguf("a metadata key that is empty or not printable")
    return name


def _failed(cause: str, finding: Finding, found: list[Finding]) -> Inspection:
    coverage = Coverage(Surface.FAILED, whole_file=False, cause=cause)
    return Inspection("gguf", coverage, (finding, *found[:_MAX_FINDINGS]))


def inspect(reader: Reader, path: str) -> Inspection:
    """Judge header, metadata (every template in it) and tensor infos against the file's true size.

    Clean is `complete` with whole_file False. Whatever two readers could read differently is a finding of class
    ambiguity; what cannot be read further is also surface `failed`, cause "malformed". `path` is not looked at. Raises
    only the reader's SourceLost and ReadBudgetExceeded.
    """
    del path
    head = reader.read(0, 8)
    version = int.from_bytes(head[4:8], "little")
    if head[:4] != b"GGUF":
        return _failed("malformed", ambiguity("magic", "does not begin with GGUF"), [])
    if version not in (2, 3):
        if int.from_bytes(head[4:8], "big") in (1, 2, 3):
            return _failed(
                "big-endian", ambiguity("big-endian", "a big-endian GGUF: most readers refuse or misread it"), []
            )
        return _failed("unsupported-version", ambiguity("version", "a GGUF version other than 2 and 3"), [])
    cursor = Cursor(reader, 8)
    metadata = _Metadata(cursor)
    try:
        tensor_count, key_count = cursor.u64(), cursor.u64()
        metadata.walk(key_count)
        faults = check_tensors(cursor, tensor_count, metadata.alignment)
    except MalformedGguf as fault:
        return _failed("malformed", ambiguity("malformed", str(fault)), metadata.findings)
    found = [*(ambiguity("tensors", fault) for fault in faults), *metadata.findings][:_MAX_FINDINGS]
    return Inspection("gguf", Coverage(Surface.COMPLETE, whole_file=False), tuple(found))
