"""Detection and dispatch: content decides, names that lie are told, budgets end a look, nothing raises."""

from __future__ import annotations

import random

import pytest

from gateway.domain.evidence import FindingClass, Surface
from gateway.scanners.budget import PAGE_BYTES, READ_BYTES
from gateway.scanners.detect import PROMISES, detect
from gateway.scanners.formats.inert_names import PROMISED_BY_SUFFIX
from gateway.scanners.reader import BytesReader, SourceLost
from gateway.scanners.registry import INSPECTORS, inspect
from tests.corpus import other_formats, pickles, torch_legacy, zips

WORDS = {
    "safetensors", "gguf", "torch-zip", "torch-legacy", "pickle", "zip", "json", "python", "text", "markdown", "csv", "yaml",
    "parquet", "arrow", "image", "audio", "video", "sentencepiece", "numpy", "npz", "keras", "hdf5", "onnx", "tensorflow",
    "tflite", "tar", "gzip", "7z", "joblib", "executable", "empty", "unknown",
}  # fmt: skip


def test_every_format_word_has_an_inspector() -> None:
    assert set(INSPECTORS) == WORDS


def test_every_promise_of_a_name_is_checked() -> None:
    assert set(PROMISED_BY_SUFFIX.values()) == set(PROMISES)


@pytest.mark.parametrize(
    ("data", "path", "word"),
    [
        (b"", "x.bin", "empty"),
        (pickles.BENIGN, "x.txt", "pickle"),
        (pickles.SYSTEM, "README.md", "pickle"),
        (b"N." + pickles.SYSTEM, "x", "pickle"),
        (b"(" * 150_000 + pickles.SYSTEM, "x.txt", "pickle"),
        (b"V" + b"x" * 200_000 + b"\n0" + pickles.SYSTEM, "x.txt", "pickle"),
        (zips.torch_zip(), "x.safetensors", "torch-zip"),
        (torch_legacy.benign()["legacy"], "x.json", "torch-legacy"),
        (other_formats.safetensors(other_formats.GOOD), "x.bin", "safetensors"),
        (b"GGUF\x03\x00\x00\x00" + bytes(50), "x.bin", "gguf"),
        (b"#!/usr/bin/env python3\nimport os\n", "run", "python"),
        (b"#!/bin/sh\ntrue\n", "run.txt", "executable"),
        (b'{"a": 1}', "config.json", "json"),
        (b"cat\ndog\nelephant\n", "vocab.txt", "text"),
        (b"(see below)\n", "README.md", "markdown"),
        (b"Getting started. Now read on.\n", "a.txt", "text"),
        (b"]\n}\n)\n", "a.txt", "text"),
        (bytes(2000), "weights.bin", "unknown"),
        (b"GGUF quantized files\n", "README.md", "markdown"),
        (b"x^2 + y^2\n", "a.txt", "text"),
        (b"MZ\nMA\n", "vocab.txt", "text"),
        (b"BZhang wrote this\n", "a.txt", "text"),
        (b"MZ" + bytes(30), "tiny.bin", "executable"),
    ],
)
def test_content_decides(data: bytes, path: str, word: str) -> None:
    assert detect(BytesReader(data), path) == word


def test_words_of_a_vocabulary_are_no_pickle() -> None:
    rng = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.()[]{}#'\"!,"
    for _ in range(2000):
        lines = ["".join(rng.choices(letters, k=rng.randrange(1, 12))) for _ in range(40)]
        data = "\n".join(lines).encode()
        assert detect(BytesReader(data), "vocab.txt") != "pickle", data


@pytest.mark.parametrize(
    "path", ["model.safetensors", "model.gguf", "config.json", "a.txt", "m.onnx", "m.npy", "i.png"]
)
def test_a_lying_extension_is_an_ambiguity(path: str) -> None:
    seen = inspect(BytesReader(zips.torch_zip()), path, READ_BYTES)
    assert "file.extension-lies" in {f.rule for f in seen.findings if f.cls is FindingClass.AMBIGUITY}


def test_text_that_ends_like_a_zip_is_an_ambiguity() -> None:
    seen = inspect(BytesReader(b"x" * 100 + b"PK\x05\x06" + bytes(18)), "a.bin", READ_BYTES)
    assert seen.coverage.surface is not Surface.COMPLETE or seen.findings


def test_past_the_read_budget_the_look_is_partial() -> None:
    data = pickles.call("collections", "OrderedDict")[:-2] + b"X\x05\x00\x00\x00hello" * 60_000 + b"tR."
    seen = inspect(BytesReader(data), "x.pkl", 2 * PAGE_BYTES)
    assert (seen.coverage.surface, seen.coverage.cause) == (Surface.PARTIAL, "read-budget")


def test_a_lost_source_passes_through() -> None:
    class Lost(BytesReader):
        def read(self, offset: int, length: int) -> bytes:
            raise SourceLost("gone")

    with pytest.raises(SourceLost):
        inspect(Lost(b"x"), "x", READ_BYTES)


SEEDS = {
    "torch.pt": zips.torch_zip(),
    "legacy.bin": torch_legacy.benign()["legacy"],
    "model.safetensors": other_formats.safetensors(other_formats.GOOD),
    "data.pkl": pickles.benign()["state-4"],
    "array.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }".ljust(128)
    + bytes(16),
    "object.npy": other_formats.not_judged()["object.npy"],
    "legacy.tar": other_formats.not_judged()["legacy.tar"],
}


def mutated(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(out))
        kind = rng.randrange(4)
        if kind == 0:
            out[at] = rng.randrange(256)
        elif kind == 1:
            del out[at : at + rng.randrange(1, 9)]
        elif kind == 2:
            out[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            out[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"PK\x05\x06", b"PK\x03\x04"])
    return bytes(out)


@pytest.mark.parametrize("path", SEEDS)
def test_no_mutation_makes_a_reader_raise(path: str) -> None:
    rng = random.Random(path)
    for _ in range(1500):
        data = mutated(SEEDS[path], rng)
        if data:
            assert inspect(BytesReader(data), path, READ_BYTES).format in WORDS
