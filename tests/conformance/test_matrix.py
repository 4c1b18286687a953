"""Every client is run as `make conformance` runs it; a cell that differs from what is published fails."""

import json
import os

import pytest

from conformance.__main__ import JSON
from conformance.cells import NOT_RUN
from conformance.clients import CLIENTS
from conformance.compare import better, of_clients, worse
from conformance.report import matrix
from conformance.run import run_all
from conformance.servers import endpoints

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    with endpoints(tmp_path_factory.mktemp("conformance")) as found:
        yield found


def without_cells_not_run(published, found):
    """Both without what this machine has no program for. In CI everything is there, or that is the failure."""
    for name, entry in found.items():
        for feature, ways in list(entry["cells"].items()):
            for endpoint, cell in list(ways.items()):
                if cell["result"] == NOT_RUN:
                    del ways[endpoint]
                    published.get(name, {"cells": {}})["cells"].get(feature, {}).pop(endpoint, None)
    return published, found


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_each_cell_is_as_published(client, places):
    published = of_clients(json.loads(JSON.read_text("utf-8")), [client.name])
    found = matrix(run_all([client], places, (), lambda _: None))
    if os.environ.get("CI") != "true":
        published, found = without_cells_not_run(published, found)
    assert list(worse(published, found)) == []
    assert list(better(published, found)) == [], (
        "better than docs/conformance.md says: run make conformance, and commit"
    )
