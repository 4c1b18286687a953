"""A power cut keeps only what was synced: the operating system's calls are watched, the disk afterwards is computed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.domain.subject import SubjectKind
from gateway.identity.tokens import TokenFile
from gateway.stores.blobs import LocalBlobStore
from gateway.stores.layout import StateDirectory, prepare
from gateway.stores.quota import Limits
from tests.contracts.blob_store import MIB, git_entry, lfs_entry, put, sample, sha256_of


@dataclass
class Disk:
    """What would be left. `contents`: bytes at the last sync, by inode. `names`: path -> inode at the last folder sync.

    The worst honest disk: a rename reaches it at any moment, its target's bytes only by a sync.
    """

    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    early: list[tuple[str, bytes]] = field(default_factory=list)  # names given before their bytes were safe

    def synced(self, fd: int) -> None:
        status = os.fstat(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if path.is_dir():
            for entry in path.iterdir():
                self.names[str(entry)] = entry.lstat().st_ino
        else:
            self.contents[status.st_ino] = path.read_bytes()

    def named(self, target: os.PathLike[str] | str) -> None:
        status = os.lstat(target)
        if self.contents.get(status.st_ino) != Path(target).read_bytes():
            self.early.append((str(target), Path(target).read_bytes()))

    def after_the_cut(self, path: Path) -> bytes | None:
        """What a reader finds at `path` after the lights are on again: None where the name or a folder is lost."""
        for part in [path, *path.parents]:
            if part == self.root:
                break
            if str(part) not in self.names:
                return None
        return self.contents.get(self.names[str(path)], b"")

    root: Path = Path("/")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(root=tmp_path)
    real = {name: getattr(os, name) for name in ("fsync", "fdatasync", "replace", "rename", "link")}

    def syncing(name: str):
        def call(fd: int) -> None:
            real[name](fd)
            disk.synced(fd)

        return call

    def naming(name: str):
        def call(source, target, **options) -> None:
            real[name](source, target, **options)
            disk.named(target)

        return call

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, syncing(name))
    for name in ("replace", "rename", "link"):
        monkeypatch.setattr(os, name, naming(name))
    return disk


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
@pytest.mark.parametrize("entry_of", [lfs_entry, git_entry])
async def test_a_committed_blob_is_there_whole(disk: Disk, tmp_path: Path, size: int, entry_of) -> None:
    blobs = prepare(tmp_path / "state").blobs
    store = LocalBlobStore(blobs, Limits(reserve_bytes=0), SystemClock())
    data = sample(size)
    staging = await store.stage(size)
    await staging.write(data)
    info = await staging.commit(entry_of(data))
    assert disk.after_the_cut(info.path) == data
    assert disk.early == []
    await store.close()


async def test_no_name_in_the_store_ever_lacks_its_bytes(disk: Disk, tmp_path: Path) -> None:
    blobs = prepare(tmp_path / "state").blobs
    store = LocalBlobStore(blobs, Limits(high_bytes=4 * MIB, reserve_bytes=0), SystemClock())
    for n in range(6):
        await put(store, sample(MIB + n, seed=n))
    await store.close()
    left = [name for name in disk.names if "/blobs/sha256/" in name and Path(name).is_file()]
    assert left
    for name in left:
        assert sha256_of(disk.contents[disk.names[name]]) == Path(name).parent.name + Path(name).name
    assert disk.early == []


def test_secrets_and_version_are_safe_before_they_are_used(disk: Disk, tmp_path: Path) -> None:
    with StateDirectory.open(tmp_path / "state") as state:
        assert disk.after_the_cut(state.layout.tombstone_key) == state.tombstone_key
        assert disk.after_the_cut(state.layout.version) == state.layout.version.read_bytes()
    assert disk.early == []


def test_a_token_shown_is_a_token_kept_and_a_revoked_one_stays_revoked(disk: Disk, tmp_path: Path) -> None:
    layout = prepare(tmp_path / "state")
    file = TokenFile(layout.tokens, SystemClock())
    _, entry = file.add("ada", kind=SubjectKind.USER)
    assert entry.sha256.encode() in (disk.after_the_cut(layout.tokens) or b"")
    file.revoke("ada")
    assert entry.sha256.encode() not in (disk.after_the_cut(layout.tokens) or entry.sha256.encode())
    assert disk.early == []
