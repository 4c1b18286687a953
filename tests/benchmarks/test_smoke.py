"""The benchmarks run: smallest sizes, every step, no figure asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", ["hot-small", "cold-small", "cold-large", "cold-many", "memory", "decisions", "ledger"]
)
def test_a_benchmark_prints_its_tables(name, tmp_path):
    done = bench("--quick", "--json", "--directory", str(tmp_path), name)

    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["name"] == name
    assert 0 <= result["share_of_others"] <= 1
    for table in result["tables"]:
        assert table["rows"]
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


@pytest.mark.parametrize("name", ["hot-large", "denial", "snapshot"])
def test_what_needs_another_program_says_so_where_it_is_not(name, tmp_path):
    done = bench("--quick", "--directory", str(tmp_path), name)

    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith(("Hot GET of", "Denial to exit", "snapshot_download of", f"NOT RUN: {name}: "))


def test_an_unknown_name_is_refused_with_the_names_there_are():
    done = bench("no-such-benchmark")

    assert done.returncode == 2
    assert "hot-small" in done.stderr
