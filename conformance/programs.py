"""The clients that are not Python libraries: the npm packages, curl, wget, aria2c, git and git-lfs."""

from __future__ import annotations

from conformance.client import Client

_PACKAGES = "conformance/node/node_modules"


def _node(name: str, title: str, driver: str, *features: str) -> Client:
    script = ("node", f"{{root}}/conformance/node/{driver}.mjs")
    return Client(name, title, "programs", script, features, needs=("node", f"{_PACKAGES}/{title.rpartition(' ')[0]}"))


def _program(name: str, title: str, *features: str, needs: tuple[str, ...] = ()) -> Client:
    driver = ("{python}", "{drivers}/programs.py", name)
    return Client(name, title, "programs", driver, features, needs=needs or (name,))


CLIENTS: tuple[Client, ...] = (
    _node(
        "js-hub", "@huggingface/hub 2.17.5", "hub", "download-file", "snapshot", "revisions", "revision-pull", "names",
        "empty-file", "renamed", "model-info", "dataset-info", "list-files", "many-files", "paths-info", "commits", "search",
        "exists", "safetensors-metadata", "missing",
    ),
    _node("js-transformers", "@huggingface/transformers 4.3.1", "transformers", "js-config", "js-tokenizer", "js-weights"),
    _program("curl", "curl", "get", "half-file", "compressed", "names", "empty-file", "head"),
    _program("wget", "wget", "get", "half-file", "names", "empty-file"),
    _program("aria2c", "aria2c", "get", "half-file", "segments"),
    _program("git", "git", "clone"),
    _program("git-lfs", "git-lfs", "lfs-pull", needs=("git", "git-lfs")),
)  # fmt: skip
