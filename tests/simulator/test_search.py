"""The simulated hub's index, asked over HTTP."""

import pytest
import requests

from gateway.simulator import World
from gateway.simulator.thread import SimulatorThread


@pytest.fixture(scope="module")
def sim():
    world = World()
    for number in range(5):
        world.repo(f"org/model-{number}", downloads=number * 10, likes=-number, tags=["a"] if number % 2 else ["b"],
                   gated=number == 4, pipeline="fill-mask" if number == 0 else "").commit({"config.json": "{}"})  # fmt: skip
    world.repo("other/model", config={"x": 1}).commit({"config.json": "{}"})
    world.repo("org/secret", private=True).commit({"config.json": "{}"})
    world.repo("org/empty")
    world.repo("org/table", type="dataset").commit({"a.csv": "1"})
    world.token("hf_x", "org/secret")
    with SimulatorThread(world) as sim:
        yield sim


def ids(sim, query="", api="models", **headers):
    answer = requests.get(f"{sim.hub_url}/api/{api}?{query}", headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    return [row["id"].removeprefix("org/model-") for row in answer.json()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["0", "1", "2", "3", "4", "other/model"]),
        ("search=MODEL&author=org", ["0", "1", "2", "3", "4"]),
        ("filter=a", ["1", "3"]),
        ("filter=a&filter=b", []),
        ("sort=downloads&author=org&limit=2", ["4", "3"]),
        ("sort=likes&author=org&direction=1", ["4", "3", "2", "1", "0"]),
        ("gated=true", ["4"]),
        ("pipeline_tag=fill-mask", ["0"]),
    ],
)
def test_filters_and_order(sim, query, expected):
    assert ids(sim, query) == expected


def test_private_repos_are_found_with_their_token_only(sim):
    assert "org/secret" not in ids(sim)
    assert "org/secret" in ids(sim, Authorization="Bearer hf_x")
    assert ids(sim, api="datasets") == ["org/table"]


def test_pages_are_linked(sim):
    url, seen = f"{sim.hub_url}/api/models?limit=2&search=model", []
    while url:
        answer = requests.get(url, timeout=20)
        seen.append(len(answer.json()))
        url = answer.links.get("next", {}).get("url")
    assert seen == [2, 2, 2]


def test_how_much_a_row_tells(sim):
    def row(query):
        return requests.get(f"{sim.hub_url}/api/models?author=other&{query}", timeout=20).json()[0]

    assert "sha" not in row("")
    assert {"sha", "siblings", "lastModified"} <= set(row("full=true"))
    assert row("config=true")["config"] == {"x": 1}
    assert set(row("expand=likes&expand=sha")) == {"_id", "id", "likes", "sha"}


@pytest.mark.parametrize("query", ["expand=evil", "sort=evil"])
def test_what_the_hub_does_not_know_is_refused(sim, query):
    assert requests.get(f"{sim.hub_url}/api/models?{query}", timeout=20).status_code == 400
