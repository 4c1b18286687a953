"""transformers, diffusers, sentence-transformers, datasets, tokenizers: they load what they fetch."""

import importlib.metadata
import os
import sys
from urllib.parse import urlsplit

from steps import PLAN, child, feature, folder, main, repo
from wire import Wire

ALSO = os.environ.get("CONFORMANCE_ALSO", "")
if ALSO:
    sys.path.append(ALSO)  # torch and what it needs come from another environment, after this one's own packages
START = f"import sys\nsys.path += {[ALSO] if ALSO else []!r}\n"
HOST = urlsplit(PLAN["endpoint"]).netloc
FIRST = -0.3  # the first value of the first tensor of every test model


def is_first(value):
    assert abs(float(value) - FIRST) < 1e-6, f"the first weight is {float(value)}"


# -- transformers ------------------------------------------------------------------------------------------------------


@feature("load-config")
def _():
    from transformers import AutoConfig

    assert AutoConfig.from_pretrained(repo("model").id).hidden_size == 8


@feature("load-tokenizer")
def _():
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(repo("model").id)("hello world")["input_ids"] == [2, 3]


def load(told, **options):
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(told.id, **options)
    is_first(model.embeddings.word_embeddings.weight[0, 0])
    with torch.no_grad():
        out = model(input_ids=torch.tensor([[2, 3]])).last_hidden_state
    assert tuple(out.shape) == (1, 2, 8)
    return model


@feature("load-model")
def _():
    load(repo("model"), cache_dir=folder())


@feature("load-shards")
def _():
    load(repo("sharded"), cache_dir=folder())


@feature("load-pipeline")
def _():
    from transformers import pipeline

    made = pipeline("feature-extraction", model=repo("model").id)
    assert len(made("hello world")[0]) == 2


@feature("load-again")
def _():
    model, cache = repo("model"), folder()
    load(model, cache_dir=cache, revision=model.commit)
    load(model, cache_dir=cache, revision=model.commit, local_files_only=True)


@feature("no-fallback")
def _():
    told = repo("denied")
    code = START + "from transformers import AutoModel\nAutoModel.from_pretrained(sys.argv[1])\n"
    with Wire() as wire:
        try:
            child(code, told.id, HF_HOME=folder(), **wire.env)
            raise LookupError("the model was loaded")
        except AssertionError as error:
            words = str(error)
    asked = {(method, target.rsplit("/", 1)[-1]) for method, _, target, _ in wire.requests}
    assert ("GET", "model.safetensors") in asked, f"the weights were not asked for: {words}"
    others = sorted(name for _, name in asked if name.endswith((".bin", ".h5", ".msgpack", ".bin.index.json")))
    assert not others, f"fell back to {others}: {words}"
    assert "BLOCKED by gateway policy" in words, words
    assert "model.safetensors" in words, words
    return words


# What each client does while its hosts are watched.
WATCHED = {
    "transformers": (
        "model",
        "from transformers import AutoModel as A, AutoTokenizer as B\nA.from_pretrained(NAME), B.from_pretrained(NAME)",
    ),
    "diffusers": ("pipeline", "from diffusers import DiffusionPipeline as A\nA.from_pretrained(NAME)"),
    "sentences": ("sentences", "from sentence_transformers import SentenceTransformer as A\nA(NAME, device='cpu')"),
    "datasets": ("parquet", "from datasets import load_dataset as A\nA(NAME)"),
}


@feature("hosts")
def _():
    role, code = next(told for name, told in WATCHED.items() if PLAN["client"].startswith(name))
    with Wire() as wire:
        child(START + "NAME = sys.argv[1]\n" + code, repo(role).id, HF_HOME=folder(), **wire.env)
    assert wire.requests, "nothing was seen"
    others = sorted(host for host in wire.hosts if host != HOST)
    assert not others, f"asked {', '.join(others)}"


# -- sentence-transformers, diffusers, tokenizers ----------------------------------------------------------------------


@feature("load-sentences")
def _():
    from sentence_transformers import SentenceTransformer

    made = SentenceTransformer(repo("sentences").id, device="cpu")
    assert made.encode(["hello world", "model"]).shape == (2, 8)


@feature("diffusers-pipeline")
def _():
    from diffusers import DiffusionPipeline

    made = DiffusionPipeline.from_pretrained(repo("pipeline").id, cache_dir=folder())
    is_first(made.unet.conv_in.weight.flatten()[0])
    assert made(num_inference_steps=1, output_type="np").images.shape == (1, 8, 8, 3)


@feature("diffusers-model")
def _():
    from diffusers import UNet2DModel

    made = UNet2DModel.from_pretrained(repo("pipeline").id, subfolder="unet", cache_dir=folder())
    is_first(made.conv_in.weight.flatten()[0])


@feature("tokenizer")
def _():
    from tokenizers import Tokenizer

    assert Tokenizer.from_pretrained(repo("model").id).encode("hello world").ids == [2, 3]


# -- datasets ----------------------------------------------------------------------------------------------------------


def rows(table, count):
    assert len(table) == count, f"{len(table)} rows instead of {count}"
    assert table[0]["text"] == f"line {table[0]['id']}"


@feature("data-csv")
def _():
    from datasets import load_dataset

    made = load_dataset(repo("csv").id, cache_dir=folder())
    rows(made["train"], 80)
    rows(made["test"], 20)


@feature("data-parquet")
def _():
    from datasets import load_dataset

    rows(load_dataset(repo("parquet").id, split="train", cache_dir=folder()), 100)


@feature("data-files")
def _():
    from datasets import load_dataset

    rows(load_dataset(repo("csv").id, data_files="data/test.csv", split="train", cache_dir=folder()), 20)


@feature("data-streaming")
def _():
    from datasets import load_dataset

    for role in ("csv", "parquet"):
        stream = load_dataset(repo(role).id, split="train", streaming=True)
        first = next(iter(stream))
        assert first == {"id": 0, "text": "line 0"}, first
        assert sum(1 for _ in stream) == (80 if role == "csv" else 100)


@feature("data-pandas")
def _():
    import pandas as pd

    table = pd.read_csv(f"hf://datasets/{repo('csv').id}/data/test.csv")
    assert list(table.columns) == ["id", "text"]
    assert len(table) == 20
    path = next(p for p in repo("parquet").files if p.endswith(".parquet"))
    table = pd.read_parquet(f"hf://datasets/{repo('parquet').id}/{path}", columns=["text"])
    assert table["text"].tolist()[:2] == ["line 0", "line 1"]


NAMES = {
    "transformers-4": ["transformers", "torch", "huggingface_hub"],
    "transformers-5": ["transformers", "torch", "huggingface_hub"],
    "diffusers": ["diffusers", "huggingface_hub"],
    "sentences": ["sentence-transformers", "transformers", "huggingface_hub"],
    "datasets": ["datasets", "huggingface_hub"],
    "datasets-path": ["datasets", "huggingface_hub"],
    "tokenizers": ["tokenizers", "huggingface_hub"],
}
main(", ".join(f"{name} {importlib.metadata.version(name)}" for name in NAMES[PLAN["client"]]))
