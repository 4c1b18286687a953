"""Tiny models that real libraries load: made by code, in safetensors, under a known license."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.onnx import identity
from gateway.simulator import Repo, World, builders
from gateway.simulator.content import Content
from gateway.simulator.large import large_safetensors
from gateway.simulator.samples import CHAT_TEMPLATE

LARGE_BYTES = 24 << 20
Files = dict[str, "bytes | str | Content | None"]
Shapes = dict[str, tuple[int, ...]]

HIDDEN, VOCABULARY, INNER, POSITIONS = 8, 16, 16, 32
CONFIG = {
    "architectures": ["BertModel"], "model_type": "bert", "hidden_size": HIDDEN, "vocab_size": VOCABULARY,
    "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": INNER,
    "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
}  # fmt: skip
WORDS = ["[PAD]", "[UNK]", "hello", "world", "model", "gateway"]
TOKENIZER: dict[str, Any] = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {w: n for n, w in enumerate(WORDS)}, "unk_token": "[UNK]"},
}  # fmt: skip
TOKENIZER_CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}
_DENSE: Shapes = {"weight": (HIDDEN, HIDDEN), "bias": (HIDDEN,)}
_NORM: Shapes = {"weight": (HIDDEN,), "bias": (HIDDEN,)}
UNET = {
    "_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 3, "out_channels": 3, "block_out_channels": [8],
    "layers_per_block": 1, "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"], "norm_num_groups": 4,
    "add_attention": False, "attention_head_dim": 8,
}  # fmt: skip
PIPELINE = {
    "_class_name": "DDPMPipeline", "_diffusers_version": "0.42.1", "scheduler": ["diffusers", "DDPMScheduler"],
    "unet": ["diffusers", "UNet2DModel"],
}  # fmt: skip
SENTENCES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def weights(tensors: Mapping[str, Sequence[int]]) -> bytes:
    """A safetensors file of small float32 values; those of each tensor begin with -0.3."""
    values = b"".join(
        struct.pack(f"<{count}f", *((n % 7 - 3) / 10 for n in range(count)))
        for count in (_product(shape) for shape in tensors.values())
    )
    return builders.safetensors_header(tensors) + values


def bert() -> Shapes:
    """Names and shapes of the tensors of a one-layer BertModel."""
    layer = "encoder.layer.0."
    blocks: dict[str, Shapes] = {
        "embeddings.LayerNorm": _NORM, f"{layer}attention.self.query": _DENSE, f"{layer}attention.self.key": _DENSE,
        f"{layer}attention.self.value": _DENSE, f"{layer}attention.output.dense": _DENSE,
        f"{layer}attention.output.LayerNorm": _NORM,
        f"{layer}intermediate.dense": {"weight": (INNER, HIDDEN), "bias": (INNER,)},
        f"{layer}output.dense": {"weight": (HIDDEN, INNER), "bias": (HIDDEN,)}, f"{layer}output.LayerNorm": _NORM,
        "pooler.dense": _DENSE,
    }  # fmt: skip
    rows = {"word": VOCABULARY, "position": POSITIONS, "token_type": 2}
    tensors: Shapes = {f"embeddings.{name}_embeddings.weight": (count, HIDDEN) for name, count in rows.items()}
    for block, parts in blocks.items():
        tensors |= {f"{block}.{part}": shape for part, shape in parts.items()}
    return tensors


def text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _product(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def model(world: World, name: str, files: Files, **facts: Any) -> Repo:
    """A model under a known license with config and tokenizer, and the files given."""
    repo = world.repo(
        name, card={"license": "apache-2.0"}, library="transformers", pipeline="feature-extraction", **facts
    )
    common: Files = {"config.json": text(CONFIG), "tokenizer.json": text(TOKENIZER)}
    common |= {"tokenizer_config.json": text(TOKENIZER_CONFIG), "README.md": repo.readme("A test model.")}
    repo.commit({**common, **files})
    return repo


def unet() -> Shapes:
    """Names and shapes of the tensors of a UNet2DModel of one block, as `UNET` configures it."""

    def resnet(prefix: str, inner: int) -> Shapes:
        shapes: Shapes = {}
        for part, shape in {
            "norm1": (inner,), "conv1": (8, inner, 3, 3), "time_emb_proj": (8, 32), "norm2": (8,), "conv2": (8, 8, 3, 3),
            **({"conv_shortcut": (8, inner, 1, 1)} if inner != 8 else {}),
        }.items():  # fmt: skip
            shapes |= {f"{prefix}.{part}.weight": shape, f"{prefix}.{part}.bias": shape[:1]}
        return shapes

    ends: Shapes = {"conv_in": (8, 3, 3, 3), "conv_norm_out": (8,), "conv_out": (3, 8, 3, 3)}
    ends |= {"time_embedding.linear_1": (32, 8), "time_embedding.linear_2": (32, 32)}
    found = {f"{name}.weight": shape for name, shape in ends.items()}
    found |= {f"{name}.bias": shape[:1] for name, shape in ends.items()}
    found |= resnet("down_blocks.0.resnets.0", 8)
    for number in (0, 1):
        found |= resnet(f"up_blocks.0.resnets.{number}", 16) | resnet(f"mid_block.resnets.{number}", 8)
    return found


def add_models(world: World) -> None:
    """The repos with weights."""
    whole = weights(bert())
    model(world, "conformance/tiny-bert", {"model.safetensors": whole, "extra/notes.txt": "hello\n"})
    model(world, "conformance/sharded", _sharded(bert()))
    metadata: dict[str, str | int | Sequence[str]] = {
        "general.architecture": "llama", "general.name": "tiny", "llama.block_count": 1,
        "tokenizer.ggml.tokens": WORDS, "tokenizer.chat_template": CHAT_TEMPLATE,
    }  # fmt: skip
    model(world, "conformance/gguf", {"tiny-Q8_0.gguf": builders.gguf(metadata, {"token_embd.weight": (8, 6)})})
    evil = {**metadata, "tokenizer.chat_template": "{{ ''.__class__.__mro__ }}"}
    model(world, "conformance/denied-gguf", {"tiny-Q8_0.gguf": builders.gguf(evil, {"token_embd.weight": (8, 6)})})
    model(world, "conformance/large", {"model.safetensors": large_safetensors(LARGE_BYTES)})
    model(world, "conformance/gated", {"model.safetensors": whole}, gated="manual")
    model(world, "conformance/onnx", {"onnx/model.onnx": identity("conformance")})
    model(world, "conformance/renamed", {"model.safetensors": whole})
    world.rename("conformance/former-name", "conformance/renamed")
    model(world, "conformance-legacy", {"model.safetensors": whole})
    # A header that no strict reader takes, and beside it the pickle that a client must not fall back to.
    model(
        world,
        "conformance/denied-weights",
        {"model.safetensors": b"\xff" * 64, "pytorch_model.bin": builders.torch_zip(bert())},
    )
    _sentences(world, whole)
    _pipeline(world)


def _sharded(tensors: Shapes) -> Files:
    names = sorted(tensors)
    files: Files = {}
    where: dict[str, str] = {}
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), 1):
        path = f"model-{number:05d}-of-00002.safetensors"
        files[path] = weights({n: tensors[n] for n in part})
        where |= dict.fromkeys(part, path)
    total = sum(_product(shape) for shape in tensors.values()) * 4
    return {**files, "model.safetensors.index.json": text({"metadata": {"total_size": total}, "weight_map": where})}


def _sentences(world: World, whole: bytes) -> None:
    pooling = {"word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    files: Files = {
        "model.safetensors": whole, "modules.json": text(SENTENCES), "1_Pooling/config.json": text(pooling),
        "config_sentence_transformers.json": text({"prompts": {}, "default_prompt_name": None}),
        "sentence_bert_config.json": text({"max_seq_length": POSITIONS, "do_lower_case": False}),
    }  # fmt: skip
    model(world, "conformance/sentences", files)


def _pipeline(world: World) -> None:
    repo = world.repo("conformance/pipeline", card={"license": "apache-2.0"}, library="diffusers")
    repo.commit({
        "README.md": repo.readme("A test pipeline."), "model_index.json": text(PIPELINE),
        "scheduler/scheduler_config.json": text({"_class_name": "DDPMScheduler", "num_train_timesteps": 10}),
        "unet/config.json": text(UNET), "unet/diffusion_pytorch_model.safetensors": weights(unet()),
    })  # fmt: skip
