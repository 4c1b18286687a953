from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.domain.artifact import FileEntry
from gateway.domain.errors import IntegrityError, StoreError
from gateway.stores.blobs import LocalBlobStore
from gateway.stores.layout import blob_path, prepare
from gateway.stores.quota import Limits
from tests.contracts.blob_store import MIB, BlobStoreContract, lfs_entry, put, sample, sha256_of
from tests.fakes.memory_blobs import MemoryBlobs

NO_RESERVE = Limits(reserve_bytes=0)


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    return prepare(tmp_path / "state").blobs


@pytest.fixture
async def store(blobs: Path):
    store = LocalBlobStore(blobs, NO_RESERVE, SystemClock())
    yield store
    await store.close()


class TestLocalBlobStore(BlobStoreContract):
    pass


class TestMemoryBlobs(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> MemoryBlobs:
        return MemoryBlobs(tmp_path / "blobs")


def in_staging(blobs: Path) -> list[Path]:
    return list((blobs / "staging").iterdir())


@pytest.mark.parametrize("name", ["../../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "", "a" * 63 + "\n", "é" * 64])
async def test_only_a_digest_names_a_blob(store: LocalBlobStore, blobs: Path, name: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case hex"):
        blob_path(blobs, name)
    assert await store.stat(name) is None


async def test_a_link_planted_in_place_of_a_blob_is_not_served(store: LocalBlobStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(sample(10, seed=1))
    info = await put(store, sample(10))
    info.path.unlink()
    info.path.symlink_to(secret)
    assert await store.stat(info.sha256) is None
    assert secret.read_bytes() == sample(10, seed=1)
    assert (await put(store, sample(10))).path.read_bytes() == sample(10)


async def test_a_link_in_the_store_is_not_taken_into_stock(blobs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    place = blob_path(blobs, "a" * 64)
    place.parent.mkdir()
    place.symlink_to(tmp_path / "secret")
    store = LocalBlobStore(blobs, NO_RESERVE, SystemClock())
    assert await store.stat("a" * 64) is None
    await store.close()


async def test_a_blob_cut_on_disk_is_not_served(store: LocalBlobStore) -> None:
    info = await put(store, sample(100))
    info.path.chmod(0o600)
    os.truncate(info.path, 50)
    assert await store.stat(info.sha256) is None
    async with store.pin(info.sha256) as blob:
        assert blob is None
    assert len(list((info.path.parents[2] / "quarantine").iterdir())) == 1
    assert (await put(store, sample(100))).path.read_bytes() == sample(100)


async def test_blobs_outlive_a_restart_and_staging_does_not(blobs: Path) -> None:
    first = LocalBlobStore(blobs, NO_RESERVE, SystemClock())
    info = await put(first, sample(2 * MIB))
    staging = await first.stage(MIB)
    await staging.write(sample(1000))
    second = LocalBlobStore(blobs, NO_RESERVE, SystemClock())  # as after a kill: the first was never closed
    assert await second.stat(info.sha256) == info
    assert in_staging(blobs) == []
    await second.close()
    await first.close()


async def test_files_are_private_and_blobs_read_only(store: LocalBlobStore) -> None:
    staging = await store.stage(10)
    assert stat.S_IMODE(staging.path.stat().st_mode) == 0o600
    await staging.write(sample(10))
    info = await staging.commit(lfs_entry(sample(10)))
    assert stat.S_IMODE(info.path.stat().st_mode) == 0o400


async def test_a_staged_file_has_its_blocks_before_its_bytes(store: LocalBlobStore) -> None:
    staging = await store.stage(8 * MIB)
    status = staging.path.stat()
    assert status.st_size == 0
    assert status.st_blocks * 512 >= 8 * MIB
    await staging.discard()


async def test_a_large_file_goes_to_the_disk_while_it_is_written(store: LocalBlobStore) -> None:
    block = sample(MIB)
    size = 130 * MIB
    digest = hashlib.sha256()
    staging = await store.stage(size)
    for _ in range(130):
        digest.update(block)
        await staging.write(block)
    assert staging._flush is not None  # writeback began before the commit
    info = await staging.commit(FileEntry("m", size, "0" * 40, digest.hexdigest()))
    assert info.path.stat().st_size == size
    assert staging._staged._flushed_bytes >= 64 * MIB


async def test_a_large_file_named_by_a_git_id_is_verified_too(store: LocalBlobStore) -> None:
    block = sample(MIB)
    size = 65 * MIB
    digest = hashlib.sha1(b"blob %d\0" % size)
    for right in (True, False):
        staging = await store.stage(size)
        for _ in range(65):
            await staging.write(block)
            if right:
                digest.update(block)
        entry = FileEntry("m", size, digest.hexdigest() if right else "0" * 40)
        if right:
            assert (await staging.commit(entry)).size_bytes == size
        else:
            with pytest.raises(IntegrityError):
                await staging.commit(entry)


async def test_the_reserve_of_the_disk_is_never_used(blobs: Path) -> None:
    store = LocalBlobStore(blobs, Limits(reserve_bytes=1 << 62), SystemClock())
    with pytest.raises(StoreError) as caught:
        await store.stage(1)
    assert caught.value.code == "store/full"
    assert store.quota.reserved_bytes == 0
    await store.close()


async def test_a_file_that_the_disk_cannot_hold_is_refused_before_its_first_byte(
    store: LocalBlobStore, blobs: Path
) -> None:
    with pytest.raises(StoreError):
        await store.stage(1 << 60)
    assert in_staging(blobs) == []
    assert store.quota.reserved_bytes == 0


async def test_a_failed_write_leaves_nothing_visible(store: LocalBlobStore, blobs: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    data = sample(3 * MIB)
    staging = await store.stage(len(data))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, hard))
    try:
        await staging.write(data[:MIB])
        with pytest.raises(StoreError):
            await staging.write(data[MIB:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    await staging.discard()
    assert in_staging(blobs) == []
    assert await store.stat(sha256_of(data)) is None


async def test_a_cancelled_stage_write_or_commit_leaves_no_room_taken(store: LocalBlobStore, blobs: Path) -> None:
    data = sample(2 * MIB)

    async def fill() -> None:
        staging = await store.stage(len(data))
        try:
            await staging.write(data)
            await staging.commit(lfs_entry(data))
        except BaseException:
            await staging.discard()
            raise

    for turns in range(12):
        task = asyncio.ensure_future(fill())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.close()  # waits for the threads
    assert store.quota.reserved_bytes == 0
    assert in_staging(blobs) == []


async def test_after_close_the_store_says_so(store: LocalBlobStore) -> None:
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.stage(1)


FILL = """
import asyncio, sys, random
from pathlib import Path
from gateway.clock import SystemClock
from gateway.stores.blobs import LocalBlobStore
from gateway.stores.quota import Limits
from tests.contracts.blob_store import put, sample
async def main():
    store = LocalBlobStore(Path(sys.argv[1]), Limits(reserve_bytes=0), SystemClock())
    n = int(sys.argv[2])
    while True:
        n += 1
        await asyncio.gather(*(put(store, sample(size, seed=n), 300_000) for size in (1000, 400_000, 3_000_000)))
        print(n, flush=True)
asyncio.run(main())
"""


async def test_a_kill_at_any_moment_leaves_no_half_blob(blobs: Path) -> None:
    for round_ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", FILL, str(blobs), str(round_ * 1000)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        committed = [int(process.stdout.readline()) for _ in range(1 + round_ % 3)]
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = LocalBlobStore(blobs, NO_RESERVE, SystemClock())
        for path in (blobs / "sha256").glob("??/*"):
            assert sha256_of(path.read_bytes()) == path.parent.name + path.name
        for n in committed:
            for size in (1000, 400_000, 3_000_000):
                assert await store.stat(sha256_of(sample(size, seed=n))) is not None
        assert in_staging(blobs) == []
        await store.close()
