"""What a test run says of real components that are not on this machine: never silence, and on CI a failure."""

import os
from pathlib import Path

import pytest

from tests.opa import HOW_TO_GET, find_opa

ROOT = Path(__file__).resolve().parents[1]
CLIENT_ENVIRONMENTS = tuple(ROOT / ".venvs" / name for name in ("hub-0.36", "hub-1", "hub-2"))


def _missing():
    """marker -> how to get what its tests need, for what is not here."""
    missing = {}
    if find_opa() is None:
        missing["opa_server"] = HOW_TO_GET
    if not all((place / "bin" / "python").exists() for place in CLIENT_ENVIRONMENTS):
        missing["clients"] = "NOT RUN: real clients: `make test` makes their environments in .venvs"
    return missing


@pytest.hookimpl(trylast=True)  # after -m has chosen
def pytest_collection_modifyitems(config, items):
    missing = _missing()
    absent = [item for item in items if any(item.get_closest_marker(marker) for marker in missing)]
    if not absent:
        return
    config.stash[NOT_RUN] = sorted(
        {words for marker, words in missing.items() if any(item.get_closest_marker(marker) for item in absent)}
    )
    if os.environ.get("CI") == "true":
        raise pytest.UsageError("; ".join(config.stash[NOT_RUN]))
    config.hook.pytest_deselected(items=absent)
    items[:] = [item for item in items if item not in set(absent)]


NOT_RUN = pytest.StashKey[list[str]]()


def pytest_unconfigure(config):
    """After everything else, so that these are the last lines."""
    for words in config.stash.get(NOT_RUN, []):
        print(words)
