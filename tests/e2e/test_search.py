"""Search and listing through the gateway: real clients over several pages, and what must not leave."""

import json
from urllib.parse import urlsplit

import pytest

from gateway.simulator import World
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import CLIENTS, GatewayProcess, run_client

PAGES = """
import json
from huggingface_hub import HfApi
from huggingface_hub.hf_api import ModelInfo
api = HfApi()
print(json.dumps({
    "models": [m.id for m in api.list_models(search="m-", limit=25)],
    "full": [bool(m.sha) and m.siblings is None for m in api.list_models(author="corp", full=True)],
    "picked": [m.downloads for m in api.list_models(search="m-", sort="downloads", expand=["downloads"], limit=3)],
    "datasets": sorted(d.id for d in api.list_datasets(author="corp")),
    "spaces": [s.id for s in api.list_spaces()],
    "gated": [m.id for m in api.list_models(gated=True)],
    "tagged": [m.id for m in api.list_models(filter="rare")],
}))
"""


@pytest.fixture(scope="module")
def hub():
    world = World()
    for number in range(30):
        world.repo(f"corp/m-{number:02}", downloads=number, card={"license": "mit"}).commit({"config.json": "{}"})
    world.repo("corp/secret-project", private=True).commit({"config.json": "{}"})
    world.repo("corp/unlicensed").commit({"config.json": "{}"})
    world.repo("corp/gated", gated="auto", tags=["rare"], card={"license": "mit"}).commit({"config.json": "{}"})
    for name in ("a", "b"):
        world.repo(f"corp/{name}", type="dataset").commit({"a.csv": "1"})
    world.repo("corp/app", type="space").commit({"app.py": "1"})
    world.token("hf_gateway", "corp/secret-project", "corp/gated", name="gateway")
    with SimulatorThread(world) as sim:
        yield sim


@pytest.fixture(scope="module")
def gateway(hub, tmp_path_factory):
    process = GatewayProcess(
        hub, tmp_path_factory.mktemp("search") / "state", env={"GATEWAY_UPSTREAM_TOKEN": "hf_gateway"}
    )
    yield process
    process.stop()


@pytest.mark.clients
@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_real_clients_list_models_datasets_and_spaces(client, hub, gateway, tmp_path):
    run = run_client(client, gateway.url, tmp_path, PAGES)
    assert run.code == 0, run.text
    told = json.loads(run.out)
    assert told["models"] == [f"corp/m-{number:02}" for number in range(25)]
    assert len(told["full"]) >= 31
    assert all(told["full"])
    assert told["picked"] == [29, 28, 27]
    assert (told["datasets"], told["spaces"]) == (["corp/a", "corp/b"], ["corp/app"])
    assert told["gated"] == told["tagged"] == ["corp/gated"]


def walked(gateway, query):
    """All pages: the rows' ids, and the links."""
    path, ids, links = f"/api/models?{query}", [], []
    while path:
        answer = gateway.get(path)
        assert answer.status == 200, answer.body
        ids.append([row["id"] for row in answer.json])
        link = answer.headers["Link"]
        links += [link] if link else []
        address = link[1:].partition(">")[0] if link else ""
        assert not link or address.startswith(f"{gateway.url}/api/models?"), link
        path = address.removeprefix(gateway.url)
    return ids, links


def test_pages_go_on_to_the_end_by_links_of_our_own(hub, gateway):
    ids, links = walked(gateway, "limit=7&search=m-")
    assert [len(page) for page in ids] == [7, 7, 7, 7, 2]
    assert [one for page in ids for one in page] == [f"corp/m-{number:02}" for number in range(30)]
    assert not any(urlsplit(hub.hub_url).netloc in link for link in links)


def test_a_page_that_became_short_still_has_its_next(hub, gateway):
    for number in (3, 4, 5):
        hub.edit(lambda world, number=number: world[f"corp/m-{number:02}"].card.clear())
        assert gateway.get(f"/corp/m-{number:02}/resolve/main/config.json").status == 403
    ids, _ = walked(gateway, "limit=5&search=m-")
    assert [len(page) for page in ids] == [3, 4, 5, 5, 5, 5]
    hub.edit(lambda world: [world[f"corp/m-{n:02}"].card.update(license="mit") for n in (3, 4, 5)])


@pytest.mark.parametrize(
    "query", ["", "search=secret", "author=corp&full=true", "expand=sha&search=secret-project", "filter=region:us"]
)
def test_the_name_of_a_private_repo_is_never_told(hub, gateway, query):
    """The gateway's token opens it; a search is asked without."""
    hub.clear()
    answer = gateway.get(f"/api/models?{query}")
    assert answer.status == 200
    assert b"secret-project" not in answer.body
    assert all(not seen.authorization for seen in hub.requests)


def test_what_was_refused_is_withheld(gateway):
    assert b"corp/unlicensed" in gateway.get("/api/models?author=corp").body
    assert gateway.get("/corp/unlicensed/resolve/main/config.json").status == 403
    assert b"corp/unlicensed" not in gateway.get("/api/models?author=corp").body


@pytest.mark.parametrize(
    "cursor", ["http%3A%2F%2Fevil.example%2F", "%2F%2Fevil.example", "..%2F..%2Fapi%2Fmodels%2Fcorp%2Fsecret-project"]
)
def test_a_cursor_with_an_address_leads_nowhere(hub, gateway, cursor):
    hub.clear()
    answer = gateway.get(f"/api/models?limit=1&cursor={cursor}")
    assert answer.status in (400, 502)
    assert {seen.path for seen in hub.requests} <= {"/api/models"}


@pytest.mark.parametrize(
    "query", ["cursor=a%0d%0aX-Evil:1", "cursor=%22%3E", "limit=x", "sort=%3Cb%3E", f"search={'a' * 300}", "search=%00"]
)
def test_what_is_malformed_is_refused_without_asking_anybody(hub, gateway, query):
    hub.clear()
    answer = gateway.get(f"/api/models?{query}")
    assert answer.status in (400, 404)
    assert answer.headers["X-Evil"] is None
    assert not hub.requests


def test_a_secret_that_was_searched_for_is_not_on_record(gateway):
    secret = "hf_" + "A" * 34
    gateway.get(f"/api/models?search={secret}")
    assert all(secret not in json.dumps(record) for record in gateway.records())
    assert not any(secret in line for line in gateway.log)


def test_the_index_is_asked_once_within_its_time_and_head_tells_the_same(hub, gateway):
    gateway.get("/api/datasets?limit=1")
    hub.clear()
    first, again = (gateway.get("/api/datasets?limit=1", method) for method in ("GET", "HEAD"))
    assert not hub.requests
    assert first.headers["Link"] == again.headers["Link"]
    assert again.body == b""
