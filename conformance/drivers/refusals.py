"""Asks one Python client for what is refused, again and again, and says what its user reads.

A line of JSON on standard input is one attempt: {"op": …, "repo": …, "path": …, "cache": folder, "token": text or null,
"options": {…}}. A line of JSON on standard output is its end: {"ok", "top", "chain", "seconds", "files"}. `top` is the
message of the exception that reaches the user (all that a command prints), `chain` everything that a traceback shows,
`files` the files that are in the cache folder afterwards. Runs in the client's own environment: standard library, and
the client.
"""

import contextlib
import io
import json
import os
import pathlib
import sys
import time
import traceback

if os.environ.get("CONFORMANCE_ALSO"):
    sys.path.append(os.environ["CONFORMANCE_ALSO"])  # torch and what it needs, after this environment's own packages
OPERATIONS = {}


def operation(function):
    OPERATIONS[function.__name__] = function
    return function


def repo_type(ask):
    return "dataset" if ask["repo"].startswith("datasets/") else None


def repo_id(ask):
    return ask["repo"].removeprefix("datasets/")


def token(ask):
    return ask.get("token") or False


@operation
def file(ask):
    from huggingface_hub import hf_hub_download

    hf_hub_download(
        repo_id(ask), ask["path"], repo_type=repo_type(ask), cache_dir=ask["cache"], token=token(ask),
        revision=ask.get("revision"),
    )  # fmt: skip


@operation
def snapshot(ask):
    from huggingface_hub import snapshot_download

    snapshot_download(repo_id(ask), repo_type=repo_type(ask), cache_dir=ask["cache"], token=token(ask))


@operation
def command(ask):
    """The real `hf` or `huggingface-cli`, in this process: its own parser, its own handling of errors, its own output."""
    try:
        from huggingface_hub.cli.hf import main
    except ImportError:
        from huggingface_hub.commands.huggingface_cli import main
    arguments = ["download", repo_id(ask), ask["path"], "--cache-dir", ask["cache"]]
    if ask.get("token"):
        arguments += ["--token", ask["token"]]
    sys.argv = ["hf", *arguments]
    main()


@operation
def filesystem(ask):
    from huggingface_hub import HfFileSystem

    system = HfFileSystem(token=token(ask), skip_instance_cache=True)
    system.invalidate_cache()
    system.read_bytes(f"{ask['repo']}/{ask['path']}")


@operation
def config(ask):
    from transformers import AutoConfig

    AutoConfig.from_pretrained(ask["repo"], cache_dir=ask["cache"], token=token(ask))


@operation
def tokenizer(ask):
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(ask["repo"], cache_dir=ask["cache"], token=token(ask))


@operation
def model(ask):
    from transformers import AutoModel

    options = {"use_safetensors": False} if ask["path"].endswith(".bin") else {}
    AutoModel.from_pretrained(ask["repo"], cache_dir=ask["cache"], token=token(ask), **options)


@operation
def dataset(ask):
    import datasets

    datasets.config.HF_DATASETS_CACHE = pathlib.Path(ask["cache"])
    loaded = datasets.load_dataset(
        repo_id(ask), cache_dir=ask["cache"], token=token(ask),
        download_config=datasets.DownloadConfig(cache_dir=ask["cache"], token=token(ask)),
    )  # fmt: skip
    assert loaded["train"].num_rows


@operation
def stream(ask):
    import datasets

    next(iter(datasets.load_dataset(repo_id(ask), streaming=True, token=token(ask), cache_dir=ask["cache"])["train"]))


@operation
def pipeline(ask):
    from diffusers import DiffusionPipeline

    DiffusionPipeline.download(ask["repo"], cache_dir=ask["cache"], token=token(ask))


@operation
def diffusion_model(ask):
    from diffusers import UNet2DModel

    UNet2DModel.from_pretrained(ask["repo"], cache_dir=ask["cache"], token=token(ask), subfolder="unet")


@operation
def sentences(ask):
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(ask["repo"], cache_folder=ask["cache"], token=token(ask), device="cpu")


def installed(cache):
    """The files with bytes of the repo in the cache folder: no links, no notes of the client, nothing unfinished."""
    found = []
    for path in sorted(pathlib.Path(cache).rglob("*")):
        notes = {"refs", "trees", ".no_exist", ".locks", "xet"} & set(path.parts)
        if (path.is_symlink() and path.exists()) or (
            path.is_file() and not path.is_symlink() and not notes and "blobs" not in path.parts
        ):
            found.append(path.name)
    return sorted(name for name in found if not name.endswith((".incomplete", ".lock", ".metadata", "CACHEDIR.TAG")))


def attempt(ask):
    started, said = time.monotonic(), io.StringIO()
    ok, top, chain = True, "", ""
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            OPERATIONS[ask["op"]](ask)
        except SystemExit as end:
            ok = end.code in (0, None)
            top = "" if end.code is None or isinstance(end.code, int) else str(end.code)
        except BaseException as error:  # whatever a client raises is what its user reads
            ok, top, chain = False, f"{type(error).__name__}: {error}", traceback.format_exc()
    printed = said.getvalue()
    return {
        "ok": ok,
        "top": "" if ok else top or printed,
        "chain": chain + printed,
        "seconds": round(time.monotonic() - started, 2),
        "files": installed(ask["cache"]),
    }


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints past sys.stdout is not an answer
    for line in sys.stdin:
        out.write(json.dumps(attempt(json.loads(line))) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
