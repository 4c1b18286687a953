from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError
from gateway.stores.layout import SCHEMA_VERSION, StateDirectory, attach, prepare


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_makes_everything_private(path) -> None:
    previous = os.umask(0)
    try:
        with StateDirectory.open(path) as state:
            assert len(state.tombstone_key) == 32
    finally:
        os.umask(previous)
    assert (path / "VERSION").read_text() == f"{SCHEMA_VERSION}\n"
    for found in [path, *path.rglob("*")]:
        assert mode_of(found) == (0o700 if found.is_dir() else 0o600), found


def test_the_drawing_names_what_is_made(path) -> None:
    import gateway.stores.layout as module

    with StateDirectory.open(path):
        made = {found.name for found in path.rglob("*")}
    drawn = {
        line.split("── ")[1].split()[0].rstrip("/").removeprefix("sha256/")
        for line in module.__doc__.splitlines()
        if "──" in line
    }
    assert made <= drawn | {"sha256"}


def test_secrets_are_kept_and_differ_between_states(path, tmp_path) -> None:
    with StateDirectory.open(path) as state:
        first = state.tombstone_key
    with StateDirectory.open(path) as state:
        assert state.tombstone_key == first
    with StateDirectory.open(tmp_path / "other") as state:
        assert state.tombstone_key != first


def test_a_second_process_is_told_who_holds_it(path) -> None:
    with StateDirectory.open(path), pytest.raises(ConfigError) as caught:
        StateDirectory.open(path)
    assert caught.value.code == "config/state-in-use"
    assert str(os.getpid()) in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_lock_ends_with_its_process_however_it_ends(path) -> None:
    script = (
        "import sys; from pathlib import Path; from gateway.stores.layout import StateDirectory\n"
        "held = StateDirectory.open(Path(sys.argv[1])); print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ConfigError, match=f"process {holder.pid}"):
        StateDirectory.open(path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    StateDirectory.open(path).close()


def test_a_child_does_not_inherit_the_lock(path) -> None:
    state = StateDirectory.open(path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    state.close()
    StateDirectory.open(path).close()
    child.communicate(b"\n")


def test_closing_twice_is_harmless(path) -> None:
    state = StateDirectory.open(path)
    state.close()
    state.close()


def test_a_missing_parent_is_told_and_not_made(tmp_path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        StateDirectory.open(tmp_path / "no" / "state")
    assert not (tmp_path / "no").exists()


def test_a_file_in_its_place_is_told(path) -> None:
    path.write_text("x")
    with pytest.raises(ConfigError, match="state directory"):
        StateDirectory.open(path)


def test_a_folder_with_other_things_is_left_alone(path) -> None:
    path.mkdir(0o755)
    (path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        StateDirectory.open(path)
    assert [found.name for found in path.iterdir()] == ["thesis.tex"]
    assert mode_of(path) == 0o755


def test_an_empty_folder_made_by_others_is_taken_and_closed(path) -> None:
    path.mkdir(0o755)
    StateDirectory.open(path).close()
    assert mode_of(path) == 0o700


def test_a_first_start_that_was_killed_needs_no_repair(path) -> None:
    path.mkdir()
    (path / "blobs").mkdir()
    (path / ".VERSION.0123456789abcdef.new").write_text("1")
    StateDirectory.open(path).close()
    assert (path / "VERSION").exists()


@pytest.mark.parametrize(
    ("version", "words"),
    [("2", "newer"), ("999", "newer"), ("", "schema"), ("one", "schema"), ("-1", "schema"), ("1.0", "schema")],
)
def test_another_schema_is_refused_untouched(path, version, words) -> None:
    prepare(path)
    (path / "VERSION").write_text(version)
    before = sorted(found.name for found in path.iterdir())
    for opening in (StateDirectory.open, prepare, attach):
        with pytest.raises(ConfigError, match=words):
            opening(path)
    assert sorted(found.name for found in path.iterdir()) == before


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_secret_is_told(path, content) -> None:
    StateDirectory.open(path).close()
    key = path / "secrets" / "tombstone.key"
    key.write_bytes(content)
    with pytest.raises(ConfigError, match="32 bytes"):
        StateDirectory.open(path)
    assert key.read_bytes() == content


def test_a_secret_that_others_can_read_is_told(path) -> None:
    StateDirectory.open(path).close()
    (path / "secrets" / "tombstone.key").chmod(0o640)
    with pytest.raises(ConfigError, match="0600"):
        StateDirectory.open(path)


@pytest.mark.parametrize("name", ["secrets/tombstone.key", "lock"])
def test_a_link_in_place_of_a_file_is_refused(path, tmp_path, name) -> None:
    StateDirectory.open(path).close()
    target = tmp_path / "target"
    target.write_bytes(b"x" * 32)
    (path / name).unlink()
    (path / name).symlink_to(target)
    with pytest.raises(ConfigError):
        StateDirectory.open(path)
    assert target.read_bytes() == b"x" * 32


def test_a_failed_open_gives_the_lock_back(path) -> None:
    StateDirectory.open(path).close()
    key = path / "secrets" / "tombstone.key"
    good = key.read_bytes()
    key.write_bytes(b"bad")
    with pytest.raises(ConfigError):
        StateDirectory.open(path)
    key.write_bytes(good)
    StateDirectory.open(path).close()


def test_attach_makes_nothing(path) -> None:
    with pytest.raises(ConfigError, match="not a state directory"):
        attach(path)
    assert not path.exists()


def test_blobs_may_lie_on_another_disk(path, tmp_path) -> None:
    (tmp_path / "large-disk").mkdir()
    path.mkdir()
    (path / "blobs").symlink_to(tmp_path / "large-disk")
    StateDirectory.open(path).close()
    assert (tmp_path / "large-disk" / "staging").is_dir()


UNWRITABLE = """
import os, sys
from pathlib import Path
from gateway.domain.errors import ConfigError
from gateway.stores.layout import StateDirectory
os.setuid(65534)
try:
    StateDirectory.open(Path(sys.argv[1]))
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o777])
def test_another_users_folder_is_refused(mode) -> None:
    if os.geteuid() != 0:  # an ordinary user meets root's folders instead
        with pytest.raises(ConfigError):
            StateDirectory.open(Path("/etc"))
        return
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp") as parent:
        os.chmod(parent, 0o755)
        path = Path(parent) / "state"
        path.mkdir()
        path.chmod(mode)
        done = subprocess.run([sys.executable, "-c", UNWRITABLE, str(path)], capture_output=True, text=True, check=True)
        assert str(path) in done.stdout
        assert done.stdout.count("\n") == 1
