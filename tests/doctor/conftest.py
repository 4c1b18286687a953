from pathlib import Path

import pytest

from gateway.doctor.surroundings import Surroundings


@pytest.fixture
def around(tmp_path):
    """Surroundings with this environment, and a home and a current folder of the test's own."""

    def make(**env):
        for name in ("home", "cwd"):
            (tmp_path / name).mkdir(exist_ok=True)
        return Surroundings(env, tmp_path / "home", Path(tmp_path / "cwd"))

    return make
