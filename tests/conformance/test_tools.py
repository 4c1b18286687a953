"""`make tools`: what is missing is said in one line each, and is an error on CI; the Node lock names no registry."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "get-programs.sh"
NODE = ROOT / "conformance" / "node"
PROGRAMS = ["git", "git-lfs", "aria2c", "wget", "curl", "node", "npm", "chromium"]


def run(path, ci=""):
    env = {"PATH": str(path), "HOME": os.environ.get("HOME", "/"), "CI": ci}
    return subprocess.run([shutil.which("bash"), SCRIPT], capture_output=True, text=True, env=env, check=False)


@pytest.fixture
def bare(tmp_path):
    """A PATH with what the script itself needs, and neither apt-get nor any of the programs."""
    for name in ("dirname", "cmp", "cp", "mkdir", "id"):
        (tmp_path / name).symlink_to(shutil.which(name))
    return tmp_path


def test_each_missing_program_is_one_line_and_names_the_cells_that_do_not_run(bare):
    done = run(bare)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert [line.split()[1] for line in lines] == PROGRAMS
    assert all("no apt-get here" in line and "NOT RUN: " in line for line in lines)
    assert not done.stdout


def test_on_ci_a_missing_program_is_an_error(bare):
    for name in PROGRAMS[:5] + PROGRAMS[7:]:
        (bare / name).symlink_to(shutil.which("true"))
    assert run(bare).returncode == 0
    done = run(bare, ci="true")
    assert done.returncode == 1
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["node", "npm"]


def test_an_old_node_is_missing_too(bare):
    for name in PROGRAMS:
        (bare / name).symlink_to(shutil.which("true"))
    (bare / "node").unlink()
    (bare / "node").write_text("#!/bin/sh\necho 16\n")
    (bare / "node").chmod(0o755)
    (bare / "sh").symlink_to(shutil.which("sh"))
    done = run(bare, ci="true")
    assert done.returncode == 1
    assert done.stderr.startswith("missing: node >= 18 (node 16 is installed)")


def test_the_node_lock_pins_every_package_by_hash_and_names_no_registry():
    lock = json.loads((NODE / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert {"node_modules/@huggingface/hub", "node_modules/@huggingface/transformers"} <= set(packages)
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
    assert "omit-lockfile-registry-resolved=true" in (NODE / ".npmrc").read_text().splitlines()
    assert "ignore-scripts=true" in (NODE / ".npmrc").read_text().splitlines()
