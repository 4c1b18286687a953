from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError, StoreError
from gateway.stores.blobs import LocalBlobStore
from gateway.stores.layout import prepare
from gateway.stores.quota import Limits
from tests.contracts.blob_store import lfs_entry, put, sample, sha256_of
from tests.fakes.hand_clock import HandClock


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    return prepare(tmp_path / "state").blobs


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(blobs, clock):
    store = LocalBlobStore(blobs, Limits(high_bytes=1000, low_bytes=700, reserve_bytes=0), clock)
    yield store
    await store.close()


async def present(store: LocalBlobStore, files: list[bytes]) -> list[bool]:
    """Which are there, without using them."""
    return [store.quota.size_of(sha256_of(data)) is not None for data in files]


FILES = [sample(100, seed=n) for n in range(20)]


async def test_above_high_water_the_longest_unused_go_down_to_low(store, clock) -> None:
    for data in FILES[:10]:
        await put(store, data)
        clock.pass_s(1)
    assert await present(store, FILES[:10]) == [True] * 10
    await put(store, FILES[10])
    assert await present(store, FILES[:11]) == [False] * 4 + [True] * 7
    assert store.quota.stored_bytes == 700
    assert [await store.stat(sha256_of(data)) for data in FILES[:4]] == [None] * 4


async def test_use_decides_not_age(store) -> None:
    for data in FILES[:10]:
        await put(store, data)
    await store.stat(sha256_of(FILES[0]))
    async with store.pin(sha256_of(FILES[1])):
        pass
    await put(store, FILES[10])
    assert await present(store, FILES[:11]) == [True, True, False, False, False, False, *([True] * 5)]


async def test_what_is_served_is_never_evicted(store) -> None:
    infos = [await put(store, data) for data in FILES[:10]]
    async with store.pin(infos[0].sha256) as served, store.pin(infos[3].sha256):
        for data in FILES[10:]:
            await put(store, data)
        assert served.path.read_bytes() == FILES[0]
        assert infos[3].path.read_bytes() == FILES[3]
    await put(store, sample(600))
    assert await present(store, [FILES[0], FILES[3]]) == [False, False]


async def test_two_pins_hold_until_both_are_gone(store) -> None:
    info = await put(store, FILES[0])
    async with store.pin(info.sha256):
        async with store.pin(info.sha256):
            pass
        await put(store, sample(800))
        await put(store, sample(850))
        assert info.path.exists()
    await put(store, sample(940))
    assert not info.path.exists()


async def test_a_store_full_of_served_blobs_refuses_in_words(store) -> None:
    big = await put(store, sample(900))
    async with store.pin(big.sha256):
        with pytest.raises(StoreError) as caught:
            await store.stage(200)
        assert caught.value.code == "store/quota"
        assert store.quota.reserved_bytes == 0
        assert big.path.exists()
    staging = await store.stage(200)
    await staging.discard()


async def test_a_file_above_the_quota_evicts_nothing(store) -> None:
    info = await put(store, FILES[0])
    with pytest.raises(StoreError, match="quota"):
        await store.stage(1001)
    assert info.path.exists()


async def test_fills_under_way_count(store) -> None:
    first = await store.stage(600)
    with pytest.raises(StoreError):
        await store.stage(600)
    await first.discard()
    second = await store.stage(600)
    await second.discard()
    assert store.quota.reserved_bytes == 0


async def test_a_commit_turns_its_reservation_into_a_blob(store) -> None:
    await put(store, sample(600))
    assert (store.quota.stored_bytes, store.quota.reserved_bytes) == (600, 0)
    await put(store, sample(600))  # the same again
    assert (store.quota.stored_bytes, store.quota.reserved_bytes) == (600, 0)


async def test_a_failed_commit_gives_its_room_back(store) -> None:
    staging = await store.stage(100)
    await staging.write(FILES[0])
    with pytest.raises(Exception, match="promised"):
        await staging.commit(lfs_entry(FILES[1]))
    assert (store.quota.stored_bytes, store.quota.reserved_bytes) == (0, 0)


async def test_the_order_of_use_outlives_a_restart(blobs, clock, store) -> None:
    for data in FILES[:5]:
        await put(store, data)
        clock.pass_s(10)
    await store.stat(sha256_of(FILES[0]))
    await store.close()
    again = LocalBlobStore(blobs, Limits(reserve_bytes=0), clock)
    assert [sha256 for sha256, _ in again.quota.uses()] == [sha256_of(FILES[n]) for n in (1, 2, 3, 4, 0)]
    await again.close()


async def test_use_is_saved_now_and_then_while_running(blobs, clock, store) -> None:
    info = await put(store, FILES[0])
    assert not (blobs / "access").exists()
    clock.pass_s(61)
    await store.stat(info.sha256)
    await store.close()
    assert info.sha256 in (blobs / "access").read_text()


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"\xff\xfe garbage", b"a" * 64 + b" -5\n", ("é" * 64 + " 1\n").encode()]
)
async def test_a_broken_hint_is_only_a_lost_hint(blobs, clock, store, content) -> None:
    info = await put(store, FILES[0])
    await store.close()
    (blobs / "access").write_bytes(content)
    again = LocalBlobStore(blobs, Limits(reserve_bytes=0), clock)
    assert await again.stat(info.sha256) == info
    await again.close()


async def test_a_hint_makes_no_blob(blobs, clock) -> None:
    (blobs / "access").write_text(f"{'a' * 64} 1\n")
    store = LocalBlobStore(blobs, Limits(reserve_bytes=0), clock)
    assert await store.stat("a" * 64) is None
    await store.close()


async def test_a_blob_moved_away_by_others_is_forgotten(store) -> None:
    info = await put(store, FILES[0])
    info.path.unlink()
    assert await store.stat(info.sha256) is None
    assert store.quota.stored_bytes == 0
    assert await put(store, FILES[0]) == info


async def test_many_at_once_stay_within_the_quota_and_whole(blobs, clock) -> None:
    store = LocalBlobStore(blobs, Limits(high_bytes=2000, low_bytes=500, reserve_bytes=0), clock)

    async def one(data: bytes) -> None:
        info = await put(store, data)
        async with store.pin(info.sha256) as blob:
            if blob is not None:
                assert blob.path.read_bytes() == data
            assert store.quota.stored_bytes + store.quota.reserved_bytes <= 2000

    for _ in range(5):
        await asyncio.gather(*(one(data) for data in FILES[:10]))
        await asyncio.gather(*(one(data) for data in FILES[10:]))
    held = sum(path.stat().st_size for path in (blobs / "sha256").glob("??/*"))
    assert held == store.quota.stored_bytes <= 2000
    assert store.quota.reserved_bytes == 0
    await store.close()


@pytest.mark.parametrize(("high", "low"), [(0, None), (-1, None), (100, 101), (100, -1), (None, 5)])
def test_marks_make_sense(high, low) -> None:
    with pytest.raises(ConfigError):
        Limits(high_bytes=high, low_bytes=low)


async def test_a_file_that_no_disk_holds_does_not_empty_the_store(blobs, clock) -> None:
    store = LocalBlobStore(blobs, Limits(reserve_bytes=0), clock)
    for data in FILES[:5]:
        await put(store, data)
    with pytest.raises(StoreError) as caught:
        await store.stage(1 << 52)  # a stranger writes the size into a listing
    assert caught.value.code == "store/full"
    assert await present(store, FILES[:5]) == [True] * 5
    await store.close()


async def test_a_file_that_does_not_fit_beside_what_is_served_evicts_nothing(store) -> None:
    for data in FILES[:9]:
        await put(store, data)
    async with store.pin(sha256_of(FILES[0])), store.pin(sha256_of(FILES[1])):
        with pytest.raises(StoreError) as caught:
            await store.stage(900)
        assert caught.value.code == "store/quota"
        assert await present(store, FILES[:9]) == [True] * 9
    staging = await store.stage(900)
    await staging.discard()
