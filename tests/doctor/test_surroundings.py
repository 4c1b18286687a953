import os

import pytest

from gateway.doctor.surroundings import read_text


def test_the_clients_own_rules_for_folders(around):
    plain = around()
    assert plain.hub_cache == plain.home / ".cache/huggingface/hub"
    assert around(XDG_CACHE_HOME="/x").hf_home.as_posix() == "/x/huggingface"
    moved = around(HF_HOME="~/hf", HF_TOKEN_PATH="$HOME_OF/token", HOME_OF="/secrets", HF_HUB_CACHE="relative")
    assert moved.hf_home == moved.home / "hf"
    assert moved.hub_cache == moved.cwd / "relative"
    assert moved.stored_tokens.as_posix() == "/secrets/stored_tokens"
    assert around(HUGGINGFACE_HUB_CACHE="/old").hub_cache.as_posix() == "/old"
    assert around(HF_HOME="${NOT_SET}/x").hf_home.name == "x"


@pytest.mark.parametrize(
    ("value", "on"), [("1", True), ("true", True), ("YES", True), ("0", False), ("", False), ("2", False)]
)
def test_a_switch_is_on_as_the_client_reads_it(value, on, around):
    assert around(HF_HUB_OFFLINE=value).is_on("HF_HUB_OFFLINE") is on


def test_only_regular_files_are_read_and_only_their_beginning(tmp_path):
    (tmp_path / "long").write_text("abcdef")
    assert read_text(tmp_path / "long", 3) == "abc"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing"):
        with pytest.raises(OSError):
            read_text(path)
