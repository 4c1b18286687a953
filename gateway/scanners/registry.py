"""Which inspector judges which format: one visible table. A format that nobody here reads is named, not judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.budget import InflateBudgetExceeded, PagedReader
from gateway.scanners.detect import PROMISES, acts_as_pickle, detect
from gateway.scanners.formats import (
    gguf,
    inert,
    jsonconfig,
    opaque,
    pickle,
    python_code,
    safetensors,
    torch,
)
from gateway.scanners.formats.inert_names import promised_format
from gateway.scanners.reader import Inspection, ReadBudgetExceeded, Reader

Inspector = Callable[[Reader, str], Inspection]


INSPECTORS: Mapping[str, Inspector] = MappingProxyType(
    {
        "empty": inert.inspect,
        "text": inert.inspect,
        "markdown": inert.inspect,
        "csv": inert.inspect,
        "yaml": inert.inspect,
        "parquet": inert.inspect,
        "arrow": inert.inspect,
        "image": inert.inspect,
        "audio": inert.inspect,
        "video": inert.inspect,
        "sentencepiece": inert.inspect,
        "json": jsonconfig.inspect,
        "python": python_code.inspect,
        "gguf": gguf.inspect,
        "safetensors": safetensors.inspect,
        "pickle": pickle.inspect,
        "torch-zip": torch.inspect_zip,
        "torch-legacy": torch.inspect_legacy,
        "numpy": opaque.objects,
        "zip": opaque.archive("zip"),
        "npz": opaque.archive("npz"),
        "keras": opaque.archive("keras"),
        "tar": opaque.tar,
        "executable": opaque.executable,
        **{
            word: opaque.unsupported(word)
            for word in ("hdf5", "onnx", "tensorflow", "tflite", "gzip", "7z", "joblib", "unknown")
        },
    }
)

_PICKLES = frozenset({"pickle", "joblib", "torch-legacy"})
_EXACT = frozenset({"safetensors", "gguf", "numpy"})
_INERT = frozenset(word for word, inspector in INSPECTORS.items() if inspector is inert.inspect)


def inspect(reader: Reader, path: str, read_budget_bytes: int) -> Inspection:
    """Detect, judge, and compare with what the name promises. Raises only what the reader raises (SourceLost)."""
    paged = PagedReader(reader, read_budget_bytes)
    word = "unknown"
    try:
        word = detect(paged, path)
        seen = INSPECTORS[word](paged, path)
        extra = _lies(path, seen.format) + _polyglots(paged, word, path)
    except ReadBudgetExceeded:
        return Inspection(word, Coverage(Surface.PARTIAL, False, "read-budget"))
    except InflateBudgetExceeded:
        finding = Finding("scan.inflate-budget", FindingClass.DOS, Severity.HIGH, "inflates past the budget of a scan")
        return Inspection(word, Coverage(Surface.PARTIAL, False, "inflate-budget"), (finding,))
    except RecursionError:
        finding = Finding("scan.nesting", FindingClass.DOS, Severity.HIGH, "nested deeper than a scan follows")
        return Inspection(word, Coverage(Surface.PARTIAL, False, "nesting"), (finding,))
    return Inspection(seen.format, seen.coverage, seen.findings + extra)


def _lies(path: str, found: str) -> tuple[Finding, ...]:
    """A name that promises a harmless format over content of another: loaders that trust the name differ."""
    promised = promised_format(path)
    expected = PROMISES.get(promised)
    if expected is None or found in expected:
        return ()
    message = f"the name promises {promised}, the content is {found}"
    return (Finding("file.extension-lies", FindingClass.AMBIGUITY, Severity.HIGH, message),)


def _polyglots(reader: Reader, word: str, path: str) -> tuple[Finding, ...]:
    """What else the bytes are: loaders that go by trial, or from the end, do not care for the format we saw.

    The tail is not read where name and content agree on a format whose length is checked to the byte.
    """
    found: tuple[Finding, ...] = ()
    if word in _INERT or (word in _EXACT and promised_format(path) != word):
        found = _hidden_archive(reader)
    if word not in _PICKLES and acts_as_pickle(reader):
        message = f"an unpickler runs these bytes, which have the form of {word}"
        found += (Finding("file.also-pickle", FindingClass.AMBIGUITY, Severity.CRITICAL, message),)
    return found


def _hidden_archive(reader: Reader) -> tuple[Finding, ...]:
    """A zip end record at the end of harmless data: zip readers start from the end and find an archive."""
    tail = reader.read(max(reader.size - 22, 0), 22)
    if len(tail) < 22 or tail[:4] != b"PK\x05\x06":
        return ()
    message = "the file ends like a zip archive: another reader sees another content"
    return (Finding("file.zip-trailer", FindingClass.AMBIGUITY, Severity.HIGH, message),)
