"""Sound and film: enough of each container is walked to know that the file is one. Samples are not decoded."""

from __future__ import annotations

from gateway.scanners.formats.inert_images import Check, check_riff
from gateway.scanners.reader import Reader

_MAX_BOXES = 10_000
# MPEG audio, layer III (ISO 11172-3 and 13818-3): kbit/s by index for version 1 and for 2/2.5, and sample rates in Hz.
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def check_flac(reader: Reader) -> str:
    """The first metadata block is STREAMINFO (RFC 9639 §8)."""
    head = reader.read(4, 4)
    return "" if head[:1] in (b"\0", b"\x80") and head[1:4] == b"\0\0\x22" else "a FLAC without its stream info"


def check_ogg(reader: Reader) -> str:
    """The first page is a version 0 page that begins a stream, and a second one follows (RFC 3533 §6)."""
    head = reader.read(0, 27 + 255)
    if len(head) < 28 or head[4] != 0 or not head[5] & 2:
        return "an Ogg without a first page"
    segments = head[26]
    following = 27 + segments + sum(head[27 : 27 + segments])
    if following >= reader.size:
        return "" if following == reader.size else "an Ogg page beyond the end of the file"
    return "" if reader.read(following, 4) == b"OggS" else "an Ogg without a second page"


def _frame_bytes(head: bytes) -> int:
    """Length of the MPEG layer III frame with this header, 0 where it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[1] >> 1 & 3 != 1:
        return 0
    version, kbits, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or kbits in (0, 15) or rate == 3:
        return 0
    table, factor = (_KBITS_1, 144_000) if version == 3 else (_KBITS_2, 72_000)
    return factor * table[kbits] // _RATES[version][rate] + (head[2] >> 1 & 1)


def check_mp3(reader: Reader) -> str:
    """After the ID3v2 tag, if any, two frames follow each other."""
    head = reader.read(0, 10)
    at = 0
    if head[:3] == b"ID3":
        if len(head) < 10 or any(byte & 0x80 for byte in head[6:10]):
            return "an ID3 tag that is broken"
        at = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        padding = reader.read(at, 4096)
        at += len(padding) - len(padding.lstrip(b"\0"))
    first = _frame_bytes(reader.read(at, 4))
    if not first:
        return "no MPEG audio where it should begin"
    following = reader.read(at + first, 4)
    return "" if not following or _frame_bytes(following) else "no second MPEG audio frame"


def check_mp4(reader: Reader) -> str:
    """Boxes one after the other up to the end of the file, a `moov` among them (ISO 14496-12 §4.2)."""
    at, kinds = 0, set[bytes]()
    for _ in range(_MAX_BOXES):
        if at == reader.size:
            return "" if b"moov" in kinds else "a film without its index"
        head = reader.read(at, 16)
        if len(head) < 8 or not head[4:8].decode("latin-1").isprintable():
            return "bytes after the last box"
        kinds.add(head[4:8])
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:
            length = reader.size - at
        at += length
        if length < 8 or at > reader.size:
            return "a box beyond the end of the file"
    return "a film of too many boxes"


def media_check(head: bytes) -> tuple[str, Check] | None:
    """(format word, check) of the sound or film that begins like `head`; None where none does."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio", check_riff
    if head[:4] == b"fLaC":
        return "audio", check_flac
    if head[:4] == b"OggS":
        return "audio", check_ogg
    if head[4:8] == b"ftyp":
        return "video", check_mp4
    return ("audio", check_mp3) if head[:3] == b"ID3" or _frame_bytes(head) else None
