"""The runner believes a driver only so far: a crash, a hang, silence and nonsense are failures with its last words."""

import pytest

from conformance.cells import FAIL, LIMIT, NOT_RUN, PASS, REFUSED, Cell, normalised
from conformance.client import Client
from conformance.expected import _ALL, explained
from conformance.run import run_client
from conformance.servers import Endpoint

REPOS = {"model": {"id": "org/model", "type": "model", "commit": "c" * 40, "files": {}}}
PLACE = Endpoint("gateway", "http://127.0.0.1:9", "", REPOS)
SAY = "import json\ndef say(**line): print(json.dumps(line), flush=True)\n"


def run(code, *features, endpoint=PLACE, **options):
    client = Client("made", "made", "hub", ("{python}", "-c", SAY + code), features, **options)
    return run_client(client, endpoint)


def test_what_a_driver_says_becomes_cells():
    code = "say(version='made 1')\nsay(feature='snapshot', ok=True)\nsay(feature='missing', ok=False, detail='no such luck')\n"
    outcome = run(code, "snapshot", "missing")
    assert outcome.version == "made 1"
    assert outcome.cells == {"snapshot": Cell(PASS), "missing": Cell(FAIL, "no such luck")}


def test_a_driver_that_dies_fails_what_it_had_not_said():
    outcome = run("say(feature='snapshot', ok=True)\nraise SystemExit('out of luck')\n", "snapshot", "missing")
    assert outcome.cells["snapshot"].result == PASS
    assert outcome.cells["missing"] == Cell(FAIL, "the driver ended before it: exit code 1; out of luck")


def test_a_driver_that_hangs_is_ended_with_its_children():
    code = "import subprocess, sys\nsubprocess.Popen(['sleep', '1000'])\nsubprocess.Popen(['sleep', '1000']).wait()\n"
    outcome = run(code, "snapshot", limit_s=1.0)
    assert outcome.cells["snapshot"].detail == "the driver ended before it: ended after <span>;"


def test_nonsense_and_features_that_were_not_asked_for_are_no_cells():
    outcome = run("print(chr(123) + 'broken')\nprint('words')\nsay(feature='search', ok=True)\n", "snapshot")
    assert set(outcome.cells) == {"snapshot"}
    assert outcome.cells["snapshot"].result == FAIL


def test_a_failure_without_a_word_says_so():
    assert run("say(feature='snapshot', ok=False)\n", "snapshot").cells["snapshot"] == Cell(
        FAIL, "failed without a word"
    )


def test_what_is_missing_is_not_run_and_says_how_to_get_it():
    found = run("", "snapshot", needs=("no-such-program",)).cells["snapshot"]
    assert found == Cell(NOT_RUN, "no-such-program is not installed (make tools)")
    found = run("", "snapshot", venv="no-such-venv").cells["snapshot"]
    assert found == Cell(NOT_RUN, "its environment .venvs/no-such-venv is not built (make clients)")


def test_a_role_without_a_repo_is_not_run():
    assert run("", "gated").cells["gated"] == Cell(NOT_RUN, "not given: gated")


def test_a_feature_of_the_gateway_alone_is_not_asked_of_the_hub():
    direct = Endpoint("direct", PLACE.url, "", REPOS | {"large": REPOS["model"]})
    assert run("", "hosts", endpoint=direct).cells == {}


def test_a_driver_sees_only_its_own_settings(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    code = "import os\nsay(version=sorted(k for k in os.environ if k.startswith('HF_') or 'proxy' in k.lower()))\nsay(feature='snapshot', ok=True)\n"
    told = run(code, "snapshot", env={"HF_OWN": "1"}).version
    assert "HF_ENDPOINT" in told
    assert "HF_OWN" in told
    assert "OFFLINE" not in told
    assert "PROXY" not in told


def test_an_expected_failure_needs_the_words_that_prove_it():
    line = next(line for line in _ALL if line.feature == "revision-pull")
    told = Cell(FAIL, "BLOCKED by gateway policy: … Rule provenance/pull-request; …")
    assert explained(told, "hub-2", "revision-pull", "gateway") == Cell(REFUSED, told.detail, line.why)
    other = Cell(FAIL, "check your connection")
    assert explained(other, "hub-2", "revision-pull", "gateway") == other
    assert explained(told, "hub-2", "revision-pull", "direct") == told
    assert explained(Cell(PASS), "hub-2", "revision-pull", "gateway") == Cell(PASS)


def test_every_expected_line_is_a_limit_or_a_refusal_with_its_reason():
    for line in _ALL:
        assert line.result in (LIMIT, REFUSED)
        assert len(line.why) > 20
        assert line.pattern not in ("", ".", ".*")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("at http://127.0.0.1:4711/x", "at http://<host>/x"),
        ("(Request ID: Root=1-a;b)", "(Request ID: …)"),
        ("Decision d-" + "0a" * 10 + ".", "Decision d-…."),
        ("commit " + "ab" * 20, "commit <commit>"),
        ("sha256 " + "ab" * 32, "sha256 <digest>"),
        ("2026-01-02T03:04:05.678Z done", "<time> done"),
        ("took 1.25 s", "took <span>"),
        ("two\n  lines", "two lines"),
    ],
)
def test_what_changes_between_runs_is_replaced(text, same):
    assert normalised(text) == same


def test_names_of_this_run_are_replaced_longest_first():
    assert normalised("/a/b/c and /a/b", {"/a/b": "<x>", "/a/b/c": "<y>"}) == "<y> and <x>"
    assert len(normalised("x" * 1000)) == 420
