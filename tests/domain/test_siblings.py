"""Guesses by name, and the twin rule: a twin that is not a whole load is no twin."""

import pytest

from gateway.domain.artifact import FileEntry
from gateway.domain.siblings import file_facts, format_guess


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("model.safetensors", "safetensors"),
        ("a/b/Model-Q4_K_M.GGUF", "gguf"),
        ("pytorch_model.bin", "torch-zip"),
        ("openvino_model.bin", "unknown"),
        ("data.pkl", "pickle"),
        ("tokenizer.model", "sentencepiece"),
        ("spiece.model", "sentencepiece"),
        ("config.json", "json"),
        ("modeling_x.py", "python"),
        ("README.md", "markdown"),
        ("LICENSE", "text"),
        ("LICENSE.json.unknownthing", "unknown"),
        ("train-00000-of-00001.parquet", "parquet"),
        ("archive.tar.gz", "gzip"),
        ("model.safetensors.pkl", "pickle"),
        ("noextension", "unknown"),
        (".gitattributes", "text"),
        ("merges.txt", "text"),
    ],
)
def test_the_last_suffix_of_the_name_makes_the_guess(path, word):
    assert format_guess(path) == word


def twins(*names, sizes=None):
    sizes = sizes or {}
    facts = file_facts(FileEntry(name, sizes.get(name, 1000), "0" * 40) for name in names)
    return {fact.entry.path: fact.twin for fact in facts if fact.twin}


@pytest.mark.parametrize(
    ("pickle", "twin"),
    [
        ("pytorch_model.bin", "model.safetensors"),
        ("unet/diffusion_pytorch_model.fp16.bin", "unet/diffusion_pytorch_model.fp16.safetensors"),
        ("adapter_model.bin", "adapter_model.safetensors"),
        ("pytorch_model.fp16.bin", "model.fp16.safetensors"),
        ("pytorch_model-00001-of-00002.bin", "model.safetensors"),
    ],
)
def test_an_unsharded_safetensors_file_of_the_same_load_is_the_twin(pickle, twin):
    assert twins(pickle, twin) == {pickle: twin}


@pytest.mark.parametrize(
    ("pickle", "other"),
    [
        ("pytorch_model.bin", "sub/model.safetensors"),
        ("sub/pytorch_model.bin", "model.safetensors"),
        ("pytorch_model.bin", "model.fp16.safetensors"),
        ("pytorch_model.fp16.bin", "model.safetensors"),
        ("pytorch_model.bin", "adapter_model.safetensors"),
        ("pytorch_model.bin", "pytorch_model.safetensors"),
        ("training_args.bin", "model.safetensors"),
        ("model.bin", "model.safetensors"),
        ("pytorch_model.bin", "model.safetensors.bak"),
        ("pytorch_model.pkl", "model.safetensors"),
    ],
)
def test_another_folder_variant_or_load_is_no_twin(pickle, other):
    assert twins(pickle, other) == {}


SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"


def test_a_full_indexed_set_of_shards_is_the_twin_of_every_pickled_shard():
    found = twins("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", *SHARDS, INDEX)
    assert found == {
        "pytorch_model-00001-of-00002.bin": SHARDS[0],
        "pytorch_model-00002-of-00002.bin": SHARDS[1],
    }


def test_a_differently_sharded_pickle_still_has_a_twin():
    assert twins("pytorch_model-00003-of-00003.bin", *SHARDS, INDEX) == {"pytorch_model-00003-of-00003.bin": SHARDS[0]}


def test_a_set_with_a_gap_or_without_its_index_is_no_twin():
    assert twins("pytorch_model.bin", SHARDS[0], INDEX) == {}
    assert twins("pytorch_model.bin", *SHARDS) == {}
    assert (
        twins("pytorch_model.bin", "model-00001-of-00002.safetensors", "model-00003-of-00002.safetensors", INDEX) == {}
    )
    assert twins("pytorch_model.bin", "model-00000-of-00000.safetensors", INDEX) == {}


def test_shards_of_two_different_sets_do_not_complete_each_other():
    assert (
        twins("pytorch_model.bin", "model-00001-of-00002.safetensors", "model-00002-of-00003.safetensors", INDEX) == {}
    )


@pytest.mark.parametrize("form", ["model.fp16-{}-of-00002.safetensors", "model-{}-of-00002.fp16.safetensors"])
def test_variant_shards_are_read_in_both_namings(form):
    shards = [form.format("00001"), form.format("00002")]
    found = twins("pytorch_model.fp16.bin", *shards, "model.safetensors.index.fp16.json")
    assert found == {"pytorch_model.fp16.bin": shards[0]}


def test_a_hollow_safetensors_file_is_no_twin():
    assert twins("pytorch_model.bin", "model.safetensors", sizes={"model.safetensors": 8}) == {}
    assert twins("pytorch_model.bin", *SHARDS, INDEX, sizes={SHARDS[1]: 0}) == {}


def test_an_empty_file_is_called_empty_and_order_is_kept():
    facts = file_facts([FileEntry("b.json", 0, "0" * 40), FileEntry("a.json", 2, "0" * 40)])
    assert [(f.entry.path, f.format_guess) for f in facts] == [("b.json", "empty"), ("a.json", "json")]
