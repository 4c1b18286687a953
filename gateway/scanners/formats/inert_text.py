"""Text, Markdown, CSV, YAML and SVG: checked to be text and nothing else, and for the marks that make a reader act."""

from __future__ import annotations

import re

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.formats.inert_names import is_textual, promised_format
from gateway.scanners.formats.inert_yaml import yaml_findings
from gateway.scanners.formats.pickle_likeness import begins_like_pickle
from gateway.scanners.formats.templates import check_template
from gateway.scanners.reader import Inspection, Reader

WHOLE_BYTES = 16 * 1024 * 1024
"""A text up to this size is judged whole; a longer one by three samples."""
ACTING_BYTES = 2 * 1024 * 1024
"""YAML, templates and SVG, of which any part may act, are judged only up to this size, and never by samples."""
_SAMPLE_BYTES = 1024 * 1024

_TEMPLATE_SUFFIXES = (".jinja", ".jinja2", ".j2")
_SCRIPT_SUFFIXES = (
    *(".sh", ".bash", ".zsh", ".fish", ".bat", ".cmd", ".ps1", ".vbs"),
    *(".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".lua", ".php", ".r", ".jl"),
)
_KERNEL_BUILD = re.compile(rb"^\s*\[(?:general|torch|torch-noarch|kernel)\b", re.MULTILINE)
_HTML_START = re.compile(rb"\s*<(?:!doctype html|html|head|script|body)\b", re.IGNORECASE)
_SVG_ACTIVE = re.compile(
    rb"<(?:[\w-]+:)?(?:script|foreignobject|iframe|embed|object|handler|set|animate)\b"
    rb"|\bon[a-z]{1,40}\s{0,40}=|javascript:|<!entity|<!doctype[^>]{0,1000}\[|<\?xml-stylesheet|&#",
    re.IGNORECASE,
)


def samples(reader: Reader) -> tuple[bytes, bool]:
    """The text, and True where that is all of it; of a longer one its head, middle and tail, joined."""
    if reader.size <= WHOLE_BYTES:
        return reader.read(0, reader.size), True
    starts = (0, reader.size // 2, reader.size - _SAMPLE_BYTES)
    return b"\n".join(_whole_characters(reader.read(start, _SAMPLE_BYTES)) for start in starts), False


def _whole_characters(sample: bytes) -> bytes:
    """The sample without the halves of UTF-8 characters that its edges cut."""
    begin, end = 0, len(sample)
    while begin < min(3, end) and 0x80 <= sample[begin] < 0xC0:
        begin += 1
    for back in range(1, min(4, end) + 1):
        lead = sample[end - back]
        if lead >= 0xC0:
            width = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return sample[begin : end - back] if width > back else sample[begin:end]
        if lead < 0x80:
            break
    return sample[begin:end]


def _mismatch(fmt: str, message: str) -> Inspection:
    finding = Finding("text.content-mismatch", FindingClass.AMBIGUITY, Severity.HIGH, message)
    return Inspection(fmt, Coverage(Surface.FAILED, whole_file=False, cause="content-mismatch"), (finding,))


def inspect(reader: Reader, path: str) -> Inspection:
    """Judge a text-born file by its content. A file over 16 MiB is sampled: `complete` with whole_file False.

    Not text (control characters, a pickle's start): surface `failed`, cause "content-mismatch", and a finding.
    A Jinja template or YAML over 2 MiB is `partial`, for any part of those may act.
    """
    fmt = promised_format(path)
    fmt = fmt if fmt in ("markdown", "csv", "yaml") else "text"
    data, whole = samples(reader)
    if begins_like_pickle(data):
        return _mismatch(fmt, "named as text, but begins like a pickle")
    if data.removeprefix(b"\xef\xbb\xbf").startswith(b"#!"):
        finding = Finding(
            "text.script", FindingClass.EMBEDDED_EXE, Severity.HIGH, "a script: begins with an interpreter line (#!)"
        )
        return Inspection("executable", Coverage(Surface.COMPLETE, whole_file=whole), (finding,))
    if not is_textual(data):
        return _mismatch(fmt, "named as text, but holds control characters that text has no use for")
    acts = fmt == "yaml" or path.lower().endswith(_TEMPLATE_SUFFIXES)
    if acts and reader.size > ACTING_BYTES:
        return Inspection(fmt, Coverage(Surface.PARTIAL, whole_file=False, cause="too-large"))
    return Inspection(fmt, Coverage(Surface.COMPLETE, whole_file=whole), tuple(_content_findings(data, fmt, path)))


def _content_findings(data: bytes, fmt: str, path: str) -> list[Finding]:
    lower = path.lower()
    if lower.endswith(_TEMPLATE_SUFFIXES):
        try:
            return check_template(data.decode(), path)
        except UnicodeDecodeError:
            return [
                Finding(
                    "template.encoding", FindingClass.AMBIGUITY, Severity.HIGH, "a template that is not UTF-8", path
                )
            ]
    if fmt == "yaml":
        return yaml_findings(data)
    if lower.rsplit("/", 1)[-1] == "build.toml" and _KERNEL_BUILD.search(data):
        message = "the build description of a kernel repository, whose code loaders fetch and run"
        return [Finding("text.kernel-build", FindingClass.REMOTE_CODE, Severity.HIGH, message)]
    if _HTML_START.match(data):
        return [
            Finding("text.html", FindingClass.POLICY, Severity.LOW, "an HTML page: a browser would run its scripts")
        ]
    if lower.endswith(_SCRIPT_SUFFIXES):
        return [
            Finding(
                "text.script",
                FindingClass.POLICY,
                Severity.LOW,
                "source code of a script that no loader runs by itself",
            )
        ]
    return []


def inspect_svg(reader: Reader) -> Inspection:
    """Judge an SVG image whole (up to 2 MiB): scripts, handlers, entities and foreign content are findings."""
    data, _ = samples(reader)
    if not is_textual(data) or not _is_utf8(data):
        return _mismatch("image", "an SVG that is not UTF-8 text")
    if reader.size > ACTING_BYTES:
        return Inspection("image", Coverage(Surface.PARTIAL, whole_file=False, cause="too-large"))
    found: tuple[Finding, ...] = ()
    if _SVG_ACTIVE.search(data):
        message = "an SVG with a script, an event handler, an entity or foreign content"
        found = (Finding("image.active-svg", FindingClass.CODE_EXEC, Severity.MEDIUM, message),)
    return Inspection("image", Coverage(Surface.COMPLETE, whole_file=True), found)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
