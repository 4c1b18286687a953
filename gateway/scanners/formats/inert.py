"""Formats that carry data and nothing that acts: the table of them, each with the check of its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.formats import inert_text, sentencepiece
from gateway.scanners.formats.inert_columnar import inspect_arrow, inspect_parquet
from gateway.scanners.formats.inert_images import Check, image_check
from gateway.scanners.formats.inert_media import media_check
from gateway.scanners.formats.inert_names import SNIFF_BYTES, sniff_inert
from gateway.scanners.reader import Inspection, Reader


def _empty(reader: Reader, path: str) -> Inspection:
    del reader, path
    return Inspection("empty", Coverage(Surface.COMPLETE, whole_file=True))


def _mismatch(fmt: str, message: str) -> Inspection:
    finding = Finding("file.content-mismatch", FindingClass.AMBIGUITY, Severity.HIGH, message)
    return Inspection(fmt, Coverage(Surface.FAILED, whole_file=False, cause="content-mismatch"), (finding,))


def _checked(fmt: str, check: Check, reader: Reader) -> Inspection:
    fault = check(reader)
    return _mismatch(fmt, fault) if fault else Inspection(fmt, Coverage(Surface.COMPLETE, whole_file=False))


def _image(reader: Reader, path: str) -> Inspection:
    del path
    known = image_check(reader.read(0, 16))
    return _checked("image", known[1], reader) if known else inert_text.inspect_svg(reader)


def _media(reader: Reader, path: str) -> Inspection:
    del path
    known = media_check(reader.read(0, 16))
    return _checked(known[0], known[1], reader) if known else _mismatch("unknown", "neither sound nor film")


def _parquet(reader: Reader, path: str) -> Inspection:
    del path
    return inspect_parquet(reader)


def _arrow(reader: Reader, path: str) -> Inspection:
    del path
    return inspect_arrow(reader)


INERT_FORMATS: Mapping[str, Callable[[Reader, str], Inspection]] = MappingProxyType(
    {
        "empty": _empty,
        "text": inert_text.inspect,
        "markdown": inert_text.inspect,
        "csv": inert_text.inspect,
        "yaml": inert_text.inspect,
        "parquet": _parquet,
        "arrow": _arrow,
        "image": _image,
        "audio": _media,
        "video": _media,
        "sentencepiece": sentencepiece.inspect,
    }
)
"""Format word -> check of its content. What is not in this table is not inert."""


def inspect(reader: Reader, path: str) -> Inspection:
    """Judge a file as the inert format that its content shows.

    Well-formed is `complete`; whole_file is True only where every byte was looked at (text up to 16 MiB, SentencePiece,
    empty files). A file that fails its check is surface `failed`, cause "content-mismatch", with a finding of class
    ambiguity. Content of no inert format is `not_run`, cause "unsupported-format". Raises only the reader's errors.
    """
    head = reader.read(0, SNIFF_BYTES)
    tail = reader.read(max(reader.size - SNIFF_BYTES, 0), SNIFF_BYTES)
    word = sniff_inert(head, tail, path)
    if word == "executable":
        return inert_text.inspect(reader, path)
    check = INERT_FORMATS.get(word)
    if check is None:
        return Inspection(word, Coverage(Surface.NOT_RUN, whole_file=False, cause="unsupported-format"))
    return check(reader, path)


__all__ = ["INERT_FORMATS", "SNIFF_BYTES", "inspect", "sniff_inert"]
