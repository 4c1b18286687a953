from __future__ import annotations

import hashlib
import io
import struct
import tracemalloc
import zipfile

import pytest

from gateway.simulator import Bytes, Sparse
from gateway.simulator.content import git_blob_id, lfs_pointer
from gateway.simulator.large import large_gguf, large_safetensors, large_torch


class Opened(io.RawIOBase):
    """A content as a read-only file."""

    def __init__(self, content: Sparse) -> None:
        self.content, self.at = content, 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.content.size)[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def read(self, size: int = -1) -> bytes:
        data = self.content.read(self.at, self.content.size if size < 0 else size)
        self.at += len(data)
        return data


def test_sparse_reads_agree_with_the_whole_however_they_are_cut() -> None:
    content = Sparse(3_000_000, ((0, b"head"), (1_048_570, b"across the period"), (2_999_990, b"tail of it")), seed=7)
    whole = content.read(0, content.size)
    assert len(whole) == content.size
    assert whole[:4] == b"head"
    assert whole[1_048_570:1_048_587] == b"across the period"
    assert whole[-10:] == b"tail of it"
    for step in (1_000_003, 65_536, 4097):
        assert b"".join(content.read(at, step) for at in range(0, content.size, step)) == whole
    assert content.sha256 == hashlib.sha256(whole).hexdigest()
    assert content.read(content.size, 10) == b""
    assert content.read(content.size - 3, 10) == b" it"


def test_filler_differs_between_blocks_and_seeds() -> None:
    content = Sparse(4 << 20)
    blocks = {content.read(at, 4096) for at in range(0, 4 << 20, 1 << 20)}
    assert len(blocks) == 4
    assert Sparse(100, seed=1).read(0, 100) != Sparse(100, seed=2).read(0, 100)


def test_a_4_gib_file_needs_no_memory() -> None:
    tracemalloc.start()
    content = Sparse(4 << 30, ((0, b"start"), ((4 << 30) - 3, b"end")), seed=9)
    assert content.read((4 << 30) - 5, 10)[-3:] == b"end"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_git_ids() -> None:
    # Known object ids of git itself.
    assert git_blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert git_blob_id(b"test content\n") == "d670460b4b4aece5915caf5c68d12f560a9fe3e4"
    pointer = lfs_pointer(Bytes(b"abc"))
    assert pointer.splitlines()[1] == b"oid sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert pointer.splitlines()[2] == b"size 3"


def test_a_large_torch_checkpoint_is_a_sound_zip() -> None:
    content = large_torch(100 << 20)
    assert content.size >= 100 << 20
    assert sum(len(data) for _, data in content.patches) < 10_000
    with zipfile.ZipFile(Opened(content)) as archive:
        assert archive.namelist()[0] == "archive/data.pkl"
        assert archive.testzip() is None


def test_a_torch_checkpoint_over_4_gib_uses_zip64() -> None:
    content = large_torch((4 << 30) + 1)
    with zipfile.ZipFile(Opened(content)) as archive:
        last = archive.infolist()[-1]
        assert last.header_offset > 4 << 30
        assert archive.read("archive/version") == b"3\n"


@pytest.mark.parametrize("build", [large_safetensors, large_gguf])
def test_large_files_declare_exactly_their_size(build) -> None:
    content = build(200 << 20)
    assert content.size >= 200 << 20
    if build is large_gguf:
        assert content.read(0, 8) == b"GGUF" + struct.pack("<I", 3)
        assert content.read(0, 400).count(b"layers.") == 4
    else:
        (length,) = struct.unpack("<Q", content.read(0, 8))
        header = content.read(8, length).decode()
        assert f",{content.size - 8 - length}]" in header
