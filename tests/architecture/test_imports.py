"""The import contracts of pyproject.toml hold, and they speak of every package."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.sources import PACKAGE, ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def test_the_import_contracts_hold():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


def test_no_adapter_package_is_left_out_of_the_contracts():
    layers = next(contract for contract in CONTRACTS if contract["type"] == "layers")
    named = {name for layer in layers["layers"] for name in layer.replace(" ", "").split(":")}
    independent = next(contract for contract in CONTRACTS if contract["type"] == "independence")
    named |= set(independent["modules"])
    packages = {f"gateway.{entry.name}" for entry in PACKAGE.iterdir() if (entry / "__init__.py").is_file()}
    assert packages - named == set()
