import base64
import codecs
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.evidence import FindingClass, Severity, Surface
from gateway.scanners.formats.inert import INERT_FORMATS, inspect
from gateway.scanners.reader import BytesReader
from tests.scanners.formats import inert_files as files

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12\n"
PY_TYPE = b"ARROW:extension:name arrow.py_extension_type"


def look(data, path):
    return inspect(BytesReader(data), path)


def blocks(result):
    return result.coverage.surface is not Surface.COMPLETE or any(
        f.cls is not FindingClass.POLICY for f in result.findings
    )


WHOLE = {
    "README.md": b"---\nlicense: mit\ntags:\n- a\n---\n# Model\n\n[![badge](x)](y)\n",
    "LICENSE": b"Apache License\nVersion 2.0\n",
    ".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n",
    "vocab.txt": b"[PAD]\n[unused0]\n[UNK]\nthe\nof\n\xe2\x96\x81a\n",
    "merges.txt": "#version: 0.2\n\u0120 t\nh e\n".encode(),
    "words.txt": b"cat\ndog\nthe\n.\n",
    "copyright.txt": b"copyright\nnotice\n(all rights reserved)\n",
    "data.csv": b"a,b\r\n1,2\r\n",
    "data.tsv": b"a\tb\n",
    "latin.csv": "na\xefve,caf\xe9\n".encode("latin-1"),
    "conf.yaml": b"a: &x 1\nb: *x\nurl: http://a/b!c\nnote: Hello World!\nlist: [1, 2]\n!!str c: d\ntrust_remote_code: false\n",
    "workflow.yaml": b"lora_target_linear: true\nif: ${{ !github.draft }}\nx_target_: 1\n",
    "log.log": b"\x1b[31mred\x1b[0m\n",
    "pointer.bin": LFS,
    "chat_template.jinja": b"{{ messages[0].content }}",
    "empty.txt": b"",
    "tokenizer.model": files.sentencepiece(),
    "a.svg": b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>",
}

SAMPLED = {
    "a.png": files.png(),
    "a.jpg": files.jpeg(),
    "camera.jpg": files.jpeg() + b"appended by a camera",
    "a.gif": files.gif(),
    "a.webp": files.riff(b"WEBP", b"VP8 \4\0\0\0abcd"),
    "a.bmp": files.bmp(),
    "a.tiff": files.tiff(),
    "a.wav": files.wav(),
    "a.flac": files.flac(),
    "a.ogg": files.ogg(),
    "a.mp3": files.mp3(),
    "tagged.mp3": files.mp3(files.id3()),
    "padded.mp3": files.mp3(files.id3() + b"\0" * 100),
    "a.mp4": files.mp4(),
    "a.parquet": files.parquet(),
    "a.arrow": files.arrow_file(),
    "stream.arrow": files.arrow_stream(),
}

CONTENT_MISMATCH = {
    "png with a tail": ("a.png", files.png(b"PK\3\4")),
    "png cut": ("a.png", files.png()[:-4]),
    "png chunk too long": ("a.png", files.png()[:33] + b"\xff\xff\xff\xff" + files.png()[37:]),
    "png without header": ("a.png", files.png()[:8] + files.png()[33:]),
    "png only magic": ("a.png", files.png()[:8] + b"\0\1"),
    "jpeg broken": ("a.jpg", b"\xff\xd8\xff\xe0\0\0" + b"\0" * 50),
    "jpeg without scan": ("a.jpg", files.jpeg()[:20]),
    "gif with a tail": ("a.gif", files.gif(b"tail\0")),
    "webp with a tail": ("a.webp", files.riff(b"WEBP", b"VP8 \4\0\0\0abcd", b"PK\3\4tail")),
    "webp cut": ("a.webp", files.riff(b"WEBP", b"VP8 \4\0\0\0abcd")[:-2]),
    "bmp length": ("a.bmp", files.bmp() + b"x"),
    "tiff circle": ("a.tiff", files.tiff(8)),
    "tiff beyond": ("a.tiff", files.tiff(4000)),
    "wav cut": ("a.wav", files.wav()[:-9]),
    "flac without info": ("a.flac", b"fLaC\x04\0\0\x22" + b"\0" * 50),
    "ogg cut": ("a.ogg", files.ogg()[:30]),
    "ogg second page": ("a.ogg", files.ogg()[:33] + b"MZ\0\0\0\0"),
    "mp3 without frames": ("a.mp3", files.id3() + b"MZ\0\0" * 30),
    "mp3 one frame": ("a.mp3", files.mp3()[:417] + b"\x7fELF" + b"\0" * 30),
    "mp4 with a tail": ("a.mp4", files.mp4(b"PK\3\4")),
    "mp4 box too long": ("a.mp4", files.mp4(b"\x7f\0\0\0free")),
    "mp4 without index": ("a.mp4", files.box(b"ftyp", b"isom") + files.box(b"mdat", b"x\0")),
    "parquet without tail": ("a.parquet", files.parquet()[:-4] + b"PARX"),
    "parquet encrypted": ("a.parquet", files.parquet()[:-4] + b"PARE"),
    "parquet footer too long": ("a.parquet", files.parquet()[:-8] + b"\xff\xff\xff\x7fPAR1"),
    "parquet footer of another kind": ("a.parquet", files.parquet(b"GARBAGE\1")),
    "arrow without footer": ("a.arrow", files.arrow_file()[:-6] + b"ARROWX"),
    "arrow footer too long": ("a.arrow", files.arrow_file()[:-10] + b"\xff\xff\xff\x7fARROW1"),
    "arrow stream cut": ("a.arrow", files.arrow_stream()[:20]),
    "arrow stream without message": ("a.arrow", files.arrow_stream(b"\xff\xff\0\0" + b"s" * 28)),
    "arrow stream then other bytes": ("a.arrow", files.arrow_stream()[:-8] + b"\x80\x04cos."),
    "sentencepiece with a tail": ("tokenizer.model", files.sentencepiece(b"PK\3\4 tail\0")),
    "sentencepiece cut": ("tokenizer.model", files.sentencepiece()[:-1]),
    "sentencepiece odd field": ("tokenizer.model", files.sentencepiece(b"\x3a\x01a")),
    "sentencepiece odd wire": ("tokenizer.model", files.sentencepiece(b"\x08\x01")),
    "text pickle": ("a.txt", b"cos\nsystem\n(S'id'\ntR."),
    "text pickle INST": ("a.txt", b"(S'id'\nios\nsystem\n."),
    "text pickle OBJ": ("vocab.txt", b"(cos\nsystem\nS'id'\no."),
    "text pickle hex int": ("a.csv", b"I0x10\n0cos\nsystem\n(S'id'\ntR."),
    "text pickle that breaks after": ("a.md", b"cos\nsystem\n(S'id'\ntR" + b"broken"),
    "text pickle padded": ("a.txt", b"N0" * 200_000 + b"cos\nsystem\n(S'id'\ntR."),
    "text pickle in latin-1": ("a.txt", b"\x8c\x09posixpath\x8c\x0acommonpath\x93(tR."),
    "text pickle in yaml": ("a.yaml", b"cos\nsystem\n(S'id'\ntR."),
    "late NUL": ("a.csv", b"a,b\n" * 50_000 + b"\0" + b"a,b\n" * 50_000),
    "template not UTF-8 is a finding": ("t.jinja", b"{{ x }}\xff\xff"),
}

NOT_INERT = {
    "a.txt": b"\x80\x04\x95\0\0\0\0",
    "b.txt": "text".encode("utf-16"),
    "c.bin": bytes(range(256)),
    "d.pmml": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><PMML>&e;</PMML>",
    "e.xml": b"<net><layers><layer type='Extension'/></layers></net>",
    "model.txt": b"tree\nversion=v4\n",
    "f.pdf": b"%PDF-1.4\n\x80\x81\0",
    "g.ttf": b"\0\1\0\0\0\x0c",
    "h.json": b"{}",
    "i.py": b"import os\n",
}

YAML_ATTACKS = {
    "python object": "a: !!python/object/apply:os.system [id]",
    "python name": "a: !!python/name:os.system",
    "python module": "- !!python/module:os",
    "short tag": "a: !python/object:x.Y {}",
    "verbatim tag": "a: !<tag:yaml.org,2002:python/object/apply:os.system> [id]",
    "percent escape": "a: !!py%74hon/name:os.system",
    "tag handle": "%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os.system",
    "renamed handle": "%TAG !e! tag:yaml.org,2002:\n---\na: !e!python/name:os.system",
    "anchor first": "a: &x !!python/name:os.system",
    "at root": "!!python/object/apply:os.system [id]",
    "after document mark": "--- !!python/object/apply:os.system [id]",
    "next line": "a:\n  !!python/object/apply:os.system\n  - id",
    "flow": "{a: [1, !!python/name:os.system ]}",
    "complex key": "? !!python/name:os.system\n: 1",
    "apply": "x: !apply:os.system [id]",
    "flow in flow": "{{!!python/name:os.system : 1}: 2}",
    "flow at once": "x: {!!python/name:os.system : 1}",
    "new": "x: !new:torch.nn.Linear\n  in: 1",
    "include": "x: !include:other.yaml",
    "function": "doc: !function utils.process",
    "ruby": "--- !ruby/object:Gem::Installer\ni: x",
    "java": "!!javax.script.ScriptEngineManager [x]",
    "target": "model:\n  _target_: os.system\n  command: id",
    "target of a package": "model:\n  _target_: mypkg.Model",
    "quoted target": '"_target_": builtins.exec',
    "escaped target": '"\\x5ftarget\\u005f": builtins.exec',
    "folded target": '"_tar\\\n  get_": builtins.exec',
    "target as complex key": "? _target_\n: os.system",
    "auto_map": "auto_map:\n  AutoModel: m.C",
    "trust": "trust_remote_code: true",
    "custom pipeline": "custom_pipeline: org/repo",
    "after a lone carriage return": "# x\r!!python/object/apply:os.system [id]",
    "after a next-line character": "# x\x85!!python/object/apply:os.system [id]",
    "after a line separator": "# x\u2028!!python/object/apply:os.system [id]",
    "after a byte order mark": "\ufeff!!python/object/apply:os.system [id]",
    "far to the right": "a: " + " " * 300 + "!!python/object/apply:os.system [id]",
    "far to the right in a line": "a:\n" + " " * 300 + "!apply:os.system [id]",
    "behind a long anchor": "&" + "a" * 300 + " !!python/object/apply:os.system [id]",
    "renamed handle behind carriage returns": "#\r%TAG !e! tag:yaml.org,2002:python/\r---\r!e!name:os.system",
}


def test_each_word_of_the_table_has_a_benign_file_here():
    shown = {look(data, path).format for path, data in [*WHOLE.items(), *SAMPLED.items()]}
    assert shown == set(INERT_FORMATS)


@pytest.mark.parametrize("path", sorted(WHOLE))
def test_files_looked_at_whole(path):
    result = look(WHOLE[path], path)
    assert (result.coverage.surface, result.coverage.whole_file, result.findings) == (Surface.COMPLETE, True, ())


@pytest.mark.parametrize("path", sorted(SAMPLED))
def test_containers_walked_without_their_payload(path):
    result = look(SAMPLED[path], path)
    assert (result.coverage.surface, result.coverage.whole_file, result.findings) == (Surface.COMPLETE, False, ())


@pytest.mark.parametrize("name", sorted(CONTENT_MISMATCH))
def test_what_fails_its_content_check_blocks(name):
    path, data = CONTENT_MISMATCH[name]
    result = look(data, path)
    assert blocks(result), result
    assert any(f.cls is FindingClass.AMBIGUITY for f in result.findings) or result.coverage.surface is Surface.NOT_RUN


@pytest.mark.parametrize("path", sorted(NOT_INERT))
def test_what_is_not_in_the_table_is_not_judged(path):
    result = look(NOT_INERT[path], path)
    assert (result.coverage.surface, result.coverage.cause) == (Surface.NOT_RUN, "unsupported-format")


class Payload:
    def __reduce__(self):
        return (codecs.encode, ("inert", "rot13"))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "path",
    ["vocab.txt", "a.csv", "README.md", "conf.yaml", "LICENSE", "tokenizer.model", "a.png", "a.mp3", "a.parquet"],
)
def test_pickles_under_inert_names_never_read_clean(path, protocol):
    assert blocks(look(pickle.dumps(Payload(), protocol), path))


@pytest.mark.parametrize("name", sorted(YAML_ATTACKS))
@pytest.mark.parametrize("path", ["conf.yaml", "hparams.YML"])
def test_yaml_that_builds_objects_is_a_blocking_finding(name, path):
    result = look(YAML_ATTACKS[name].encode(), path)
    assert {f.cls for f in result.findings} & {FindingClass.CODE_EXEC, FindingClass.REMOTE_CODE}, result


@pytest.mark.parametrize(
    "name",
    ["python object", "percent escape", "apply", "target", "escaped target", "verbatim tag", "behind a long anchor"],
)
def test_yaml_that_runs_commands_is_critical(name):
    found = look(YAML_ATTACKS[name].encode(), "a.yaml").findings
    assert any((f.cls, f.severity) == (FindingClass.CODE_EXEC, Severity.CRITICAL) for f in found)


def test_an_alias_bomb_is_never_expanded():
    bomb = b"a0: &a0 [x,x]\n" + b"".join(b"a%d: &a%d [*a%d,*a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 60))
    assert look(bomb, "a.yaml").findings == ()


@pytest.mark.parametrize("path", ["chat_template.jinja", "additional_chat_templates/tool.JINJA", "x.j2"])
def test_template_files_are_held_against_the_allow_list(path):
    found = look(b"{{ cycler.__init__.__globals__ }}", path).findings
    assert (found[0].cls, found[0].severity) == (FindingClass.TEMPLATE, Severity.CRITICAL)


@pytest.mark.parametrize("data", [b"#!/bin/sh\nid\n", b"#!/usr/bin/env python3\n", b"\xef\xbb\xbf#!/bin/sh\n"])
def test_a_script_is_an_embedded_executable(data):
    result = look(data, "run.txt")
    assert result.format == "executable"
    assert result.findings[0].cls is FindingClass.EMBEDDED_EXE


def test_a_kernel_repository_is_remote_code():
    data = b'[general]\nname = "relu"\n[torch]\nsrc = ["a.cpp"]\n[kernel.relu]\nbackend = "cuda"\n'
    assert [f.cls for f in look(data, "build.toml").findings] == [FindingClass.REMOTE_CODE]


@pytest.mark.parametrize("unit", [b"!", b"&", b"!<", b"%41", b"_target_:", b"<!doctype ", b" on", b"{{", b"\\\n"])
@pytest.mark.parametrize("path", ["a.yaml", "a.svg", "a.txt"])
def test_repetition_is_judged_in_linear_time(unit, path):
    """Quadratic patterns would need hours here, far past the time limit of a test."""
    assert look(b"<svg>" * (path == "a.svg") + unit * (2_000_000 // len(unit)), path).coverage is not None


def test_html_and_script_sources_are_noted():
    assert look(b"<!DOCTYPE html><html><script>x</script>", "index.html").findings[0].cls is FindingClass.POLICY
    assert look(b"echo hi\n", "run.sh").findings[0].cls is FindingClass.POLICY


@pytest.mark.parametrize(
    "body",
    [
        b"<script>x</script>",
        b"<g onload='x'/>",
        b"<a href='javascript:x'/>",
        b"<foreignObject/>",
        b"<s:script/>",
        b"<a href='&#106;avascript:x'/>",
    ],
)
def test_an_active_svg_is_a_finding(body):
    assert look(b"<svg xmlns='x'>" + body + b"</svg>", "a.svg").findings[0].cls is FindingClass.CODE_EXEC


def test_an_svg_with_entities_is_a_finding():
    data = b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><svg>&e;</svg>"
    assert look(data, "a.svg").findings[0].cls is FindingClass.CODE_EXEC


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.parquet", files.parquet(b"\x15\x04" + PY_TYPE + b"\0")),
        (
            "b.parquet",
            files.parquet(b"\x15\x04ARROW:schema\x18" + base64.b64encode(b"pad" + PY_TYPE + b"pad" * 9) + b"\0"),
        ),
        ("a.arrow", files.arrow_file(b"\x10\0\0\0" + PY_TYPE)),
        ("b.arrow", files.arrow_file(footer=PY_TYPE)),
        ("c.arrow", files.arrow_stream(b"\x10\0\0\0" + PY_TYPE)),
    ],
)
def test_column_types_that_unpickle_are_code_exec(path, data):
    (finding,) = look(data, path).findings
    assert (finding.cls, finding.severity) == (FindingClass.CODE_EXEC, Severity.CRITICAL)


class LongReader:
    """A large file of one repeated line, made as it is read."""

    def __init__(self, line, size):
        self.size = size
        self.bytes_read = 0
        self._line = line

    def read(self, offset, length):
        length = max(0, min(length, self.size - offset))
        self.bytes_read += length
        start = offset % len(self._line)
        return (self._line * (length // len(self._line) + 2))[start : start + length]


@pytest.mark.parametrize("line", [b"a,b\n", "na\u00efve,\u20ac\U0001f600\n".encode()])
def test_long_text_is_sampled(line):
    reader = LongReader(line, 10**9 + 1)
    result = inspect(reader, "data.csv")
    assert (result.coverage.surface, result.coverage.whole_file, result.findings) == (Surface.COMPLETE, False, ())
    assert reader.bytes_read < 4 * 1024 * 1024


def test_long_text_with_binary_in_its_middle_fails():
    class Spiked(LongReader):
        def read(self, offset, length):
            data = super().read(offset, length)
            return data[:100] + b"\0" + data[101:] if offset == self.size // 2 else data

    assert inspect(Spiked(b"a,b\n", 10**9), "data.csv").coverage.surface is Surface.FAILED


@pytest.mark.parametrize("path", ["a.yaml", "t.jinja", "a.svg"])
def test_what_may_act_is_never_judged_by_samples(path):
    line = b"<svg>\n" if path == "a.svg" else b"a: b\n"
    assert inspect(LongReader(line, 10**9), path).coverage.surface is Surface.PARTIAL


def test_a_sentencepiece_model_too_large_is_partial():
    assert inspect(LongReader(files.piece(b"tok"), 10**9), "t.model").coverage.surface is Surface.PARTIAL


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([*WHOLE.items(), *SAMPLED.items()]), st.data())
def test_mutated_files_never_raise(sample, data):
    path, raw = sample[0], bytearray(sample[1] or b"x")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(min_size=1, max_size=9))
    assert look(bytes(raw), path).coverage is not None


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([b"", *(d[:12] for d in SAMPLED.values())]),
    st.binary(max_size=200),
    st.sampled_from([*WHOLE, *SAMPLED]),
)
def test_random_bytes_never_raise(head, raw, path):
    assert look(head + raw, path).coverage is not None
