import shlex
import subprocess

import pytest

from gateway.doctor.caches import check_cache

COMMIT = "a" * 40


@pytest.fixture
def cache(around):
    """A cache with one repo of everything that stands in the way, in a folder whose name needs quoting."""

    def make(**env):
        here = around(HF_HOME="hf home'; rm -rf x", **env)
        repo = here.hub_cache / "models--org--it's"
        for path, text in {
            f"trees/{COMMIT}.json": '{"files": {"a": {"xet_hash": "b"}}}',
            "refs/main": COMMIT,
            f".no_exist/{COMMIT}/model.safetensors": "",
            "blobs/e.incomplete": "half",
            "blobs/whole": "whole",
        }.items():
            (repo / path).parent.mkdir(parents=True, exist_ok=True)
            (repo / path).write_text(text)
        return here

    return make


def states(around):
    return {check.check: check.state for check in check_cache(around)}


def test_everything_that_stands_in_the_way_is_named(cache):
    found = states(cache())
    assert found == {
        "cache/location": "ok", "cache/trees": "fail", "cache/refs": "warn", "cache/no-exist": "warn", "cache/incomplete": "warn",
    }  # fmt: skip
    assert states(cache(HF_HUB_DISABLE_XET="1"))["cache/trees"] == "warn"
    assert states(cache(HF_HUB_OFFLINE="1"))["cache/refs"] == "fail"


def test_the_commands_clear_that_and_nothing_else(cache):
    here = cache()
    for check in check_cache(here):
        command = check.advice.partition("un: ")[2]
        if command:
            assert shlex.split(command)[0] in {"find", "rm"}
            subprocess.run(["sh", "-c", command], check=True, cwd=here.cwd)
    assert set(states(here).values()) == {"ok"}
    repo = here.hub_cache / "models--org--it's"
    assert [path.name for path in repo.rglob("*") if path.is_file()] == ["whole"]


def test_no_cache_yet_and_one_that_is_a_file(around):
    here = around()
    assert states(here) == {"cache/location": "ok"}
    here.hf_home.mkdir(parents=True)
    here.hub_cache.write_text("")
    assert states(here) == {"cache/location": "ok"}


def test_a_xet_cache_counts_once_there_is_more_in_it_than_logs(around):
    here = around()
    (here.xet_cache / "logs").mkdir(parents=True)
    assert "cache/xet" not in states(here)
    (here.xet_cache / "chunk-cache").mkdir()
    assert states(here)["cache/xet"] == "warn"
