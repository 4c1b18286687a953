"""A cell can fail: real clients against a registry that lies, and what their cells then say."""

import pytest

from conformance.cells import FAIL, PASS
from conformance.clients import chosen
from conformance.plan import repos_of
from conformance.run import run_client
from conformance.servers import Endpoint
from conformance.world import HUB_TOKEN, conformance_world
from gateway.simulator import Bytes, Fault, SimulatorThread

pytestmark = pytest.mark.clients
WEIGHTS = "conformance/tiny-bert/model.safetensors"


@pytest.fixture(scope="module")
def hub():
    with SimulatorThread(conformance_world()) as sim:
        yield sim


@pytest.fixture
def cells(hub):
    def run(fault, *features, client="hub-2"):
        hub.faults.add(fault)
        place = Endpoint("direct", hub.hub_url, HUB_TOKEN, repos_of(hub.world), has_no_cas=True)
        found = run_client(chosen([client])[0], place, features).cells
        return {name: (cell.result, cell.detail) for name, cell in found.items()}

    yield run
    hub.faults.clear()


def test_other_bytes_of_the_right_length_are_noticed(cells):
    found = cells(Fault(path=WEIGHTS, host="cdn", corrupt_at=100), "download-file", "snapshot", "list-files")
    said = (FAIL, "AssertionError: model.safetensors: other bytes than the registry's")
    assert found == {"download-file": said, "snapshot": said, "list-files": (PASS, "")}


def test_a_short_listing_is_noticed(cells):
    short = Bytes(b'[{"type": "file", "path": "README.md", "oid": "%s", "size": 1}]' % (b"0" * 40))
    fault = Fault(path="/api/models/conformance/tiny-bert/tree/*", body=short.data, status=200, headers={"Link": None})
    found = cells(fault, "list-files", "list-tree", "agreement")
    assert {name for name, (result, _) in found.items() if result == FAIL} == {"list-files", "list-tree", "agreement"}


def test_a_refusal_is_told_in_the_words_that_the_user_reads(cells):
    fault = Fault(path=WEIGHTS, host="hub", method="GET", status=403, headers={"X-Error-Message": "not this one"})
    result, detail = cells(fault, "download-file")["download-file"]
    assert result == FAIL
    assert detail.startswith("HfHubHTTPError: 403 Forbidden: not this one.")


def test_a_command_that_fails_tells_its_last_lines(cells):
    fault = Fault(path=WEIGHTS, host="hub", method="GET", status=403, headers={"X-Error-Message": "not this one"})
    result, detail = cells(fault, "cli-download", "cli-whoami", client="cli-2")["cli-download"]
    assert result == FAIL
    assert "not this one" in detail
