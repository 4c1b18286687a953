from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import pytest

from gateway.cli import cache as command
from gateway.clock import SystemClock
from gateway.domain.errors import ConfigError
from gateway.ports import BlobInfo
from gateway.stores.blobs import LocalBlobStore
from gateway.stores.layout import StateDirectory
from gateway.stores.quota import Limits
from tests.contracts.blob_store import put, sample


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["cache", *words])
    return args.run(args)


@pytest.fixture
def server(tmp_path: Path):
    """A running server's hold on its state."""
    with StateDirectory.open(tmp_path / "state") as state:
        yield state


async def filled(server: StateDirectory, *sizes: int) -> list[BlobInfo]:
    store = LocalBlobStore(server.layout.blobs, Limits(reserve_bytes=0), SystemClock())
    infos = [await put(store, sample(size)) for size in sizes]
    await store.close()
    return infos


@pytest.fixture
def infos(server) -> list[BlobInfo]:
    return asyncio.run(filled(server, 10, 3_000_000))


def rot(info: BlobInfo) -> None:
    info.path.chmod(0o600)
    data = bytearray(info.path.read_bytes())
    data[5] ^= 1
    info.path.write_bytes(data)


def everything(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in root.rglob("*")}


def test_ls_as_json(server, infos, capsys) -> None:
    assert run("ls", "--state", str(server.layout.root), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["count"], document["size_bytes"]) == (2, 3_000_010)
    assert {(row["sha256"], row["size_bytes"], row["path"]) for row in document["blobs"]} == {
        (info.sha256, info.size_bytes, str(info.path)) for info in infos
    }
    assert all(row["committed_at"].endswith("Z") and row["used_at"].endswith("Z") for row in document["blobs"])


def test_ls_for_people(server, infos, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run("ls", "--state", str(server.layout.root)) == 0
    out = capsys.readouterr().out
    assert all(info.sha256 in out for info in infos)
    assert "2 blobs, 3.0 MB" in out


def test_ls_keeps_one_line_per_blob_on_a_narrow_terminal(server, infos, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run("ls", "--state", str(server.layout.root)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(infos) + 1
    assert all(any(line.startswith(info.sha256[:16]) for line in lines) for info in infos)


def test_an_empty_store(server, capsys) -> None:
    assert run("ls", "--state", str(server.layout.root)) == 0
    assert run("verify", "--state", str(server.layout.root)) == 0
    assert "0 blobs" in capsys.readouterr().out


def test_sound_blobs_verify(server, infos, capsys) -> None:
    assert run("verify", "--state", str(server.layout.root), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": 2, "corrupt": 0, "gone": 0, "unreadable": 0, "size_bytes": 3_000_010, "problems": [],
    }  # fmt: skip


def test_a_rotten_blob_is_told_and_nothing_is_written(server, infos, capsys) -> None:
    rot(infos[1])
    before = everything(server.layout.root)
    assert run("verify", "--state", str(server.layout.root)) == 1
    out = capsys.readouterr().out
    assert f"corrupt {infos[1].sha256}" in out
    assert infos[0].sha256 not in out
    assert "--quarantine" in out
    assert everything(server.layout.root) == before


def test_a_rotten_blob_is_moved_aside_on_request(server, infos, capsys) -> None:
    rot(infos[0])
    assert run("verify", "--quarantine", "--state", str(server.layout.root), "--json") == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["sha256"], problem["state"]) == (infos[0].sha256, "corrupt")
    aside = Path(problem["moved_to"])
    assert aside.parent == server.layout.blobs / "quarantine"
    assert aside.exists()
    assert not infos[0].path.exists()
    assert run("verify", "--state", str(server.layout.root)) == 0


def test_no_state_directory_is_told(tmp_path) -> None:
    with pytest.raises(ConfigError, match="not a state directory"):
        run("ls", "--state", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_the_help_tells_the_exit_codes_and_the_json(capsys) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    out = capsys.readouterr().out
    assert "exit codes of verify" in out
    assert '"problems"' in out
