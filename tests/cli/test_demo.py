"""`gateway demo`: what it claims to show, shown."""

import json
import os

import pytest

from gateway.simulator.samples import SAMPLES
from tests.e2e.harness import cli


def test_good_files_pass_and_bad_ones_are_denied_with_words_and_the_ledger_verifies():
    done = cli("demo", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["verified"] is True
    assert [f["passed"] for f in shown["fetches"]] == [sample.is_good for sample in SAMPLES]
    for fetch in shown["fetches"]:
        assert fetch["passed"] or "BLOCKED by gateway policy" in fetch["words"], fetch
    recorded = {(r.get("repo"), r.get("path"), r["effect"]) for r in shown["ledger"]}
    for sample in SAMPLES:
        assert (sample.name, sample.path, "allow" if sample.is_good else "deny") in recorded


def test_it_fits_one_screen_and_keeps_what_it_is_told_to(tmp_path):
    kept = tmp_path / "kept"
    done = cli("demo", "--keep", str(kept), env={**os.environ, "COLUMNS": "100"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 60
    assert any("Next step:" in line for line in lines)
    assert cli("audit", "verify", "--state", str(kept / "state")).returncode == 0
    again = cli("demo", "--keep", str(kept))
    assert again.returncode == 2
    assert str(kept) in again.stderr


@pytest.mark.parametrize("profile", ["permissive"])
def test_the_permissive_profile_still_stops_what_is_hostile(profile):
    shown = json.loads(cli("demo", "--profile", profile, "--json").stdout)
    passed = {f["repo"] for f in shown["fetches"] if f["passed"]}
    assert "demo/no-license" in passed
    assert not passed & {"demo/evil-pickle", "demo/evil-gguf", "demo/bad-shard-index", "demo/custom-code"}
