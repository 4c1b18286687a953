"""What a test run says of real components that are not on this machine: never silence, and on CI a failure."""

import os
import shutil
from pathlib import Path

import pytest

from tests.opa import HOW_TO_GET, find_opa

ROOT = Path(__file__).resolve().parents[1]
CLIENT_ENVIRONMENTS = tuple(ROOT / ".venvs" / name for name in ("hub-0.36", "hub-1", "hub-2"))


def missing():
    """marker -> how to get what its tests need, for what is not here."""
    found = {}
    if find_opa() is None:
        found["opa_server"] = HOW_TO_GET
    if not all((place / "bin" / "python").exists() for place in CLIENT_ENVIRONMENTS):
        found["clients"] = "NOT RUN: real clients: `make test` makes their environments in .venvs"
    elif shutil.which("curl") is None:
        found["clients"] = "NOT RUN: real clients: install curl"
    return found


def speaks_for_all(config):
    """The process that reports: not a worker of a parallel run, and not a run of chosen tests alone."""
    return not hasattr(config, "workerinput") and not config.option.markexpr


def pytest_sessionstart(session):
    if speaks_for_all(session.config) and os.environ.get("CI") == "true" and (lacks := missing()):
        raise pytest.UsageError("; ".join(lacks.values()))


def pytest_collection_modifyitems(config, items):
    lacks = missing()
    absent = [item for item in items if any(item.get_closest_marker(marker) for marker in lacks)]
    if absent:
        config.hook.pytest_deselected(items=absent)
        items[:] = [item for item in items if item not in set(absent)]


def pytest_unconfigure(config):
    """After everything else, so that these are the last lines."""
    if speaks_for_all(config):
        for words in missing().values():
            print(words)
