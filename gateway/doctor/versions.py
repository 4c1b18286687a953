"""Which client libraries a Python environment has, and what is known of their versions (hub-protocol §14)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

from gateway.doctor.checks import Check, ok, unknown, warn
from gateway.doctor.surroundings import Surroundings, read_text

LIBRARIES = ("huggingface_hub", "hf_xet", "hf_transfer", "transformers", "datasets")
START_S = 20.0
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?")
# The folder of `-c` is the current one, where anything may lie: it goes first.
_ASK = f"""\
import sys
sys.path[:1] = []
import json
from importlib import metadata
found = {{}}
for name in {LIBRARIES!r}:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps({{"python": sys.version.split()[0], "found": found}}))
"""
_NPM = {
    "@huggingface/hub": "pass `hubUrl` to each call",
    "@huggingface/transformers": "set `env.remoteHost`",
}
Version = tuple[int, int, int]


def check_versions(around: Surroundings, pythons: tuple[str, ...]) -> list[Check]:
    """The named interpreters, or this one; and the npm packages of the current folder."""
    checks = [check for python in pythons or (sys.executable,) for check in _environment(around, python, bool(pythons))]
    return [*checks, *_npm(around)]


def read_version(text: str) -> Version | None:
    match = _VERSION.match(text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def _environment(around: Surroundings, python: str, named: bool) -> Iterator[Check]:
    where = python if named else "This Python"
    try:
        found = _installed(around, python)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, subprocess.SubprocessError):
        yield unknown("version/python", f"{where} could not be asked what it has installed.", "Name another --python.")
        return
    if "huggingface_hub" not in found:
        advice = "Name the Python that runs your clients: gateway doctor --client --python PATH"
        yield unknown("version/huggingface_hub", f"{where} has no huggingface_hub.", advice)
    for name in LIBRARIES:
        if name in found:
            yield _judged(name, found[name], where)


def _installed(around: Surroundings, python: str) -> dict[str, str]:
    """Library to version. Raises OSError, SubprocessError, or whatever an answer that is not ours leads to."""
    done = subprocess.run(
        [python, "-c", _ASK], capture_output=True, timeout=START_S, check=True, cwd=around.cwd, env=dict(around.env)
    )
    value = json.loads(done.stdout[-16_384:])
    return {str(name): str(version)[:40] for name, version in value["found"].items()}


def _judged(name: str, text: str, where: str) -> Check:
    version, check = read_version(text), f"version/{name}"
    said = f"{where} has {name} {text}"
    if version is None:
        return unknown(check, f"{said}, a version that cannot be read.")
    limits = [limit for limit in _LIMITS.get(name, ()) if limit[0](version)]
    serious = [(what, advice) for _, what, advice in limits if advice]
    if serious:
        return warn(check, f"{said}: {'; '.join(what for what, _ in serious)}.", serious[0][1])
    notes = "; ".join(what for _, what, _ in limits)
    return ok(check, f"{said}{f': {notes}' if notes else ''}.")


# Library -> which versions, what is known of them, and what to do ("" for nothing).
_Limit = tuple[Callable[[Version], bool], str, str]
_LIMITS: Mapping[str, tuple[_Limit, ...]] = {
    "huggingface_hub": (
        (lambda v: v < (0, 18, 0), "it reads HUGGING_FACE_HUB_TOKEN, and not HF_TOKEN", "Update huggingface_hub."),
        (
            lambda v: v < (0, 36, 2) or (1, 0, 0) <= v < (1, 5, 0),
            "a resumed download is spoilt where something on the way ignores ranges",
            "Update huggingface_hub to 0.36.2, or to 1.5 or later.",
        ),
        (lambda v: v < (1, 2, 0), "it does not print the gateway's warnings", ""),
        (lambda v: v >= (0, 31, 0), "it refuses files over 50 GB over plain HTTP", ""),
        (lambda v: v >= (1, 22, 0), "it keeps listings for ever", ""),
    ),
    "hf_xet": ((lambda _: True, "not used with the gateway, unless a kept listing names Xet hashes", ""),),
    "hf_transfer": ((lambda _: True, "it hides the gateway's reasons where HF_HUB_ENABLE_HF_TRANSFER is on", ""),),
    "transformers": (
        (
            lambda v: v < (4, 57, 0),
            "it was not tested with refusals of one file; older ones speak of a lost connection",
            "",
        ),
    ),
    "datasets": ((lambda _: True, "it also asks a datasets server, which the gateway does not have", ""),),
}


def _npm(around: Surroundings) -> Iterator[Check]:
    for name, remedy in _NPM.items():
        try:
            package = json.loads(read_text(around.cwd / "node_modules" / name / "package.json"))
            version = str(package["version"])[:40]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        text = f"This folder has the npm package {name} {version}: it ignores HF_ENDPOINT."
        yield warn("version/npm", text, f"In the program, {remedy}.")
