"""The Python clients, each in an environment of its own."""

from __future__ import annotations

from conformance.client import Client

FILES = (
    "download-file", "download-cached", "download-local-dir", "snapshot", "snapshot-cached", "snapshot-patterns",
    "snapshot-local-dir", "snapshot-dataset", "space", "card", "offline", "resume", "revisions", "revision-pull", "revision-convert", "names", "escaped-name", "escaped-repo", "empty-file", "renamed",
    "wrong-case", "legacy-name",
)  # fmt: skip
FACTS = (
    "model-info", "dataset-info", "list-files", "list-tree", "many-files", "paths-info", "refs", "commits", "search",
    "search-datasets", "exists", "safetensors-metadata", "whoami", "agreement", "fs-list", "fs-glob", "fs-read",
    "missing", "gated", "hosts",
)  # fmt: skip
_CLI = ("cli-download", "cli-download-file", "cli-cache", "cli-whoami", "cli-missing", "cli-gated")
_HUB = (*FILES, *FACTS)
_LOADS = (
    "load-config", "load-tokenizer", "load-model", "load-shards", "load-pipeline", "load-again", "no-fallback", "hosts",
)  # fmt: skip
_DATA = ("data-csv", "data-parquet", "data-files", "data-streaming", "data-pandas", "hosts")
# What depends on the addresses that the registry writes, and on the rules that clients have for https alone.
_ADDRESSES = (
    "download-file", "snapshot", "snapshot-dataset", "revisions", "names", "renamed", "wrong-case", "model-info",
    "list-files", "many-files", "paths-info", "refs", "commits", "search", "exists", "safetensors-metadata", "whoami",
    "agreement", "fs-list", "fs-read", "missing", "gated", "hosts",
)  # fmt: skip
_MODELS = ("{python}", "{drivers}/models.py")
_DRIVER = ("{python}", "{drivers}/hub.py")


def _hub(name: str, title: str, venv: str, *more: str, **env: str) -> Client:
    return Client(f"hub-{name}", title, "hub", _DRIVER, (*_HUB, *more), venv, env)


def _cli(name: str, title: str, venv: str, program: str, *more: str) -> Client:
    return Client(
        f"cli-{name}",
        title,
        "cli",
        ("{python}", "{drivers}/cli.py"),
        (*_CLI, *more),
        venv,
        {"CONFORMANCE_PROGRAM": program},
    )


def _by_path(name: str, title: str, venv: str) -> Client:
    return Client(f"hub-{name}-path", title, "path", _DRIVER, _ADDRESSES, venv, via="tls-path")


CLIENTS = (
    _hub("0.24", "0.24.7", "hub-0.24"),
    _hub("0.30", "0.30.2", "hub-0.30", "auth-check"),
    _hub("0.36", "0.36.2", "hub-0.36", "auth-check", HF_HUB_DISABLE_XET="1"),
    _hub("0.36-xet", "0.36.2 + hf_xet", "hub-0.36", "auth-check", "xet"),
    _hub("0.36-transfer", "0.36.2 + hf_transfer", "hub-0.36", "auth-check", HF_HUB_DISABLE_XET="1", HF_HUB_ENABLE_HF_TRANSFER="1"),
    _hub("1.0", "1.0.1 + hf_xet", "hub-1.0", "auth-check", "dry-run", "xet"),
    _hub("1", "1.33.0 + hf_xet", "hub-1", "auth-check", "dry-run", "xet"),
    _hub("2", "2.4.0", "hub-2", "auth-check", "dry-run", HF_HUB_DISABLE_XET="1"),
    _hub("2-xet", "2.4.0 + hf_xet", "hub-2", "auth-check", "dry-run", "xet"),
    _cli("0.24", "huggingface-cli 0.24.7", "hub-0.24", "huggingface-cli"),
    _cli("0.30", "huggingface-cli 0.30.2", "hub-0.30", "huggingface-cli"),
    _cli("0.36", "hf 0.36.2", "hub-0.36", "hf"),
    _cli("1.0", "hf 1.0.1", "hub-1.0", "hf"),
    _cli("1", "hf 1.33.0", "hub-1", "hf", "cli-verify", "cli-search", "cli-info"),
    _cli("2", "hf 2.4.0", "hub-2", "hf", "cli-verify", "cli-search", "cli-info"),
    Client("transformers-4", "transformers 4.57.6", "models", _MODELS, _LOADS, "hub-0.36", also="models"),
    Client("transformers-5", "transformers 5.24.0", "models", _MODELS, _LOADS, "models"),
    Client("diffusers", "diffusers 0.42.1", "models", _MODELS, ("diffusers-pipeline", "diffusers-model", "hosts"), "models"),
    Client("sentences", "sentence-transformers 6.2.0", "models", _MODELS, ("load-sentences", "hosts"), "models"),
    Client("datasets", "datasets 5.2.0", "models", _MODELS, _DATA, "models"),
    Client("tokenizers", "tokenizers", "models", _MODELS, ("tokenizer",), "models"),
    _by_path("0.24", "0.24.7", "hub-0.24"),
    _by_path("0.36", "0.36.2", "hub-0.36"),
    _by_path("1.0", "1.0.1", "hub-1.0"),
    _by_path("1", "1.33.0", "hub-1"),
    _by_path("2", "2.4.0", "hub-2"),
    Client("datasets-path", "datasets 5.2.0", "path", _MODELS, _DATA, "models", via="tls-path"),
)  # fmt: skip
