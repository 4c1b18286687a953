"""`python -m conformance` against a registry that somebody else runs: here, the test hub as a process of its own."""

import json
import os
import signal
import subprocess
import sys

import pytest

from conformance.client import ROOT


@pytest.fixture(scope="module")
def upstream():
    command = [sys.executable, "-m", "conformance", "upstream", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    yield json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stdout.close()


def conformance(*arguments, **env):
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        capture_output=True, text=True, timeout=100, cwd=ROOT, env={**os.environ, **env}, check=False,
    )  # fmt: skip


@pytest.mark.clients
def test_any_endpoint_can_be_asked(upstream):
    done = conformance(
        "run", "--endpoint", upstream["hub_url"] + "/", "--client", "hub-2", "--feature", "snapshot", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hub-2"]["cells"] == {"snapshot": {"gateway": {"result": "PASS"}}}


@pytest.mark.clients
def test_its_own_repos_can_stand_for_the_roles(upstream, tmp_path):
    repos = tmp_path / "repos.json"
    repos.write_text(json.dumps({
        "model": "conformance/sharded", "revisions": "conformance/revisions",
        "pull": {"id": "conformance/revisions", "revision": "refs/pr/1"},
        "converted": {"id": "conformance/csv", "revision": "refs/convert/parquet"},
    }))  # fmt: skip
    asked = (
        "snapshot",
        "list-tree",
        "fs-glob",
        "agreement",
        "revisions",
        "revision-pull",
        "revision-convert",
        "refs",
        "commits",
    )
    flags = [flag for name in (*asked, "gated", "whoami") for flag in ("--feature", name)]
    done = conformance(
        "run",
        "--endpoint",
        upstream["hub_url"],
        "--repos",
        str(repos),
        "--client",
        "hub-2",
        *flags,
        "--json",
        CI="false",
    )
    cells = {name: ways["gateway"] for name, ways in json.loads(done.stdout)["hub-2"]["cells"].items()}
    assert cells.pop("gated") == {"result": "NOT RUN", "detail": "not given: gated"}
    assert cells.pop("whoami") == {"result": "NOT RUN", "detail": "not given: token"}
    assert [name for name, cell in cells.items() if cell != {"result": "PASS"}] == []
    assert set(cells) == set(asked)
    assert done.returncode == 0, done.stderr


@pytest.mark.clients
def test_a_registry_that_fails_ends_the_run_with_1(upstream):
    done = conformance(
        "run", "--endpoint", upstream["hub_url"] + "/nowhere", "--client", "hub-2", "--feature", "model-info"
    )
    assert done.returncode == 1
    assert "FAIL" in done.stdout


def test_what_was_not_run_is_an_error_in_ci(upstream, tmp_path):
    (tmp_path / "none.json").write_text("{}")
    flags = ("--endpoint", upstream["hub_url"], "--repos", str(tmp_path / "none.json"), "--client", "curl")
    assert conformance("run", *flags, CI="true").returncode == 1
    assert conformance("run", *flags, CI="false").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--feature", "no-such"), "no feature is named no-such"),
        (("run", "--client", "no-such"), "no client is named no-such"),
        (("run", "--client", "curl", "--feature", "snapshot"), "none of these clients has the feature snapshot"),
        (("run", "--endpoint", "http://127.0.0.1:9", "--write"), "--write publishes runs of the gateway"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments, words):
    done = conformance(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
