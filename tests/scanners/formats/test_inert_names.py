import pytest

from gateway.scanners.formats.inert import sniff_inert

PIECE = b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02"


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        ("empty.txt", b"", "empty"),
        ("README.md", b"# Title\n", "markdown"),
        ("LICENSE", b"Apache License\n", "text"),
        (".gitattributes", b"*.bin filter=lfs\n", "text"),
        ("vocab.txt", b"[PAD]\n[UNK]\n", "text"),
        ("data.csv", b"a,b\n1,2\n", "csv"),
        ("conf.yaml", b"a: 1\n", "yaml"),
        ("config.json", b'{"a": 1}', "json"),
        ("config.json", b"not json at all", "json"),
        ("config", b'{"a": 1}', "json"),
        ("notes.txt", b'{"a": 1}', "text"),
        ("modeling_x.py", b"import os\n", "python"),
        ("chat_template.jinja", b"{{ x }}", "text"),
        ("run.sh", b"#!/bin/sh\nid\n", "executable"),
        ("m.parquet", b"PAR1....\0\0PAR1", "parquet"),
        ("m.arrow", b"ARROW1\0\0rest\0", "arrow"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0", "image"),
        ("a.svg", b"<?xml version='1.0'?><svg xmlns='x'/>", "image"),
        ("a.pmml", b"<?xml version='1.0'?><!DOCTYPE x><PMML/>", "unknown"),
        ("a.xml", b"<net name='x'/>", "unknown"),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt ", "audio"),
        ("a.mp4", b"\0\0\0\x18ftypmp42", "video"),
        ("tokenizer.model", PIECE * 3, "sentencepiece"),
        ("model.txt", b"tree\nversion=v4\n", "unknown"),
        ("weights.bin", bytes(range(256)), "unknown"),
        ("utf16.csv", "a,b\n".encode("utf-16"), "unknown"),
    ],
)
def test_content_names_the_format(path, data, expected):
    assert sniff_inert(data, data, path) == expected
