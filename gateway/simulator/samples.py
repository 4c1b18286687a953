"""About a dozen tiny repos, good and bad, for `gateway demo`, the documentation and tests. All payloads are inert."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway.simulator import builders
from gateway.simulator.content import Content
from gateway.simulator.repo import Repo
from gateway.simulator.world import World

GATED_TOKEN = "hf_sample_reader"  # noqa: S105 - a token of the sample world only

TENSORS = {"embeddings.weight": (16, 8), "classifier.weight": (4, 8), "classifier.bias": (4,)}
CONFIG = {
    "architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_size": 8, "vocab_size": 16,
    "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32,
}  # fmt: skip
_WORDS = ["[PAD]", "[UNK]", "hello", "world", "model", "gateway"]
TOKENIZER: dict[str, Any] = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {w: n for n, w in enumerate(_WORDS)}, "unk_token": "[UNK]"},
}  # fmt: skip
TOKENIZER_CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}
CHAT_TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
# The well-known climb from a template to the interpreter; here it would only name a class.
HOSTILE_TEMPLATE = "{{ ''.__class__.__mro__[1].__subclasses__() }}"


@dataclass(frozen=True)
class Sample:
    """One thing to fetch: `path` of `name` (`org/name`, `datasets/…`) at `revision`, and what it shows.

    `is_good`: a sensible policy lets it pass.
    """

    name: str
    path: str
    shows: str
    is_good: bool
    revision: str = "main"


SAMPLES = (
    Sample("demo/good-safetensors", "model.safetensors", "safetensors weights under a known licence", True),
    Sample("demo/good-torch", "pytorch_model.bin", "a torch checkpoint that only rebuilds tensors", True),
    Sample("demo/good-gguf", "model.gguf", "a GGUF file with an ordinary chat template", True),
    Sample("demo/pickle-with-twin", "pytorch_model.bin", "a pickle whose safetensors twin lies beside it", False),
    Sample("demo/evil-pickle", "pytorch_model.bin", "a checkpoint that would run a shell command on load", False),
    Sample("demo/evil-gguf", "model.gguf", "a chat template that climbs out of its sandbox", False),
    Sample("demo/custom-code", "modeling.py", "a config that has clients run the repo's own Python", False),
    Sample(
        "demo/bad-shard-index", "model.safetensors.index.json", "a shard index that points outside its folder", False
    ),
    Sample("demo/no-license", "model.safetensors", "fine weights, but nobody said what they may be used for", False),
    Sample("demo/llama-style-license", "model.safetensors", "a licence of its own, by name and link", False),
    Sample("demo/pull-request", "model.safetensors", "the reviewed head of a repo with a hostile pull request", True),
    Sample("demo/pull-request", "pytorch_model.bin", "what anyone may push under that repo's name", False, "refs/pr/1"),
    Sample("demo/gated", "model.safetensors", "weights behind the hub's own gate", False),
    Sample("datasets/demo/table", "data.csv", "a small table with a Parquet copy", True),
)


def sample_world() -> World:
    """A fresh world with all the sample repos; `GATED_TOKEN` opens demo/gated."""
    world = World()
    weights = builders.safetensors(TENSORS)
    _weights_repos(world, weights)
    _hostile_repos(world, weights)
    _licence_repos(world, weights)
    gated = _model(world, "demo/gated", {"model.safetensors": weights}, gated="manual")
    table = world.repo("demo/table", type="dataset", card={"license": "cc-by-4.0"}, downloads=50)
    rows = "id,text\n1,hello\n2,world\n"
    table.commit({"README.md": table.readme(), "data.csv": rows, "data.parquet": builders.parquet()})
    for sample in SAMPLES:
        world[sample.name].description = world[sample.name].description or sample.shows
    world.token(GATED_TOKEN, gated.name, name="sample-reader")
    return world


def _model(
    world: World, name: str, files: dict[str, bytes | str | Content], *, license: str = "apache-2.0", **facts: Any  # noqa: A002 - the hub's own word
) -> Repo:  # fmt: skip
    card = facts.pop("card", {"license": license} if license else {})
    repo = world.repo(name, card=card, library=facts.pop("library", "transformers"), downloads=1200, **facts)
    common = {"config.json": _json(CONFIG), "tokenizer.json": _json(TOKENIZER)}
    common |= {"tokenizer_config.json": _json(TOKENIZER_CONFIG), "README.md": repo.readme()}
    repo.commit({**common, **files})
    return repo


def _weights_repos(world: World, weights: bytes) -> None:
    torch = builders.torch_zip(TENSORS)
    _model(world, "demo/good-safetensors", {"model.safetensors": weights})
    _model(world, "demo/good-torch", {"pytorch_model.bin": torch})
    _model(world, "demo/pickle-with-twin", {"model.safetensors": weights, "pytorch_model.bin": torch})
    _model(world, "demo/good-gguf", {"model.gguf": _gguf(CHAT_TEMPLATE)}, library="gguf")


def _hostile_repos(world: World, weights: bytes) -> None:
    evil = builders.torch_zip(TENSORS, data_pkl=builders.pickle_call("posix", "system"))
    _model(world, "demo/evil-pickle", {"pytorch_model.bin": evil})
    _model(world, "demo/evil-gguf", {"model.gguf": _gguf(HOSTILE_TEMPLATE)}, library="gguf")
    auto_map = {**CONFIG, "auto_map": {"AutoModel": "modeling.TinyModel"}}
    code = "class TinyModel:\n    pass\n"
    files: dict[str, bytes | str | Content] = {"config.json": _json(auto_map), "modeling.py": code}
    _model(world, "demo/custom-code", {**files, "model.safetensors": weights}, tags=["custom_code"])
    outside = dict.fromkeys(TENSORS, "../../../../outside/model.safetensors")
    index = _json({"metadata": {"total_size": 688}, "weight_map": outside})
    _model(world, "demo/bad-shard-index", {"model.safetensors.index.json": index})
    repo = _model(world, "demo/pull-request", {"model.safetensors": weights})
    repo.pull_request({"pytorch_model.bin": evil}, title="Add weights for an older framework")


def _licence_repos(world: World, weights: bytes) -> None:
    _model(world, "demo/no-license", {"model.safetensors": weights}, license="")
    own = {"license": "other", "license_name": "llama3.2", "license_link": "LICENSE", "base_model": "demo/good-torch"}
    files: dict[str, bytes | str | Content] = {"model.safetensors": weights, "LICENSE": "A community licence.\n"}
    _model(world, "demo/llama-style-license", files, card=own)


def _gguf(template: str) -> bytes:
    metadata: dict[str, str | int | list[str]] = {
        "general.architecture": "llama", "general.name": "tiny", "llama.block_count": 1,
        "tokenizer.ggml.tokens": _WORDS, "tokenizer.chat_template": template,
    }  # fmt: skip
    return builders.gguf(metadata, {"token_embd.weight": (8, 6)})


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
