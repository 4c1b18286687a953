"""Images: the container is walked to its end, so that nothing rides behind the picture. Pixels are not decoded."""

from __future__ import annotations

from collections.abc import Callable

from gateway.scanners.reader import Reader

_MAX_STEPS = 20_000

Check = Callable[[Reader], str]
"""Takes a reader; returns what is wrong, "" for a well-formed file."""


def _u32(raw: bytes, order: str = "big") -> int:
    return int.from_bytes(raw[:4], "little" if order == "little" else "big")


def check_png(reader: Reader) -> str:
    """Chunks from IHDR to IEND, which must be the last bytes (PNG, W3C, §5.3)."""
    at = 8
    for step in range(_MAX_STEPS):
        head = reader.read(at, 8)
        if len(head) < 8:
            return "a PNG that ends early"
        if step == 0 and head != b"\0\0\0\x0dIHDR":
            return "a PNG without its header"
        at += 12 + _u32(head)
        if at > reader.size:
            return "a PNG chunk beyond the end of the file"
        if head[4:] == b"IEND":
            return "" if at == reader.size else "bytes after the end of a PNG"
    return "a PNG of too many chunks"


def check_jpeg(reader: Reader) -> str:
    """Marker segments up to the scan; what cameras append after the picture is common and allowed (ITU T.81 §B)."""
    at = 2
    for _ in range(_MAX_STEPS):
        marker = reader.read(at, 4)
        if len(marker) < 4 or marker[0] != 0xFF:
            return "a JPEG with a broken marker"
        if marker[1] == 0xFF:
            at += 1
            continue
        if marker[1] == 0xDA:
            return ""
        length = int.from_bytes(marker[2:4], "big")
        if length < 2:
            return "a JPEG with a broken segment"
        at += 2 + length
    return "a JPEG of too many segments"


def check_gif(reader: Reader) -> str:
    """A screen descriptor at the front and the trailer at the end (GIF89a §18, §27)."""
    if reader.size < 14:
        return "a GIF that ends early"
    return "" if reader.read(reader.size - 1, 1) == b"\x3b" else "a GIF without its trailer"


def check_riff(reader: Reader) -> str:
    """The RIFF length covers the file; recorders that stream leave 0 or all ones."""
    length = _u32(reader.read(4, 4), "little")
    if length in (0, 0xFFFFFFFF) and reader.read(8, 4) == b"WAVE":
        return ""
    end = 8 + length + length % 2
    if length + 8 > reader.size:
        return "a RIFF file that ends early"
    return "" if reader.size <= end else "bytes after the end of a RIFF file"


def check_bmp(reader: Reader) -> str:
    """The length and the offset of the pixels lie in the file."""
    head = reader.read(0, 18)
    length, pixels = _u32(head[2:], "little"), _u32(head[10:], "little")
    if length not in (0, reader.size) or not 14 < pixels < reader.size:
        return "a BMP whose lengths do not agree"
    return ""


def check_tiff(reader: Reader) -> str:
    """Each directory of the chain lies in the file, and the chain ends (TIFF 6.0 §2)."""
    head = reader.read(0, 8)
    order = "little" if head[:2] == b"II" else "big"
    at, seen = _u32(head[4:], order), set[int]()
    for _ in range(1000):
        if at == 0:
            return "" if seen else "a TIFF without a directory"
        if at in seen or at + 6 > reader.size:
            return "a TIFF directory beyond the end of the file, or in a circle"
        seen.add(at)
        count = int.from_bytes(reader.read(at, 2), "little" if order == "little" else "big")
        at += 2 + 12 * count
        at = _u32(reader.read(at, 4), order) if at + 4 <= reader.size else reader.size
    return "a TIFF of too many directories"


def image_check(head: bytes) -> tuple[str, Check] | None:
    """(kind, check) of the image that begins like `head`; None where none does."""
    for magic, kind, check in (
        (b"\x89PNG\r\n\x1a\n", "png", check_png),
        (b"\xff\xd8\xff", "jpeg", check_jpeg),
        (b"GIF8", "gif", check_gif),
        (b"RIFF", "webp", check_riff),
        (b"BM", "bmp", check_bmp),
        (b"II*\0", "tiff", check_tiff),
        (b"MM\0*", "tiff", check_tiff),
    ):
        if head.startswith(magic):
            return kind, check
    return None
