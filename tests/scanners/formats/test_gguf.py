import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.evidence import FindingClass, Severity, Surface
from gateway.scanners.formats.gguf import inspect
from gateway.scanners.reader import BytesReader, Inspection, ReadBudgetExceeded
from tests.scanners.formats.gguf_files import gguf, kv, model, tensor, text

SSTI = "{{ cycler.__init__.__globals__.os.popen('id').read() }}"
ONE = [tensor("a", (4,), 0, 0)]


def look(data):
    return inspect(BytesReader(data), "model.gguf")


def blocks(result):
    return result.coverage.surface is not Surface.COMPLETE or any(
        f.severity in (Severity.CRITICAL, Severity.HIGH) for f in result.findings
    )


BENIGN = {
    "model": model(),
    "version 2": model(version=2),
    "no tensors": gguf([kv("general.architecture", "llama")]),
    "last tensor unpadded": gguf([], ONE, b"\0" * 16),
    "last tensor padded": gguf([], ONE, b"\0" * 32),
    "alignment 64": gguf([kv("general.alignment", 64)], ONE, b"\0" * 16, alignment=64),
    "scalar tensor": gguf([], [tensor("a", (), 0, 0)], b"\0" * 4),
    "named templates": model(
        extra=[kv("tokenizer.chat_templates", ["default", "rag"]), kv("tokenizer.chat_template.rag", "{{ x }}")]
    ),
    "empty array": model(extra=[kv("tokenizer.ggml.merges", [])]),
}

TEMPLATE_ATTACKS = {
    "plain": model(SSTI),
    "version 2": model(SSTI, version=2),
    "named": model(extra=[kv("tokenizer.chat_template.tool_use", SSTI)]),
    "array": model(extra=[kv("tokenizer.chat_templates", ["{{ x }}", SSTI])]),
    "duplicate key": model(extra=[kv("tokenizer.chat_template", SSTI)]),
    "duplicate key first": model(SSTI, extra=[kv("tokenizer.chat_template", "{{ x }}")]),
    "far": model(extra=[kv("pad", "x" * 3_000_000), kv("tokenizer.chat_template.x", SSTI)]),
    "after a long vocabulary": model(extra=[kv("v", ["tok"] * 200_000), kv("tokenizer.chat_template.x", SSTI)]),
    "padded within": model("a" * 5_000_000 + SSTI),
    "padded to one MiB": model("a" * 1_000_000 + SSTI),
    "other key": model(extra=[kv("general.Prompt_Template", SSTI)]),
    "ends in .template": model(extra=[kv("x.template", SSTI)]),
    "map attribute": model("{{ x|map(attribute='__globals__')|list }}"),
    "include": model("{% include '/etc/passwd' %}"),
    "import": model("{% import 'x' as y %}"),
    "format": model("{{ '{0.__class__}'.format(x) }}"),
    "item": model("{{ x['__class__'] }}"),
    "range": model("{% for i in range(10000000000) %}a{% endfor %}"),
    "doubling": model("{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}"),
    "nesting": model("{{ " + "(" * 10_000),
}

HUGE = 2**63
HOSTILE = {
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "version 1": b"GGUF" + struct.pack("<III", 1, 0, 0),
    "version 99": model(version=99),
    "no magic": b"GGML" + model()[4:],
    "header only": b"GGUF\x03\0\0\0",
    "empty": b"",
    "tensor count overflow": gguf(tensors=2**64 - 1),
    "tensor count too large": gguf([], ONE, b"\0" * 16, tensors=2),
    "key count overflow": gguf(keys=2**64 - 1),
    "key count too large": gguf([kv("a", 1)], keys=2),
    "key length overflow": gguf([struct.pack("<Q", 2**64 - 1) + b"a"], keys=1),
    "key too long": gguf([kv("k" * 70_000, 1)]),
    "key empty": gguf([kv("", 1)]),
    "key with NUL": gguf([kv("tokenizer.chat\0", "x")]),
    "key not UTF-8": gguf([text(b"\xff\xfe") + struct.pack("<II", 4, 1)]),
    "string length overflow": gguf([text("a") + struct.pack("<IQ", 8, 2**64 - 8)]),
    "string over file": gguf([text("a") + struct.pack("<IQ", 8, 1000)]),
    "array length overflow": gguf([text("a") + struct.pack("<IIQ", 9, 8, 2**61)]),
    "array of numbers overflow": gguf([text("a") + struct.pack("<IIQ", 9, 12, 2**61)]),
    "array item over file": gguf([text("a") + struct.pack("<IIQQ", 9, 8, 1, 5000)]),
    "array of arrays": gguf([text("a") + struct.pack("<IIQIQ", 9, 9, 1, 4, 0)]),
    "array of unknown type": gguf([text("a") + struct.pack("<IIQ", 9, 77, 0)]),
    "unknown value type": gguf([text("a") + struct.pack("<II", 13, 0)]),
    "duplicate key": gguf([kv("a", 1), kv("a", 2)]),
    "alignment 0": gguf([kv("general.alignment", 0)], ONE, b"\0" * 16),
    "alignment 24": gguf([kv("general.alignment", 24)], ONE, b"\0" * 16, alignment=24),
    "alignment huge": gguf([kv("general.alignment", 2**31)], ONE, b"\0" * 16),
    "alignment a string": gguf([kv("general.alignment", "32")], ONE, b"\0" * 16),
    "template a number": gguf([kv("tokenizer.chat_template", 1)]),
    "template array of numbers": gguf([kv("tokenizer.chat_template", [0.5])]),
    "template not UTF-8": gguf([kv("tokenizer.chat_template", b"{{ x }}\xff")]),
    "template with NUL": gguf([kv("tokenizer.chat_template", "{{ x }}\0")]),
    "many templates": gguf([kv("tokenizer.chat_templates", ["a"] * 1000)]),
    "dimensions": gguf([], [text("a") + struct.pack("<I", 2**31)], b"\0" * 100),
    "nine dimensions": gguf([], [tensor("a", (1,) * 9, 0, 0)], b"\0" * 4),
    "shape overflow": gguf([], [tensor("a", (2**32, 2**32, 2**32), 0, 0)], b"\0" * 64),
    "shape wraps to small": gguf([], [tensor("a", (HUGE, 2), 0, 0)], b"\0" * 64),
    "zero dimension": gguf([], [tensor("a", (0, 4), 0, 0)], b"\0" * 64),
    "offset overflow": gguf([], [tensor("a", (4,), 0, 2**64 - 32)], b"\0" * 64),
    "offset over file": gguf([], [tensor("a", (4,), 0, 4096)], b"\0" * 64),
    "offset unaligned": gguf([], [tensor("a", (4,), 0, 8)], b"\0" * 64),
    "overlap": gguf([], [tensor("a", (16,), 0, 0), tensor("b", (16,), 0, 32)], b"\0" * 96),
    "gap": gguf([], [tensor("a", (4,), 0, 0), tensor("b", (4,), 0, 320)], b"\0" * 336),
    "unknown tensor type": gguf([], [tensor("a", (4,), 200, 0)], b"\0" * 64),
    "rows no whole blocks": gguf([], [tensor("a", (31,), 8, 0)], b"\0" * 64),
    "duplicate tensor": gguf([], [tensor("a", (4,), 0, 0), tensor("a", (4,), 0, 32)], b"\0" * 64),
    "tensor name too long": gguf([], [tensor("a" * 300, (4,), 0, 0)], b"\0" * 64),
    "tensor name with NUL": gguf([], [tensor("a\0b", (4,), 0, 0)], b"\0" * 32),
    "tail": model() + b"PK\3\4" + b"x" * 100,
    "tail without tensors": gguf([kv("a", 1)]) + b"x" * 100,
    "data cut": model()[:-64],
    "metadata cut": model()[:300],
}


@pytest.mark.parametrize("name", sorted(BENIGN))
def test_well_formed_files_are_complete_without_findings(name):
    result = look(BENIGN[name])
    assert result == Inspection("gguf", result.coverage)
    assert result.coverage.surface is Surface.COMPLETE
    assert result.coverage.whole_file is False


@pytest.mark.parametrize("name", sorted(TEMPLATE_ATTACKS))
def test_templates_wherever_they_stand_are_judged(name):
    result = look(TEMPLATE_ATTACKS[name])
    assert any(
        f.cls in (FindingClass.TEMPLATE, FindingClass.DOS) and f.severity in (Severity.CRITICAL, Severity.HIGH)
        for f in result.findings
    )


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_malformed_files_block_with_an_ambiguity_finding(name):
    result = look(HOSTILE[name])
    assert blocks(result)
    assert any(f.cls is FindingClass.AMBIGUITY for f in result.findings), result


def test_duplicate_template_key_is_also_an_ambiguity():
    assert {f.rule for f in look(TEMPLATE_ATTACKS["duplicate key"]).findings} >= {
        "gguf.duplicate-key",
        "template.gadget",
    }


def test_a_template_found_before_the_fault_is_still_reported():
    assert any(f.cls is FindingClass.TEMPLATE for f in look(model(SSTI)[:-64] + b"").findings)


class CountingReader(BytesReader):
    def __init__(self, data):
        super().__init__(data)
        self.bytes_read = 0

    def read(self, offset, length):
        got = super().read(offset, length)
        self.bytes_read += len(got)
        return got


def test_a_long_vocabulary_is_stepped_over_in_few_reads():
    vocabulary = kv("tokenizer.ggml.tokens.x", [f"token{i}" for i in range(128_000)])
    reader = CountingReader(model(extra=[vocabulary]) + b"")
    assert look(reader.read(0, reader.size)).coverage.surface is Surface.COMPLETE
    reader.bytes_read = 0
    inspect(reader, "")
    assert reader.bytes_read < len(vocabulary) + 2 * 1024 * 1024


def test_tensor_data_is_not_read():
    data = gguf([], [tensor("a", (2**22,), 0, 0)], b"\0" * 2**24)
    reader = CountingReader(data)
    assert inspect(reader, "").coverage.surface is Surface.COMPLETE
    assert reader.bytes_read <= 1024 * 1024 + 8


class SpentReader(BytesReader):
    def read(self, offset, length):
        if offset > 100:
            raise ReadBudgetExceeded
        return super().read(offset, min(length, 100 - offset))


def test_a_spent_budget_is_the_readers_own_error():
    with pytest.raises(ReadBudgetExceeded):
        inspect(SpentReader(model(extra=[kv("p", "x" * 2_000_000), kv("q", 1)])), "")


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutated_files_never_raise(data):
    raw = bytearray(model("{{ m }}"))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    assert look(bytes(raw)).format == "gguf"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_never_raise(raw):
    assert blocks(look(raw))
    look(b"GGUF\x03\0\0\0" + raw)
