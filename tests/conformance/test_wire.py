"""The recording proxy of the drivers sees what it should, and cuts where it is told to."""

import contextlib
import http.client
import sys
from pathlib import Path

import pytest

from conformance.client import DRIVERS
from conformance.world import conformance_world
from gateway.simulator import SimulatorThread

sys.path.insert(0, str(DRIVERS))
from wire import Wire  # beside the drivers, which run without this project on their path

PATH = "/conformance/tiny-bert/resolve/main/README.md"


@pytest.fixture(scope="module")
def hub():
    with SimulatorThread(conformance_world()) as sim:
        yield sim


def ask(wire, url, method="GET", **headers):
    address = wire.env["http_proxy"].removeprefix("http://")
    with contextlib.closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request(method, url, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_requests_are_passed_on_and_recorded(hub):
    url = hub.hub_url + "/api/models/conformance/tiny-bert"
    with Wire() as wire:
        status, body = ask(wire, url, Range="bytes=0-3")
    assert status == 200
    assert b"tiny-bert" in body
    host = hub.hub_url.removeprefix("http://")
    assert wire.requests == [("GET", host, "/api/models/conformance/tiny-bert", "bytes=0-3")]
    assert (wire.hosts, wire.ranges) == ({host}, ["bytes=0-3"])


def test_one_answer_is_cut_and_the_next_one_whole(hub):
    url = hub.hub_url + "/api/models/conformance/many-files"
    with Wire() as wire:
        whole = ask(wire, url)[1]
        wire.cut("many-files", 2000)
        with pytest.raises(http.client.IncompleteRead):
            ask(wire, url)
        assert ask(wire, url)[1] == whole
    assert wire.cuts == 1


def test_an_answer_shorter_than_the_cut_passes(hub):
    with Wire() as wire:
        wire.cut(".*", 1 << 20)
        assert ask(wire, hub.hub_url + "/api/models/conformance/tiny-bert")[0] == 200
    assert wire.cuts == 0


def test_the_drivers_need_only_the_standard_library_of_their_client():
    for name in ("steps.py", "wire.py"):
        text = (Path(DRIVERS) / name).read_text("utf-8")
        assert "from gateway" not in text
        assert "conformance." not in text
