"""P5: while the hub is down, what was judged keeps flowing and what was not waits; facts that change are decided anew."""

import json
import threading
import time

import pytest

from gateway.simulator import builders
from gateway.simulator.samples import sample_world
from gateway.simulator.thread import SimulatorThread
from tests.e2e.harness import run_client

HOT = "[upstream]\nref_ttl_s = 0.2\nfacts_ttl_s = 0.4\nread_timeout_s = 2\n"
REPO = "demo/good-safetensors"
FILE = f"/{REPO}/resolve/main/model.safetensors"
ROUTES = (
    ("GET", FILE), ("HEAD", FILE), ("GET", f"/api/models/{REPO}"), ("GET", f"/api/models/{REPO}/revision/main?blobs=true"),
    ("GET", f"/api/models/{REPO}/tree/main?recursive=true"), ("GET", f"/{REPO}/resolve/main/config.json"),
)  # fmt: skip


@pytest.fixture
def world():
    return sample_world()


def becomes(get, status, seconds=10.0):
    """Ask until the answer has the status: what a time-to-live lets happen."""
    until = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < until:
        answer = get()
        if answer.status == status:
            return answer
        pause.wait(0.1)
    raise AssertionError((answer.status, answer.body[:300]))


def test_what_was_judged_flows_while_the_hub_is_down_and_after_a_restart(world, launch, tmp_path):
    with SimulatorThread(world) as hub:
        state = tmp_path / "state"
        gateway = launch(hub, state=state, config=HOT)
        before = [gateway.get(route, method) for method, route in ROUTES]
        assert [a.status for a in before] == [200] * len(ROUTES)
        denied = gateway.get("/demo/no-license/resolve/main/model.safetensors")
        assert denied.status == 403
        hub.down()
        for again in ("running", "restarted"):
            if again == "restarted":
                gateway.stop()
                gateway.start()
            for (method, route), old in zip(ROUTES, before, strict=True):
                answer = gateway.get(route, method)
                assert answer.status == 200, (again, route, answer.body[:300])
                assert (answer.json == old.json) if route.startswith("/api/") else (answer.body == old.body)
                assert answer.headers["X-Repo-Commit"] == old.headers["X-Repo-Commit"]
            assert gateway.get("/demo/no-license/resolve/main/model.safetensors").status == 403
            for method in ("GET", "HEAD"):
                unknown = gateway.get("/demo/good-torch/resolve/main/pytorch_model.bin", method)
                assert unknown.status == 502
                assert unknown.headers["X-Error-Code"] is None
            other = gateway.get(f"/{REPO}/resolve/other-branch/config.json")
            assert other.status == 502
        assert gateway.get("/ready").status == 200
        hub.up()
        assert becomes(lambda: gateway.get("/demo/good-torch/resolve/main/pytorch_model.bin"), 200).body


@pytest.mark.clients
def test_a_real_client_does_not_notice(world, launch, tmp_path):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=HOT)
        script = f"from huggingface_hub import snapshot_download\nprint('AT', snapshot_download({REPO!r}))\n"
        assert run_client("hub-2", gateway.url, tmp_path / "first", script).code == 0
        hub.down()
        run = run_client("hub-2", gateway.url, tmp_path / "second", script)
        assert run.code == 0, run.text
        assert "AT" in run.out


def test_beyond_the_limit_of_staleness_nothing_flows(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=HOT + "max_stale_s = 1\n")
        assert gateway.get(FILE).status == 200
        hub.down()
        assert "upstream/" in becomes(lambda: gateway.get(FILE), 502).headers["X-Error-Message"]


def test_a_moved_ref_is_followed_and_the_old_commit_stays(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=HOT)
        first = gateway.get(f"/{REPO}/resolve/main/config.json")
        commit = first.headers["X-Repo-Commit"]
        moved = hub.edit(lambda w: w[REPO].commit({"config.json": '{"model_type": "gpt2"}\n'}))

        def get():
            answer = gateway.get(f"/{REPO}/resolve/main/config.json")
            answer.status = answer.status if answer.headers["X-Repo-Commit"] == moved else 0
            return answer

        assert becomes(get, 200).json == {"model_type": "gpt2"}
        assert gateway.get(f"/{REPO}/resolve/{commit}/config.json").body == first.body
        assert gateway.get(f"/api/models/{REPO}").json["sha"] == moved


def test_a_ref_that_moves_to_something_hostile_is_judged_anew(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=HOT)
        path = "/demo/good-torch/resolve/main/pytorch_model.bin"
        assert gateway.get(path).status == 200
        evil = builders.torch_zip({"w": (2, 2)}, data_pkl=builders.pickle_call("os", "system"))
        hub.edit(lambda w: w["demo/good-torch"].commit({"pytorch_model.bin": evil}))
        answer = becomes(lambda: gateway.get(path), 403)
        assert "scan/" in answer.headers["X-Error-Message"]


def gate_repo(w):
    w[REPO].gated = "manual"


def forget_license(w):
    w[REPO].card = {}


def accuse(w):
    w[REPO].scan_levels = {"model.safetensors": "unsafe"}


@pytest.mark.parametrize(
    ("change", "rule"),
    [(gate_repo, "entitlement/gated"), (forget_license, "license/unknown"), (accuse, "scan/hub-verdict")],
)
@pytest.mark.parametrize("ref", ["main", "commit"])
def test_facts_that_change_are_decided_anew(change, rule, ref, world, launch):
    """The bytes and the commit are the same; what is known of them is not."""
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=HOT)
        at = world[REPO].main.id if ref == "commit" else "main"
        path = f"/{REPO}/resolve/{at}/model.safetensors"
        assert gateway.get(path).status == 200
        hub.edit(change)
        answer = becomes(lambda: gateway.get(path), 403)
        assert rule in answer.headers["X-Error-Message"]


def test_our_first_sight_of_a_repo_is_kept_over_restarts(world, launch, tmp_path):
    """A hub that gives no dates: the age is counted from when this gateway saw the repo first."""
    overlay = tmp_path / "age.yaml"
    overlay.write_text(
        json.dumps(
            {
                "config": {
                    "rules": {"age/quarantine": {"mode": "enforce"}},
                    "age": {"commit_min_hours": 0, "repo_min_hours": 1},
                }
            }
        )
    )
    with SimulatorThread(world) as hub:
        state = tmp_path / "state"
        gateway = launch(hub, "--policy-data", str(overlay), state=state, config=HOT)
        gateway.get("/demo/good-gguf/resolve/main/model.gguf")
        first = seen(state)
        assert first
        gateway.restart()
        gateway.get("/demo/good-gguf/resolve/main/model.gguf")
        hub.edit(lambda w: w.rename("demo/good-gguf", "demo/renamed-gguf"))
        gateway.get("/demo/renamed-gguf/resolve/main/model.gguf")
        assert seen(state) == first


def seen(state):
    """The first sights in the facts, as they lie on disk."""
    import sqlite3

    found = {}
    for path in state.rglob("*"):
        if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3":
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as base:
                for (table,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    columns = [row[1] for row in base.execute(f"PRAGMA table_info({table})")]
                    if {"namespace", "key", "value"} <= set(columns):
                        found |= dict(
                            base.execute(f"SELECT key, value FROM {table} WHERE namespace = 'first_seen'").fetchall()
                        )
            base.close()
    return found


def test_the_cdn_alone_being_down_is_told_and_healed(world, launch):
    with SimulatorThread(world) as hub:
        gateway = launch(hub, config=HOT)
        hub.down("cdn")
        answer = gateway.get(FILE)
        assert answer.status == 502
        assert answer.headers["X-Error-Code"] is None
        assert "cdn" not in answer.headers["X-Error-Message"].lower().replace("cannot", "")
        hub.up()
        assert becomes(lambda: gateway.get(FILE), 200).body
