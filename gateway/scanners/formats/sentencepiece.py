"""SentencePiece models: a shallow walk over the protobuf `ModelProto` (the project's sentencepiece_model.proto).

ModelProto: 1 pieces (repeated), 2 trainer_spec, 3 normalizer_spec, 4 self_test_data, 5 denormalizer_spec, 200+
extensions. SentencePiece: 1 piece (string), 2 score (float), 3 type (enum). Nothing in it executes; the walk proves
that the file is such a message and nothing else.
"""

from __future__ import annotations

from gateway.domain.evidence import Coverage, Finding, FindingClass, Severity, Surface
from gateway.scanners.reader import Inspection, Reader

MAX_BYTES = 32 * 1024 * 1024
_MAX_FIELDS = 2_000_000
_LENGTH_DELIMITED = 2
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5})


class _MalformedProto(Exception):
    """The bytes are not the protobuf message they should be."""


def _varint(data: bytes, pos: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if pos >= len(data):
            raise _MalformedProto
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, pos
    raise _MalformedProto


def _field(data: bytes, pos: int) -> tuple[int, int, int, int]:
    """Field number, wire type, and the extent of the value at `pos`."""
    key, pos = _varint(data, pos)
    number, wire = key >> 3, key & 7
    if number == 0:
        raise _MalformedProto
    if wire == 0:
        _, end = _varint(data, pos)
    elif wire == _LENGTH_DELIMITED:
        length, pos = _varint(data, pos)
        end = pos + length
    elif wire in (1, 5):
        end = pos + (8 if wire == 1 else 4)
    else:
        raise _MalformedProto
    if end > len(data):
        raise _MalformedProto
    return number, wire, pos, end


def _check_piece(data: bytes, pos: int, end: int) -> None:
    wires = {1: _LENGTH_DELIMITED, 2: 5, 3: 0}
    message, pos = data[pos:end], 0
    seen = set()
    while pos < len(message):
        number, wire, start, pos = _field(message, pos)
        if wires.get(number) != wire or number in seen:
            raise _MalformedProto
        seen.add(number)
        if number == 1:
            try:
                message[start:pos].decode()
            except UnicodeDecodeError as bad:
                raise _MalformedProto from bad
    if 1 not in seen:
        raise _MalformedProto


def _walk(data: bytes, limit: int) -> int:
    """Check up to `limit` top-level fields; returns the number of pieces. Raises _MalformedProto."""
    pos = pieces = 0
    for _ in range(limit):
        if pos >= len(data):
            return pieces
        number, wire, start, pos = _field(data, pos)
        if wire != _LENGTH_DELIMITED or not (number in _MODEL_FIELDS or number >= 200):
            raise _MalformedProto
        if number == 1:
            _check_piece(data, start, pos)
            pieces += 1
    if limit == _MAX_FIELDS:
        raise _MalformedProto
    return pieces


def begins_like_sentencepiece(head: bytes) -> bool:
    """True where the first two fields are vocabulary pieces."""
    if head[:1] != b"\x0a":
        return False
    try:
        return _walk(head, 2) == 2
    except _MalformedProto:
        return False


def inspect(reader: Reader, path: str) -> Inspection:
    """Judge a SentencePiece model whole. A model over 32 MiB is `partial` ("too-large"); `path` is not looked at."""
    del path
    if reader.size > MAX_BYTES:
        return Inspection("sentencepiece", Coverage(Surface.PARTIAL, whole_file=False, cause="too-large"))
    try:
        _walk(reader.read(0, reader.size), _MAX_FIELDS)
    except _MalformedProto:
        message = "not a well-formed SentencePiece model: unknown, truncated or trailing data"
        finding = Finding("sentencepiece.malformed", FindingClass.AMBIGUITY, Severity.HIGH, message)
        return Inspection("sentencepiece", Coverage(Surface.COMPLETE, whole_file=True), (finding,))
    return Inspection("sentencepiece", Coverage(Surface.COMPLETE, whole_file=True))
