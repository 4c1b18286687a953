"""curl, wget, aria2c, git and git-lfs as a person calls them; the argument names the program."""

import gzip
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote

from steps import PLAN, feature, folder, main, repo

PROGRAM = sys.argv[1]
AUTH = [f"Authorization: Bearer {PLAN['token']}"] if PLAN["token"] else []


def run(*command, cwd=None):
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, check=False, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {' '.join((done.stderr + done.stdout).split())}"
    return done.stdout


def url(told, path, revision="main"):
    prefix = "" if told.type == "model" else f"{told.type}s/"
    return f"{PLAN['endpoint']}/{prefix}{told.id}/resolve/{revision}/{quote(path)}"


def fetch(source, target, *more):
    """The program's plain way to save an address as a file."""
    headers = {"curl": "-H", "wget": "--header", "aria2c": "--header"}[PROGRAM]
    auth = (
        [part for line in AUTH for part in (headers, line)] if PROGRAM == "curl" else [f"{headers}={h}" for h in AUTH]
    )
    target = Path(target)
    if PROGRAM == "curl":
        run("curl", "-fsSL", *auth, *more, "-o", target, source)
    elif PROGRAM == "wget":
        run("wget", "-q", *auth, *more, "-O", target, source)
    else:
        run("aria2c", "-q", *auth, *more, "-d", target.parent, "-o", target.name, source)
    return target


@feature("get")
def _():
    model = repo("model")
    for path in (model.small, model.weights):
        model.check(path, fetch(url(model, path), Path(folder()) / "got"))


@feature("half-file")
def _():
    model = repo("large")
    told, target = url(model, model.weights), Path(folder()) / "got"
    request = urllib.request.Request(told, headers=dict(h.split(": ") for h in AUTH) | {"Range": "bytes=0-1999999"})
    with urllib.request.urlopen(request) as answer:
        target.write_bytes(answer.read())
    more = {"curl": ("-C", "-"), "wget": ("-c",), "aria2c": ("-c",)}[PROGRAM]
    model.check(model.weights, fetch(told, target, *more))


@feature("segments")
def _():
    model = repo("large")
    more = ("-x16", "-s16", "--min-split-size=1M", "--file-allocation=none")
    model.check(model.weights, fetch(url(model, model.weights), Path(folder()) / "got", *more))


@feature("compressed")
def _():
    model = repo("model")
    got = fetch(url(model, model.small), Path(folder()) / "got", "--compressed")
    assert got.read_bytes()[:2] != gzip.compress(b"")[:2], "still compressed"
    model.check(model.small, got)


@feature("names")
def _():
    told = repo("unusual")
    for path in (p for p in told.files if told.files[p]["size"]):
        told.check(path, fetch(url(told, path), Path(folder()) / "got"))


@feature("empty-file")
def _():
    told = repo("unusual")
    for path in (p for p in told.files if not told.files[p]["size"]):
        target = Path(folder()) / "got"
        target.write_bytes(b"")  # curl writes no file where there are no bytes
        told.check(path, fetch(url(told, path), target))


@feature("head")
def _():
    model = repo("model")
    shown = run("curl", "-fsSIL", *(part for h in AUTH for part in ("-H", h)), url(model, model.weights))
    heads = shown.lower()
    size = re.search(r"x-linked-size: (\d+)", heads) or re.search(r"content-length: (\d+)", heads)
    assert int(size[1]) == model.files[model.weights]["size"]
    assert model.files[model.weights]["digest"] in heads


@feature("clone")
def _():
    model = repo("model")
    target = folder()
    run("git", "clone", "-q", f"{PLAN['endpoint']}/{model.id}", target)
    model.check(model.small, Path(target) / model.small)


@feature("lfs-pull")
def _():
    model = repo("model")
    target = Path(folder())
    stored = model.files[model.weights]
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{stored['digest']}\nsize {stored['size']}\n"
    who = ("-c", "user.name=conformance", "-c", "user.email=conformance@example.org")
    run("git", "init", "-q", "-b", "main", cwd=target)
    (target / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    (target / model.weights).write_text(pointer)
    run("git", *who, "add", ".", cwd=target)
    run("git", *who, "commit", "-q", "-m", "pointers", cwd=target)
    run("git", "lfs", "install", "--local", cwd=target)
    place = f"{PLAN['endpoint']}/{model.id}.git/info/lfs"
    run("git", "config", "lfs.url", place, cwd=target)
    if AUTH:
        run("git", "config", f"http.{PLAN['endpoint']}/.extraHeader", AUTH[0], cwd=target)
    run("git", "remote", "add", "origin", f"{PLAN['endpoint']}/{model.id}", cwd=target)
    run("git", "lfs", "pull", cwd=target)
    model.check(model.weights, target / model.weights)


def version():
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False).stdout.splitlines()[0]
    return re.search(r"\d+(\.\d+)+", said)[0]


if __name__ == "__main__":
    main(f"{PROGRAM} {version()}")
