"""What every ports.BlobStore must do. A test module subclasses BlobStoreContract and gives the fixture `store`."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random

import pytest

from gateway.domain.artifact import FileEntry
from gateway.domain.errors import IntegrityError, StoreError
from gateway.ports import BlobInfo, BlobStore

MIB = 1 << 20
SIZES = [0, 1, 100, MIB - 1, MIB, MIB + 1, 3 * MIB + 17]


def sample(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def lfs_entry(data: bytes, path: str = "model.safetensors") -> FileEntry:
    return FileEntry(path, len(data), "0" * 40, sha256_of(data))


def git_entry(data: bytes, path: str = "config.json") -> FileEntry:
    return FileEntry(path, len(data), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())


async def put(store: BlobStore, data: bytes, chunk: int = MIB) -> BlobInfo:
    staging = await store.stage(len(data))
    for start in range(0, len(data), chunk):
        await staging.write(data[start : start + chunk])
    return await staging.commit(lfs_entry(data))


class BlobStoreContract:
    @pytest.mark.parametrize("size", SIZES)
    async def test_an_lfs_file_is_visible_after_its_commit_and_not_before(self, store: BlobStore, size: int) -> None:
        data = sample(size)
        staging = await store.stage(size)
        for start in range(0, size, MIB):
            await staging.write(data[start : start + MIB])
            assert await store.stat(sha256_of(data)) is None
        info = await staging.commit(lfs_entry(data))
        assert info == await store.stat(sha256_of(data))
        assert (info.sha256, info.size_bytes, info.path.read_bytes()) == (sha256_of(data), size, data)

    @pytest.mark.parametrize("size", SIZES)
    async def test_a_git_file_is_verified_by_its_blob_id_and_kept_by_its_sha256(
        self, store: BlobStore, size: int
    ) -> None:
        data = sample(size)
        staging = await store.stage(size)
        await staging.write(data)
        info = await staging.commit(git_entry(data))
        assert info.sha256 == sha256_of(data)
        assert await store.stat(info.sha256) == info

    async def test_known_git_blob_id(self, store: BlobStore) -> None:
        staging = await store.stage(12)
        await staging.write(b"hello world\n")
        await staging.commit(FileEntry("a", 12, "3b18e512dba79e4c8300dd08aeb37f8e728b8dad"))

    @pytest.mark.parametrize("size", [1, 100, 2 * MIB])
    @pytest.mark.parametrize("entry_of", [lfs_entry, git_entry])
    async def test_other_bytes_of_the_right_length_never_become_visible(self, store, size, entry_of) -> None:
        data = sample(size)
        wrong = data[:-1] + bytes([data[-1] ^ 1])
        staging = await store.stage(size)
        await staging.write(wrong)
        with pytest.raises(IntegrityError):
            await staging.commit(entry_of(data))
        assert await store.stat(sha256_of(data)) is None
        assert await store.stat(sha256_of(wrong)) is None
        assert not staging.path.exists()

    @pytest.mark.parametrize("size", [10, 2 * MIB])
    async def test_a_short_file_never_becomes_visible(self, store: BlobStore, size: int) -> None:
        data = sample(size)
        staging = await store.stage(size)
        await staging.write(data[:-1])
        with pytest.raises(IntegrityError):
            await staging.commit(lfs_entry(data))
        assert await store.stat(sha256_of(data)) is None
        assert await store.stat(sha256_of(data[:-1])) is None

    async def test_a_short_file_with_its_own_right_digest_is_still_short(self, store: BlobStore) -> None:
        data = sample(10)
        staging = await store.stage(10)
        await staging.write(data[:9])
        with pytest.raises(IntegrityError):
            await staging.commit(FileEntry("a", 10, "0" * 40, sha256_of(data[:9])))

    @pytest.mark.parametrize("size", [10, 2 * MIB])
    async def test_more_than_was_promised_is_refused(self, store: BlobStore, size: int) -> None:
        data = sample(size + 1)
        staging = await store.stage(size)
        with pytest.raises(IntegrityError):
            await staging.write(data)
        await staging.discard()
        assert await store.stat(sha256_of(data)) is None

    @pytest.mark.parametrize("size", [1000, 4 * MIB])
    async def test_what_was_written_can_be_read_by_path_at_once_and_nothing_beyond_it(
        self, store: BlobStore, size: int
    ) -> None:
        data = sample(size)
        staging = await store.stage(size)
        fd = os.open(staging.path, os.O_RDONLY)
        try:
            for start in range(0, size, size // 4):
                await staging.write(data[start : start + size // 4])
                done = start + size // 4
                assert staging.size_bytes == done
                assert os.pread(fd, size, 0) == data[:done]
            await staging.commit(lfs_entry(data))
            assert os.pread(fd, size, 0) == data  # a follower's descriptor outlives the commit
        finally:
            os.close(fd)

    async def test_discarded_bytes_leave_nothing(self, store: BlobStore) -> None:
        data = sample(2 * MIB)
        staging = await store.stage(len(data))
        await staging.write(data)
        await staging.discard()
        await staging.discard()
        assert not staging.path.exists()
        assert await store.stat(sha256_of(data)) is None

    async def test_an_ended_staging_takes_nothing_more(self, store: BlobStore) -> None:
        data = sample(10)
        staging = await store.stage(10)
        await staging.write(data)
        await staging.commit(lfs_entry(data))
        with pytest.raises(StoreError):
            await staging.write(b"x")
        with pytest.raises(StoreError):
            await staging.commit(lfs_entry(data))
        await staging.discard()
        assert await store.stat(sha256_of(data)) is not None

    async def test_two_fills_of_one_digest_end_as_one_blob(self, store: BlobStore) -> None:
        data = sample(2 * MIB)
        first, second = await asyncio.gather(put(store, data), put(store, data))
        assert first == second
        assert first.path.read_bytes() == data

    async def test_fills_side_by_side_do_not_mix(self, store: BlobStore) -> None:
        files = [sample(MIB + n, seed=n) for n in range(8)]
        infos = await asyncio.gather(*(put(store, data, chunk=100_000) for data in files))
        assert [info.path.read_bytes() for info in infos] == files

    async def test_a_pin_shows_the_blob_or_none(self, store: BlobStore) -> None:
        data = sample(10)
        async with store.pin(sha256_of(data)) as missing:
            assert missing is None
        info = await put(store, data)
        async with store.pin(info.sha256) as one, store.pin(info.sha256) as two:
            assert one == two == info

    async def test_a_pin_ends_with_its_block_also_by_an_error(self, store: BlobStore) -> None:
        info = await put(store, sample(10))
        with pytest.raises(ZeroDivisionError):
            async with store.pin(info.sha256):
                raise ZeroDivisionError
        assert await store.stat(info.sha256) == info
