"""The test repos, one per role, in a world of the simulated hub. All but `gated` pass the gateway's default policy."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence

from conformance.onnx import identity
from conformance.tables import parquet
from gateway.simulator import Bytes, Repo, World, builders
from gateway.simulator.content import Content
from gateway.simulator.large import large_safetensors
from gateway.simulator.samples import CHAT_TEMPLATE

HUB_TOKEN = "hf_conformance"
MANY = 5000
LARGE_BYTES = 24 << 20
Files = dict[str, "bytes | str | Content | None"]

HIDDEN, VOCABULARY, INNER, POSITIONS = 8, 16, 16, 32
CONFIG = {
    "architectures": ["BertModel"], "model_type": "bert", "hidden_size": HIDDEN, "vocab_size": VOCABULARY,
    "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": INNER,
    "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
}  # fmt: skip
WORDS = ["[PAD]", "[UNK]", "hello", "world", "model", "gateway"]
TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {w: n for n, w in enumerate(WORDS)}, "unk_token": "[UNK]"},
}  # fmt: skip
TOKENIZER_CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}
_DENSE = {"weight": (HIDDEN, HIDDEN), "bias": (HIDDEN,)}
_NORM = {"weight": (HIDDEN,), "bias": (HIDDEN,)}
UNUSUAL = (
    "with space.txt", "naïve-日本-é.txt", "percent 100%.txt", "hash#tag.txt", "question?.txt", "plus+and&.txt",
    "brackets [1] (2).txt", "semi;comma,quote'.txt", "deep/er/and deeper/file.txt",
)  # fmt: skip


def conformance_world() -> World:
    """A fresh world; `HUB_TOKEN` is a valid token that opens nothing."""
    world = World()
    _models(world)
    _plain(world)
    _datasets(world)
    _revisions(world)
    world.token(HUB_TOKEN, name="conformance")
    return world


def roles() -> dict[str, str]:
    """Role -> name of its repo in file routes."""
    return {
        "model": "conformance/tiny-bert", "sharded": "conformance/sharded", "gguf": "conformance/gguf",
        "large": "conformance/large", "unusual": "conformance/unusual-names", "many": "conformance/many-files", "escaped": "conformance/escaped-names",
        "csv": "datasets/conformance/csv", "parquet": "datasets/conformance/parquet",
        "revisions": "conformance/revisions", "gated": "conformance/gated", "renamed": "conformance/renamed",
        "legacy": "conformance-legacy", "onnx": "conformance/onnx",
    }  # fmt: skip


def weights(tensors: Mapping[str, Sequence[int]]) -> bytes:
    """A safetensors file of small float32 values."""
    count = sum(_product(shape) for shape in tensors.values())
    values = struct.pack(f"<{count}f", *((n % 7 - 3) / 10 for n in range(count)))
    return builders.safetensors_header(tensors) + values


def bert() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a one-layer BertModel."""
    layer = "encoder.layer.0."
    blocks = {
        "embeddings.LayerNorm": _NORM, f"{layer}attention.self.query": _DENSE, f"{layer}attention.self.key": _DENSE,
        f"{layer}attention.self.value": _DENSE, f"{layer}attention.output.dense": _DENSE,
        f"{layer}attention.output.LayerNorm": _NORM,
        f"{layer}intermediate.dense": {"weight": (INNER, HIDDEN), "bias": (INNER,)},
        f"{layer}output.dense": {"weight": (HIDDEN, INNER), "bias": (HIDDEN,)}, f"{layer}output.LayerNorm": _NORM,
        "pooler.dense": _DENSE,
    }  # fmt: skip
    rows = {"word": VOCABULARY, "position": POSITIONS, "token_type": 2}
    tensors: dict[str, tuple[int, ...]] = {
        f"embeddings.{name}_embeddings.weight": (count, HIDDEN) for name, count in rows.items()
    }
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


def model(world: World, name: str, files: Files, **facts: object) -> Repo:
    """A model under a known license with config and tokenizer, and the files given."""
    repo = world.repo(
        name, card={"license": "apache-2.0"}, library="transformers", pipeline="feature-extraction", **facts
    )
    common: Files = {"config.json": text(CONFIG), "tokenizer.json": text(TOKENIZER)}
    common |= {"tokenizer_config.json": text(TOKENIZER_CONFIG), "README.md": repo.readme("A test model.")}
    repo.commit({**common, **files})
    return repo


def _models(world: World) -> None:
    tensors = bert()
    whole = weights(tensors)
    model(world, "conformance/tiny-bert", {"model.safetensors": whole, "extra/notes.txt": "hello\n"})
    names = sorted(tensors)
    parts = [names[: len(names) // 2], names[len(names) // 2 :]]
    files: Files = {}
    where = {}
    for number, part in enumerate(parts, 1):
        path = f"model-{number:05d}-of-00002.safetensors"
        files[path] = weights({n: tensors[n] for n in part})
        where |= dict.fromkeys(part, path)
    total = sum(_product(shape) for shape in tensors.values()) * 4
    files["model.safetensors.index.json"] = text({"metadata": {"total_size": total}, "weight_map": where})
    model(world, "conformance/sharded", files)
    metadata: dict[str, str | int | Sequence[str]] = {
        "general.architecture": "llama", "general.name": "tiny", "llama.block_count": 1,
        "tokenizer.ggml.tokens": WORDS, "tokenizer.chat_template": CHAT_TEMPLATE,
    }  # fmt: skip
    model(world, "conformance/gguf", {"tiny-Q8_0.gguf": builders.gguf(metadata, {"token_embd.weight": (8, 6)})})
    model(world, "conformance/large", {"model.safetensors": large_safetensors(LARGE_BYTES)})
    model(world, "conformance/gated", {"model.safetensors": whole}, gated="manual")
    model(world, "conformance/onnx", {"onnx/model.onnx": identity("conformance")})
    model(world, "conformance/renamed", {"model.safetensors": whole})
    world.rename("conformance/former-name", "conformance/renamed")
    model(world, "conformance-legacy", {"model.safetensors": whole})


def _plain(world: World) -> None:
    unusual: Files = {path: f"the file {path}\n" for path in UNUSUAL}
    model(
        world, "conformance/unusual-names", {**unusual, "empty.txt": b"", "weights [1] ü.safetensors": weights(bert())}
    )
    model(world, "conformance/escaped-names", {"with%20escape.txt": "a name that would decode a second time\n"})
    many: Files = {f"part-{n // 500:02d}/{n:05d}.txt": Bytes(b"%d\n" % n) for n in range(MANY - 1)}
    repo = world.repo("conformance/many-files", card={"license": "apache-2.0"})
    repo.commit({"README.md": repo.readme("Many files."), **many})


def _datasets(world: World) -> None:
    rows = [f"{n},line {n}" for n in range(100)]
    csv = world.repo("conformance/csv", type="dataset", card={"license": "cc-by-4.0"})
    csv.commit({
        "README.md": csv.readme("A table."),
        "data/train.csv": "\n".join(["id,text", *rows[:80]]) + "\n",
        "data/test.csv": "\n".join(["id,text", *rows[80:]]) + "\n",
    })  # fmt: skip
    table = parquet({"id": list(range(100)), "text": [f"line {n}" for n in range(100)]})
    csv.convert("parquet", {"default/train/0000.parquet": table})
    repo = world.repo("conformance/parquet", type="dataset", card={"license": "cc-by-4.0"})
    repo.commit({"README.md": repo.readme("A table."), "data/train-00000-of-00001.parquet": table})


def _revisions(world: World) -> None:
    repo = model(world, "conformance/revisions", {"version.txt": "first\n"})
    repo.tag("v1.0")
    repo.commit({"version.txt": "second\n"}, message="Second version")
    repo.branches["dev"] = repo.branches["main"]
    repo.commit({"version.txt": "in development\n"}, branch="dev", message="Work")
    repo.pull_request({"version.txt": "proposed\n"}, title="A proposal")
