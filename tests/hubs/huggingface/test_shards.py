from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hubs.huggingface import shards
from gateway.hubs.huggingface.shards import (
    NoMetadata,
    header_length,
    is_index,
    metadata_answer,
    read_header,
    read_index,
)
from gateway.simulator import builders


def index(weight_map, **more):
    return json.dumps({"weight_map": weight_map, **more}).encode()


def test_an_index_names_its_shards_beside_it():
    named, about = read_index(
        "a/b/m.safetensors.index.json", index({"x": "2.st", "y": "1.st", "z": "2.st"}, metadata={"n": 1})
    )
    assert list(named.items()) == [("1.st", "a/b/1.st"), ("2.st", "a/b/2.st")]
    assert about == {"n": 1}
    assert read_index("m.index.json", index({"x": "sub/1.st"}, metadata=[]))[0] == {"sub/1.st": "sub/1.st"}


@pytest.mark.parametrize(
    "data",
    [
        index({"x": "../../etc/passwd"}),
        index({"x": "/etc/passwd"}),
        index({"x": "a/../b"}),
        index({"x": ""}),
        index({"x": "a\x00b"}),
        index({"x": "a%2e"}),
        index({"x": 5}),
        index(["a"]),
        index({str(n): f"{n}.st" for n in range(shards.MAX_SHARDS + 1)}),
        b"{}",
        b"[]",
        b"[" * 10_000,
        b"{\xff}",
        b"",
    ],
)
def test_a_hostile_index_names_nothing(data):
    with pytest.raises(NoMetadata):
        read_index("m.safetensors.index.json", data)


def test_a_header_is_cut_to_what_the_format_has():
    data = builders.safetensors_header({"a": (2, 3)}, {"format": "pt"})
    length = header_length(data[:8], 1000)
    assert length == len(data) - 8
    assert read_header(data[8:]) == {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    }
    odd = {
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "url": "https://x"},
        "__metadata__": {"n": 5, "t": "x"},
    }
    assert read_header(orjson.dumps(odd)) == {
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "__metadata__": {"t": "x"},
    }


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"a": 1},
        {"a": {}},
        {"a": {"dtype": "F32", "shape": [1]}},
        {"a": {"dtype": 1, "shape": [1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": ["https://x"], "data_offsets": [0, 4]}},
        {"__metadata__": []},
    ],
)
def test_what_is_no_header_is_none(value):
    with pytest.raises(NoMetadata):
        read_header(orjson.dumps(value))


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"", 0),
        (b"\x10\0\0\0", 100),
        (b"\x01" + bytes(7), 100),
        (b"\xff" * 8, 1 << 62),
        ((100).to_bytes(8, "little"), 107),
    ],
)
def test_a_length_that_cannot_be_is_refused(head, size):
    with pytest.raises(NoMetadata):
        header_length(head, size)


@given(st.binary(max_size=200))
def test_reading_raises_nothing_else(data):
    for read in (read_header, lambda raw: read_index("m.index.json", raw), lambda raw: header_length(raw[:8], 1 << 20)):
        try:
            read(data)
        except NoMetadata:
            pass


def test_the_answer_has_what_clients_read():
    assert orjson.loads(metadata_answer({"a.st": {}}, {"total_size": 1}).body) == {
        "headers": {"a.st": {}},
        "index": {"metadata": {"total_size": 1}},
    }
    assert is_index("model.safetensors.index.json")
    assert not is_index("model.safetensors")
