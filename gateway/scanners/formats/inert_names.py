"""Which format a file promises by its name, and which inert format its bytes show.

Signatures come from the formats' own publications: PNG (W3C), JFIF, GIF89a, RIFF, BMP, TIFF 6.0, FLAC (RFC 9639),
Ogg (RFC 3533), ID3v2 and MPEG audio frames (ISO 11172-3), ISO base media (ISO 14496-12), Parquet and Arrow (Apache).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from types import MappingProxyType

from gateway.scanners.formats.sentencepiece import begins_like_sentencepiece

SNIFF_BYTES = 65_536
"""How much of the head and of the tail `sniff_inert` wants to see; less only where the file is shorter."""

_SUFFIXES = {
    "python": ".py .pyw .pyi",
    "json": ".json .ipynb .jsonl .ndjson .geojson .webmanifest",
    "markdown": ".md .markdown .mdx",
    "csv": ".csv .tsv",
    "yaml": ".yaml .yml",
    "text": ".txt .text .rst .log .vocab .merges .bpe .lst .srt .vtt .jinja .jinja2 .j2 .html .htm .toml .ini .cfg",
    "parquet": ".parquet",
    "arrow": ".arrow .feather",
    "image": ".png .jpg .jpeg .gif .webp .bmp .tif .tiff .svg",
    "audio": ".wav .flac .mp3 .ogg .oga .opus",
    "video": ".mp4 .m4v .m4a .mov",
    "safetensors": ".safetensors",
    "gguf": ".gguf",
    "onnx": ".onnx",
    "hdf5": ".h5 .hdf5",
    "numpy": ".npy",
    "npz": ".npz",
    "keras": ".keras",
}
PROMISED_BY_SUFFIX = MappingProxyType({s: fmt for fmt, suffixes in _SUFFIXES.items() for s in suffixes.split()})
TEXT_FORMATS = frozenset({"text", "markdown", "csv", "yaml"})

# Everything below space but tab, line feed, vertical tab, form feed and carriage return; escape is in coloured logs.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MP3_SYNC = (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2")


def promised_format(path: str) -> str:
    """The format word that the name promises, "" where the suffix is not in the table."""
    return PROMISED_BY_SUFFIX.get(PurePosixPath(path.rsplit("/", 1)[-1]).suffix.lower(), "")


def _binary_format(head: bytes, tail: bytes) -> str:
    """The inert binary format that begins like `head`, "" where none does."""
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:8] == b"ARROW1\0\0" or (
        head[:4] == b"\xff\xff\xff\xff" and 0 < int.from_bytes(head[4:8], "little") < 1 << 28
    ):
        return "arrow"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image", b"WAVE": "audio"}.get(head[8:12], "")
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")):
        return "image"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and len(head) > 26:
        return "image"
    if head.startswith((b"fLaC", b"OggS", b"ID3", *_MP3_SYNC)):
        return "audio"
    if head[4:8] == b"ftyp":
        return "video"
    return "sentencepiece" if begins_like_sentencepiece(head) and tail else ""


def is_textual(sample: bytes) -> bool:
    """True where the bytes hold no control character that text has no use for. Says nothing about the encoding."""
    return _CONTROL.search(sample) is None


def _textual_format(head: bytes, tail: bytes, promised: str) -> str:
    if head.removeprefix(b"\xef\xbb\xbf").startswith(b"#!"):
        return "executable"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:256]
    if start.startswith(b"<?xml") or (start.startswith(b"<") and promised == ""):
        # XML is read by entity-expanding parsers (PMML, OpenVINO): only SVG is an inert kind of it.
        return "image" if b"<svg" in head.lower() else "unknown"
    if start.startswith(b"<svg") or (promised == "image" and start.startswith(b"<!--") and b"<svg" in head.lower()):
        return "image"
    if start.startswith(b"tree\nversion="):
        return "unknown"  # a LightGBM model, for which there is no reader here
    if promised in TEXT_FORMATS or promised in {"json", "python"}:
        return promised
    looks_json = start[:1] in (b"{", b"[") and tail.rstrip()[-1:] in (b"}", b"]")
    return "json" if looks_json and promised == "" else "text"


def sniff_inert(head: bytes, tail: bytes, path: str) -> str:
    """Name the inert (or text-born) format of a file by its content; the name only tells textual formats apart.

    `head` and `tail` are the first and last SNIFF_BYTES of the file (the same bytes for a short file).
    Returns "empty", "text", "markdown", "csv", "yaml", "json", "python", "parquet", "arrow", "image", "audio", "video",
    "sentencepiece", "executable" (text that begins with `#!`), or "unknown". Pure; raises nothing. It does not look for
    pickles, archives or machine code: call it after those checks.
    """
    if not head:
        return "empty"
    promised = promised_format(path)
    if promised == "python":
        return "python"
    if is_textual(head) and is_textual(tail):
        return _textual_format(head, tail, promised)
    # UTF-16 and UTF-32 text is data for people; it is judged (and refused) by the text check, except where a byte
    # signature of a binary format claims it.
    return _binary_format(head, tail) or ("json" if promised == "json" else "unknown")
