import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.evidence import FindingClass, Severity, Surface
from gateway.scanners.formats import jsonconfig
from gateway.scanners.reader import BytesReader
from tests.scanners.formats.benign_templates import ALL

SSTI = "{{ cycler.__init__.__globals__.os.popen('id').read() }}"
BLOCKING = {Severity.CRITICAL, Severity.HIGH}


def look(value, path="config.json"):
    raw = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
    return jsonconfig.inspect(BytesReader(raw), path)


BENIGN = {
    "config.json": {
        "architectures": ["LlamaForCausalLM"],
        "rope_scaling": {"type": "linear"},
        "eos_token_id": [1, 2],
        "trust_remote_code": False,
        "custom_pipelines": {},
        "attn_implementation": "sdpa",
        "_attn_implementation_autoset": True,
    },
    "tokenizer_config.json": {
        "model_max_length": 1000000000000000019884624838656,
        "chat_template": ALL["CHATML"],
        "added_tokens_decoder": {"0": {"content": "<pad>", "special": True}},
    },
    "named/tokenizer_config.json": {
        "chat_template": [
            {"name": "default", "template": ALL["THINKING"]},
            {"name": "rag", "template": ALL["DOCUMENTS"]},
        ]
    },
    "processor_config.json": {"chat_template": None, "image_seq_len": 3},
    "chat_template.json": {"chat_template": ALL["MULTIMODAL"]},
    "model.safetensors.index.json": {
        "metadata": {"total_size": 3},
        "weight_map": {"a.weight": "model-00001-of-00002.safetensors", "b": "text/model-2.safetensors"},
    },
    "model_index.json": {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.30",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "safety_checker": ["stable_diffusion", "X"],
        "feature_extractor": [None, None],
        "force_zeros": True,
        "sizes": [1, 2],
    },
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ],
    "adapter_config.json": {
        "peft_type": "LORA",
        "auto_mapping": {"base_model_class": "X", "parent_library": "transformers.models.llama.modeling_llama"},
    },
    "vocab.json": {
        "auto_map": 3,
        "chat_template": 4,
        "_target_": 5,
        "weight": 1,
        "class_name": 7,
        "trust_remote_code": 0,
        **{f"t{i}": i for i in range(100)},
    },
    "model.json": {"class_name": "Dense", "config": {"units": 3}},
    "tokenizer.json": {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}},
    "data.json": '{"a": 1}\n{"a": 2}\n',
    "rows.jsonl": '{"text": "x"}\n\n{"text": "y"}\r\n',
    "scalar.json": "3",
    "bom.json": "\ufeff{}",
    "deep.json": "[" * 60 + "]" * 60,
    "empty_list.json": [],
}

REMOTE_CODE = {
    "auto_map": {"auto_map": {"AutoModel": "modeling_x.Cls"}},
    "auto_map list": {"auto_map": {"AutoTokenizer": ["tok.Slow", None]}},
    "auto_map nested": {"text_config": {"auto_map": {"AutoModel": "m.C"}}},
    "auto_map in another repo": {"auto_map": {"AutoModel": "org/repo--mod.Cls"}},
    "auto_map a string": {"auto_map": "m.C"},
    "auto_map without strings": {"auto_map": {"AutoModel": 1}},
    "auto_map escaped": '{"auto\\u005fmap": {"AutoModel": "m.C"}}',
    "auto_map in lines": '{"a": 1}\n{"auto_map": {"AutoModel": "m.C"}}',
    "custom_pipelines": {"custom_pipelines": {"x": {"impl": "pipe.P", "pt": ["AutoModel"]}}},
    "custom_pipeline": {"custom_pipeline": "org/repo"},
    "trust_remote_code": {"trust_remote_code": True},
    "custom_generate": {"custom_generate": "org/repo"},
    "diffusers part with a spec": {"_diffusers_version": "1", "unet": ["evil", "X", {"repo": "a/b"}]},
    "diffusers class list": {"_class_name": ["pipeline", "MyPipeline"], "_diffusers_version": "1"},
    "diffusers class with module": {"_class_name": "mod.Cls"},
    "diffusers part": {"_class_name": "P", "_diffusers_version": "1", "unet": ["my_unet", "MyUNet"]},
    "hydra": {"model": {"_target_": "mypkg.Model"}},
    "peft parent": {"auto_mapping": {"base_model_class": "X", "parent_library": "transformers_modules.org.repo.mod"}},
    "attention kernel": {"attn_implementation": "org/kernel"},
    "attention kernel by part": {"_attn_implementation": {"text": "org/kernel:fn"}},
    "use kernels": {"use_kernels": True},
    "kernel config": {"kernel_config": {"RMSNorm": "org/kernel:RMSNorm"}},
    "notebook": {"cells": [], "nbformat": 4},
}


@pytest.mark.parametrize("path", sorted(BENIGN))
def test_ordinary_files_are_complete_without_findings(path):
    result = look(BENIGN[path], path)
    assert result.format == "json"
    assert result.coverage.surface is Surface.COMPLETE
    assert result.coverage.whole_file is True
    assert result.findings == ()


@pytest.mark.parametrize("name", sorted(REMOTE_CODE))
def test_what_makes_a_loader_run_code_is_a_remote_code_finding(name):
    result = look(REMOTE_CODE[name])
    assert any(f.cls is FindingClass.REMOTE_CODE and f.severity is Severity.HIGH for f in result.findings), result


def test_each_auto_map_target_is_a_symbol():
    found = look(
        {
            "auto_map": {
                "AutoConfig": "configuration_x.C",
                "AutoModel": "org/repo--modeling_x.M",
                "AutoTokenizer": ["t.S", "t.F"],
            }
        }
    ).findings
    assert {(f.rule, f.symbol) for f in found} == {
        ("json.auto-map", "configuration_x.C"),
        ("json.auto-map-foreign", "org/repo--modeling_x.M"),
        ("json.auto-map", "t.S"),
        ("json.auto-map", "t.F"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "my_module.MyPooling",
        "os.system",
        "sentence_transformers_evil.X",
        "sentence_transformers.models.X\n",
        "sentence_transformers",
        3,
        None,
    ],
)
def test_sentence_transformers_modules_of_other_packages_are_remote_code(kind):
    found = look([{"idx": 0, "name": "0", "path": "", "type": kind}], "modules.json").findings
    assert [f.cls for f in found] == [FindingClass.REMOTE_CODE]


def test_a_module_path_out_of_the_repo_is_traversal():
    found = look(
        [{"idx": 0, "path": "../x", "type": "sentence_transformers.models.Transformer"}], "modules.json"
    ).findings
    assert [f.cls for f in found] == [FindingClass.TRAVERSAL]


@pytest.mark.parametrize(
    "target", ["os.system", "subprocess.Popen", "builtins.eval", "x.y.exec", "torch.__builtins__.eval"]
)
def test_a_target_that_runs_commands_is_code_exec(target):
    (finding,) = look({"_target_": target}).findings
    assert (finding.cls, finding.severity, finding.symbol) == (FindingClass.CODE_EXEC, Severity.CRITICAL, target)


@pytest.mark.parametrize(
    "value",
    [
        {"class_name": "Lambda", "config": {}},
        {"layers": [{"class_name": "__lambda__"}]},
        {"py/object": "os.system"},
        {"a": [{"py/reduce": []}]},
    ],
)
def test_serialised_code_is_code_exec(value):
    assert any(f.cls is FindingClass.CODE_EXEC for f in look(value).findings)


@pytest.mark.parametrize(
    "shard",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "https://evil.test/x",
        "a\\b",
        "C:x",
        "a//b",
        "./x",
        "",
        "a\0b",
        "a\n",
        "..",
        "~/x",
        "a/..",
        "\u2024\u2024/x",
        "file:x",
    ],
)
def test_shards_outside_the_repo_are_critical_traversal(shard):
    result = look({"weight_map": {"a": "model-1.safetensors", "b": shard}}, "model.safetensors.index.json")
    assert [(f.cls, f.severity) for f in result.findings] == [(FindingClass.TRAVERSAL, Severity.CRITICAL)]


def test_pickle_shards_are_noted_without_blocking():
    (finding,) = look({"weight_map": {"a": "pytorch_model-1.bin"}}).findings
    assert (finding.cls, finding.severity) == (FindingClass.POLICY, Severity.INFO)


@pytest.mark.parametrize("value", [[], "x", {"a": 1}, {"a": ["x"]}, {"a": None}])
def test_a_weight_map_of_another_shape_is_ambiguity(value):
    assert [f.cls for f in look({"weight_map": value}).findings] == [FindingClass.AMBIGUITY]


@pytest.mark.parametrize(
    "value",
    [
        {"chat_template": SSTI},
        {"chat_template": [{"name": "a", "template": "{{ x }}"}, {"name": "b", "template": SSTI}]},
        {"chat_template": {"default": SSTI}},
        {"default_chat_template": SSTI},
        {"processor": {"chat_template": SSTI}},
        {"chat_template": "{% include 'x' %}"},
        {"chat_template": "{{ x|map(attribute='__globals__') }}"},
        '{"chat_template": "x", "chat_template": ' + json.dumps(SSTI) + "}",
        '{"chat_template": ' + json.dumps(SSTI) + ', "chat_template": "x"}',
    ],
)
@pytest.mark.parametrize("path", ["tokenizer_config.json", "processor_config.json", "chat_template.json", "x.json"])
def test_templates_in_json_are_judged(value, path):
    assert any(f.cls is FindingClass.TEMPLATE and f.severity in BLOCKING for f in look(value, path).findings)


def test_more_templates_than_are_judged_is_a_finding():
    assert any(f.cls is FindingClass.DOS for f in look({"chat_template": ["a"] * 200 + [SSTI]}).findings)


@pytest.mark.parametrize(
    ("text", "cls"),
    [
        ('{"a": 1, "a": 2}', FindingClass.AMBIGUITY),
        ('{"x": {"a": 1, "\\u0061": 2}}', FindingClass.AMBIGUITY),
        ("[" * 70 + "]" * 70, FindingClass.DOS),
        ('{"a":' * 70 + "1" + "}" * 70, FindingClass.DOS),
        ("[" * 200_000 + "]" * 200_000, FindingClass.DOS),
        ("9" * 5000, FindingClass.DOS),
        ('{"a": ' + "9" * 101 + "}", FindingClass.DOS),
        ("{'a': 1}", FindingClass.AMBIGUITY),
        ('{"a": 1,}', FindingClass.AMBIGUITY),
        ('{"a": 1} // x', FindingClass.AMBIGUITY),
        ('{"a": 1}\n{"b": 2} x', FindingClass.AMBIGUITY),
        ("", FindingClass.AMBIGUITY),
        ("version https://git-lfs.github.com/spec/v1", FindingClass.AMBIGUITY),
        ("cos\nsystem\n(S'id'\ntR.", FindingClass.AMBIGUITY),
    ],
)
def test_what_readers_could_read_differently_blocks(text, cls):
    result = look(text)
    assert any(f.cls is cls and f.severity in BLOCKING for f in result.findings), result


def test_duplicate_keys_do_not_hide_the_first_value():
    found = look('{"auto_map": {"AutoModel": "evil.M"}, "auto_map": {}}').findings
    assert {f.cls for f in found} == {FindingClass.AMBIGUITY, FindingClass.REMOTE_CODE}


def test_nested_objects_below_duplicate_keys_are_searched():
    found = look('{"a": {"auto_map": {"AutoModel": "evil.M"}}, "a": 1}').findings
    assert FindingClass.REMOTE_CODE in {f.cls for f in found}


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_noted_without_blocking(word):
    (finding,) = look(f'{{"time_step_limit": [0.0, {word}]}}').findings
    assert (finding.cls, finding.severity) == (FindingClass.POLICY, Severity.INFO)


@pytest.mark.parametrize(
    "raw",
    [b'{"a": "\xff"}', '{"a": 1}'.encode("utf-16"), b"\x80\x04cos\nsystem\n.", b"PK\x03\x04", b'{"a": "\xed\xa0\x80"}'],
)
def test_what_is_not_utf8_json_fails_its_content_check(raw):
    result = look(raw)
    assert (result.coverage.surface, result.coverage.cause) == (Surface.FAILED, "content-mismatch")
    assert result.findings[0].cls is FindingClass.AMBIGUITY


def test_a_notebook_is_remote_code_by_name_too():
    assert look({}, "run.ipynb").findings[0].cls is FindingClass.REMOTE_CODE


def test_symbols_are_one_printable_line():
    (finding,) = look('{"auto_map": {"AutoModel": "a\\n\\ud800\\u202eforged' + "x" * 500 + '"}}').findings
    assert finding.symbol.isprintable()
    assert finding.symbol.isascii()
    assert len(finding.symbol) <= 120


class SparseReader:
    """A large file of equal lines, made as it is read."""

    def __init__(self, line, size):
        self.size = size
        self._line = line

    def read(self, offset, length):
        length = max(0, min(length, self.size - offset))
        start = offset % len(self._line)
        return (self._line * (length // len(self._line) + 2))[start : start + length]


def test_json_over_the_bound_is_partial():
    result = jsonconfig.inspect(SparseReader(b'{"a":1}\n', 10**9), "config.json")
    assert (result.coverage.surface, result.coverage.cause) == (Surface.PARTIAL, "too-large")


def test_long_json_lines_are_sampled_at_both_ends():
    good = jsonconfig.inspect(SparseReader(b'{"a":1}\n', 8 * 10**8), "rows.jsonl")
    assert (good.coverage.surface, good.coverage.whole_file, good.findings) == (Surface.COMPLETE, False, ())
    bad = jsonconfig.inspect(SparseReader(b'{"a":1\n\xff', 8 * 10**8), "rows.jsonl")
    assert bad.coverage.surface is Surface.FAILED


def test_a_large_tokenizer_is_read_whole():
    vocabulary = {f"token{i}": i for i in range(150_000)}
    value = {
        "model": {"vocab": vocabulary, "merges": [["to", f"ken{i}"] for i in range(150_000)]},
        "auto_map": {"A": "m.C"},
    }
    result = look(value, "tokenizer.json")
    assert result.coverage.whole_file is True
    assert [f.symbol for f in result.findings] == ["m.C"]


KEYS = st.sampled_from(
    [
        "auto_map",
        "chat_template",
        "weight_map",
        "_target_",
        "_class_name",
        "class_name",
        "type",
        "idx",
        "path",
        "a",
        "py/object",
        "trust_remote_code",
        "_diffusers_version",
        "cells",
        "nbformat",
        "parent_library",
    ]
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from([SSTI, "../x", "os.system"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.sampled_from(["config.json", "model_index.json", "x.jsonl", "a.ipynb"]))
def test_no_value_makes_the_module_raise(value, path):
    assert look(json.dumps(value), path).format == "json"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_module_raise(raw):
    assert look(raw).format == "json"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_files_never_raise(data):
    raw = bytearray(json.dumps(BENIGN["tokenizer_config.json"]).encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    assert look(bytes(raw)).format == "json"
