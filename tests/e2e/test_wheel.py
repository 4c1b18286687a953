"""The built wheel, unpacked elsewhere and run from an empty folder: rego and policy data come with it."""

import os
import re
import subprocess
import sys
import zipfile

import pytest

from tests.e2e.harness import ROOT, fetch


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel in a folder of its own; its dependencies are those of the environment that runs the tests."""
    root = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(root / "dist"), str(ROOT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = (root / "dist").glob("*.whl")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(root / "site"), str(wheel)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (root / "empty").mkdir()
    return root, wheel


def run(installed, *arguments, **options):
    root, _ = installed
    return subprocess.run(
        [str(root / "site/bin/gateway"), *arguments], capture_output=True, text=True, timeout=100, check=False,
        cwd=root / "empty", env={**os.environ, "PYTHONPATH": str(root / "site")}, **options,
    )  # fmt: skip


def test_it_holds_the_policy_and_nothing_of_the_workshop(installed):
    _, wheel = installed
    names = zipfile.ZipFile(wheel).namelist()
    assert "gateway/_shipped/rego/main.rego" in names
    assert "gateway/_shipped/policy-data/profiles/balanced.yaml" in names
    assert any(name.endswith("entry_points.txt") for name in names)
    assert any("LICENSE" in name for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/")) or "__pycache__" in name]


def test_it_runs_from_its_own_files(installed):
    root, _ = installed
    done = subprocess.run(
        [sys.executable, "-c", "import gateway, gateway.shipped as s; print(gateway.__file__, s.rego_dir(), s.policy_data_dir())"],
        capture_output=True, text=True, check=True, cwd=root / "empty", env={**os.environ, "PYTHONPATH": str(root / "site")},
    )  # fmt: skip
    assert all(place.startswith(str(root / "site")) for place in done.stdout.split()), done.stdout


def test_help_policy_test_and_demo(installed):
    assert "serve" in run(installed, "--help").stdout
    done = run(installed, "policy", "test")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert re.search(r"\b[1-9]\d+ pass", done.stdout)
    done = run(installed, "demo")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "license/unknown" in done.stdout


def test_serve_from_an_empty_folder(installed):
    root, _ = installed
    process = subprocess.Popen(
        [str(root / "site/bin/gateway"), "serve", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:9",
         "--unsafe-allow-private-upstream"],
        cwd=root / "empty", env={**os.environ, "PYTHONPATH": str(root / "site")},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        url = re.search(r"serving on (\S+)", line)[1]
        assert fetch(f"{url}/ready").status == 200
        assert fetch(f"{url}/demo/x/resolve/main/config.json").status == 502
        assert (root / "empty/gateway-state").is_dir()
    finally:
        process.terminate()
        assert process.wait(40) == 0
        process.stdout.close()
