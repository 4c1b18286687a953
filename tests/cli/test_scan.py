"""`gateway scan`: what it finds, what it prints, and its exit codes; through real worker processes."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pytest

from gateway.cli import scan
from gateway.cli.scan_view import ADVICE
from gateway.domain.errors import ConfigError
from gateway.domain.evidence import FindingClass
from tests.corpus.pickles import BENIGN, SYSTEM
from tests.corpus.zips import torch_zip


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    scan.add_parser(parser.add_subparsers())
    args = parser.parse_args(["scan", *argv])
    return int(args.run(args))


def test_a_sound_file_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.bin").write_bytes(torch_zip())
    assert run(str(tmp_path / "model.bin")) == 0
    assert "1 judged completely" in capsys.readouterr().out


def test_a_malicious_file_ends_with_1_and_says_what_where_and_what_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "bad.pt").write_bytes(torch_zip(SYSTEM))
    (tmp_path / "good.pkl").write_bytes(BENIGN)
    (tmp_path / "odd.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(50))
    assert run(str(tmp_path)) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "posix.system" in out
    assert "sub/bad.pt (data.pkl@0)" in out
    assert "Runs code on the machine that loads the file." in out
    assert "safetensors" in out


def test_what_cannot_be_judged_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "odd.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(50))
    (tmp_path / "good.pkl").write_bytes(BENIGN)
    assert run(str(tmp_path)) == 2


@pytest.mark.parametrize("kind", ["fifo", "dangling"])
def test_what_is_no_file_is_not_judged_and_does_not_hang(tmp_path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(tmp_path / "pipe")
    else:
        (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert run(str(tmp_path)) == 2


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "abc").write_bytes(SYSTEM)
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "model.bin").symlink_to(tmp_path / "blobs" / "abc")
    assert run(str(snapshot)) == 1


def test_json_has_the_documented_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "object").write_bytes(b"x")
    (tmp_path / "bad.pkl").write_bytes(SYSTEM)
    assert run(str(tmp_path), "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"schema", "scanner", "version", "exit_code", "summary", "skipped", "files"}
    assert document["summary"] == {"files": 1, "complete": 1, "enforced_findings": 1, "not_judged": 0}
    assert document["skipped"] == [".git"]
    (file,) = document["files"]
    assert set(file) == {"path", "size_bytes", "format", "coverage", "findings"}
    (finding,) = file["findings"]
    assert (finding["class"], finding["symbol"], finding["enforced"]) == ("code-exec", "posix.system", True)


def test_a_name_cannot_forge_lines_or_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a\n[bold]0 files\u202e.pkl").write_bytes(SYSTEM)
    run(str(tmp_path))
    out = capsys.readouterr().out
    assert "\u202e" not in out
    assert "\n[bold]" not in out
    assert "[bold]" in out


@pytest.mark.parametrize("missing", ["nowhere", "empty"])
def test_nothing_to_scan_is_one_clear_sentence(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"does not exist|holds no files"):
        run(str(tmp_path / missing))


def test_every_class_has_an_effect_and_a_way_out() -> None:
    assert set(ADVICE) == set(FindingClass)
