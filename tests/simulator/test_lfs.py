"""The simulated LFS batch: links to the CDN for every object of any commit."""

import json

import pytest

from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import fetch


@pytest.fixture(scope="module")
def hub():
    world = World()
    for name, facts in (("org/model", {}), ("org/gated", {"gated": "auto"}), ("org/private", {"private": True})):
        repo = world.repo(name, **facts)
        repo.commit({"old.bin": b"old"})
        repo.commit({"old.bin": None, "new.bin": b"new"})
    with SimulatorThread(world) as sim:
        yield sim


def batch(hub, name, *objects, operation="download"):
    body = json.dumps({"operation": operation, "objects": list(objects)}).encode()
    headers = {"Content-Type": "application/vnd.git-lfs+json"}
    return fetch(f"{hub.hub_url}/{name}/info/lfs/objects/batch", "POST", headers, body)


def test_objects_of_every_commit_are_linked(hub):
    commits = hub.world["org/model"].commits.values()
    files = {path: file for commit in commits for path, file in commit.files.items()}
    wanted = [{"oid": files[path].content.sha256, "size": 3} for path in ("old.bin", "new.bin")]
    for name in ("org/model", "org/model.git"):
        rows = batch(hub, name, *wanted).json["objects"]
        assert [fetch(row["actions"]["download"]["href"]).body for row in rows] == [b"old", b"new"]


def test_an_unknown_object_has_an_error(hub):
    (row,) = batch(hub, "org/model", {"oid": "0" * 64, "size": 1}).json["objects"]
    assert row["error"]["code"] == 404


@pytest.mark.parametrize(
    ("name", "operation", "status"),
    [
        ("org/nothing", "download", 404),
        ("org/private", "download", 404),
        ("org/gated", "download", 403),
        ("org/model", "upload", 403),
    ],
)
def test_refusals_are_messages(hub, name, operation, status):
    answer = batch(hub, name, {"oid": "0" * 64, "size": 1}, operation=operation)
    assert answer.status == status
    assert answer.json["message"]
