"""A client that cannot run here, by its requests alone; the argument names the replay."""

import sys
from pathlib import Path

from steps import PLAN, feature, main, repo

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from conformance.replays import ALLOWED, BY_NAME, FILE_DENIED, Subject

REPLAY = BY_NAME[sys.argv[1]]


def sent(role, path, outcome):
    told = repo(role)
    entry = told.files[path]
    subject = Subject(told.id, path, entry["digest"], entry["size"])
    steps = REPLAY.run(PLAN["endpoint"], subject, outcome, token=PLAN["token"], direct=PLAN["kind"] == "direct")
    failed = [f"{step.what}: {'; '.join(step.missed)}" for step in steps if not step.ok]
    assert not failed, failed[0]


def gguf_of(role):
    return next(path for path in repo(role).files if path.endswith(".gguf"))


@feature("replay")
def _():
    role = "large" if REPLAY.name == "hf-transfer" and "large" in PLAN["repos"] else "model"
    sent(role, repo(role).weights, ALLOWED)


@feature("replay-gguf")
def _():
    sent("gguf", gguf_of("gguf"), ALLOWED)


@feature("replay-gguf-denied")
def _():
    sent("denied-gguf", gguf_of("denied-gguf"), FILE_DENIED)


@feature("replay-denied")
def _():
    sent("denied", "model.safetensors", FILE_DENIED)


main("by its requests")
