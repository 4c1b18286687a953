"""Builds small files of the inert formats for tests."""

import io
import struct
import wave
import zlib


def png(extra=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0\0"))
        + chunk(b"IEND", b"")
        + extra
    )


def jpeg(segment=b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"):
    return b"\xff\xd8" + segment + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\x12" * 20 + b"\xff\xd9"


def gif(extra=b""):
    return b"GIF89a\1\0\1\0\0\0\0" + b"\x2c\0\0\0\0\1\0\1\0\0\2\2D\1\0" + b"\x3b" + extra


def riff(kind, body, extra=b""):
    return b"RIFF" + struct.pack("<I", len(body) + 4) + kind + body + extra


def bmp():
    return b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + b"\x28" + b"\0" * 43


def tiff(next_directory=0):
    return b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 256, 3, 1, 1) + struct.pack("<I", next_directory)


def wav():
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\1\0" * 100)
    return out.getvalue()


def flac():
    return b"fLaC\x80\0\0\x22" + b"\1" * 34 + b"\xff\xf8" + b"\0" * 20


def ogg():
    page = b"OggS\0%b" + b"\0" * 20 + b"\1\x05hello"
    return (page % b"\2") + (page % b"\4")


def mp3(tag=b""):
    frame = b"\xff\xfb\x90\x00" + b"\0" * 413
    return tag + frame * 3


def id3(length=20):
    return b"ID3\4\0\0" + bytes([0, 0, 0, length]) + b"\1" * length


def box(kind, body=b""):
    return struct.pack(">I", len(body) + 8) + kind + body


def mp4(extra=b""):
    return box(b"ftyp", b"isomiso2") + box(b"moov", b"\0" * 30) + box(b"mdat", b"x" * 50) + extra


def parquet(footer=b"\x15\x04\x19\x2c\x35\0"):
    return b"PAR1" + b"data" * 4 + footer + struct.pack("<I", len(footer)) + b"PAR1"


def arrow_file(schema=b"\x10\0\0\0" + b"s" * 28, footer=b"f" * 16):
    head = b"ARROW1\0\0" + b"\xff\xff\xff\xff" + struct.pack("<I", len(schema)) + schema
    return head + footer + struct.pack("<i", len(footer)) + b"ARROW1"


def arrow_stream(schema=b"\x10\0\0\0" + b"s" * 28):
    return b"\xff\xff\xff\xff" + struct.pack("<I", len(schema)) + schema + b"\xff\xff\xff\xff\0\0\0\0"


def piece(text, score=0.0, kind=None):
    body = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", score)
    body += b"" if kind is None else b"\x18" + bytes([kind])
    return b"\x0a" + bytes([len(body)]) + body


def sentencepiece(extra=b""):
    pieces = (
        piece(b"<unk>", 0.0, 2) + piece(b"<s>", 0.0, 3) + b"".join(piece(f"\u2581t{i}".encode(), -i) for i in range(50))
    )
    return pieces + b"\x12\x04\x0a\x02ab" + b"\x1a\x04\x0a\x02id" + extra
