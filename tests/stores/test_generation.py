from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError
from gateway.stores.generation import Generation


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "generation"


@pytest.fixture
def generation(path: Path):
    generation = Generation.open(path)
    yield generation
    generation.close()


def test_it_stays_until_raised(generation) -> None:
    before = generation.value
    assert generation.value == before
    assert generation.bump() == before + 1 == generation.value


def test_another_mapping_sees_it_at_once(generation, path) -> None:
    other = Generation.open(path)
    assert other.value == generation.value
    other.bump()
    assert other.value == generation.value
    other.close()


def test_another_process_sees_and_raises_it(generation, path) -> None:
    before = generation.value
    script = (
        "import sys; from pathlib import Path; from gateway.stores.generation import Generation\n"
        "print(Generation.open(Path(sys.argv[1])).bump())"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) == before + 1 == generation.value


def test_no_raise_is_lost_between_processes(generation, path) -> None:
    before = generation.value
    script = (
        "import sys; from pathlib import Path; from gateway.stores.generation import Generation\n"
        "generation = Generation.open(Path(sys.argv[1]))\n"
        "for _ in range(2000): generation.bump()"
    )
    workers = [subprocess.Popen([sys.executable, "-c", script, str(path)]) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert generation.value == before + 6000


def test_it_outlives_a_restart(generation, path) -> None:
    value = generation.bump()
    again = Generation.open(path)
    assert again.value == value
    again.close()


@pytest.mark.parametrize("content", [None, b"", b"\0" * 16, b"MGWGEN1\0", b"x" * 16, b"MGWGEN1\0" + b"\1" * 9])
def test_a_lost_or_reset_file_starts_anew_elsewhere(generation, path, content) -> None:
    old = {generation.bump() for _ in range(100)}
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    fresh = Generation.open(path)
    assert fresh.value not in old
    assert fresh.value > 0
    again = Generation.open(path)
    assert again.value == fresh.value
    fresh.close()
    again.close()


def test_a_link_in_its_place_is_refused(path, tmp_path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"MGWGEN1\0" + b"\1" * 8)
    path.symlink_to(target)
    with pytest.raises(ConfigError):
        Generation.open(path)
    assert target.read_bytes() == b"MGWGEN1\0" + b"\1" * 8


def test_a_missing_folder_is_told(tmp_path) -> None:
    with pytest.raises(ConfigError):
        Generation.open(tmp_path / "no" / "generation")
