"""`huggingface-cli` and `hf`: what their users type. `CONFORMANCE_PROGRAM` names the program in this environment."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from steps import feature, folder, main, repo

PROGRAM = Path(sys.executable).with_name(os.environ["CONFORMANCE_PROGRAM"])
HOME = folder()


def run(*arguments, code=0, **env):
    """Run the command and return everything it prints; it must end with `code`."""
    done = subprocess.run(
        [str(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HOME": HOME, **env},
        check=False,
    )
    said = done.stdout + done.stderr
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if code == 0:
        assert done.returncode == 0, " ".join(lines[-6:])
    else:
        assert done.returncode != 0, f"ended well: {said}"
    return said


def has(*words):
    """Does the program have this command?"""
    return subprocess.run([str(PROGRAM), *words, "--help"], capture_output=True, check=False).returncode == 0


@feature("cli-download")
def _():
    model, target = repo("model"), folder()
    run("download", model.id, "--local-dir", target)
    model.check_folder(target)


@feature("cli-download-file")
def _():
    model = repo("model")
    said = run("download", model.id, model.weights, "--revision", "main")
    paths = [word.removeprefix("path=") for word in said.split() if word.endswith(model.weights)]
    model.check(model.weights, paths[-1])


@feature("cli-cache")
def _():
    model = repo("model")
    run("download", model.id)
    words = next(w for w in (("cache", "ls"), ("cache", "scan"), ("scan-cache",)) if has(*w))
    assert model.id in run(*words)
    return " ".join(words)


@feature("cli-verify")
def _():
    model = repo("model")
    run("download", model.id)
    run("cache", "verify", model.id)
    blob = next(p for p in Path(HOME).rglob(model.weights)).resolve()
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    said = run("cache", "verify", model.id, code=1)
    assert model.weights in said, said
    blob.unlink()


@feature("cli-whoami")
def _():
    words = ("auth", "whoami") if has("auth", "whoami") else ("whoami",)
    assert run(*words).strip()
    return " ".join(words)


@feature("cli-search")
def _():
    model = repo("model")
    said = run("models", "ls", "--search", model.id.split("/")[-1])
    assert model.id in said, said


@feature("cli-info")
def _():
    model = repo("model")
    assert model.id in run("models", "info", model.id)


@feature("cli-missing")
def _():
    said = run("download", repo("model").id + "-no-such", code=1)
    assert "not found" in said.lower(), said
    return [line for line in said.splitlines() if line.strip()][-1]


@feature("cli-gated")
def _():
    told = repo("gated")
    said = run("download", told.id, told.weights, code=1)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    found = next((line for line in lines if "gated" in line.lower() or "approval" in line.lower()), "")
    assert found, " ".join(lines[-6:])
    return found


main(f"huggingface_hub {importlib.metadata.version('huggingface_hub')}")
