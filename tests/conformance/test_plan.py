"""The roles of the test repos, as drivers are told of them: from the world, or from any registry's own listings."""

import json

import pytest

from conformance.client import ROOT
from conformance.features import FEATURES
from conformance.plan import repos_from, repos_of
from conformance.world import MANY, conformance_world
from gateway.simulator import SimulatorThread


@pytest.fixture(scope="module")
def hub():
    with SimulatorThread(conformance_world()) as sim:
        yield sim


def test_every_role_that_a_feature_needs_has_a_repo():
    needed = {role for feature in FEATURES.values() for role in feature.needs}
    assert needed - set(repos_of(conformance_world())) == {"token"}
    described = (ROOT / "conformance/README.md").read_text("utf-8")
    assert [role for role in repos_of(conformance_world()) if f"`{role}`" not in described] == []


def test_repos_of_another_registry_are_described_by_its_own_listings(hub, tmp_path):
    asked = tmp_path / "repos.json"
    asked.write_text(
        json.dumps({"model": "conformance/tiny-bert", "csv": "conformance/csv", "large": {"id": "conformance/large"}})
    )
    told, known = repos_from(asked, hub.hub_url, ""), repos_of(conformance_world())
    assert set(told) == {"model", "csv", "large"}
    for role, entry in told.items():
        assert entry["files"] == known[role]["files"], role
        assert (entry["id"], entry["type"], entry["commit"]) == tuple(known[role][k] for k in ("id", "type", "commit"))


def test_the_long_listing_is_as_long_as_its_feature_says():
    assert len(repos_of(conformance_world())["many"]["files"]) == MANY


def test_the_world_is_the_same_each_time():
    assert repos_of(conformance_world()) == repos_of(conformance_world())
