from __future__ import annotations

from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.stores.blobs import LocalBlobStore
from gateway.stores.layout import blob_path, prepare
from gateway.stores.quota import Limits
from gateway.stores.scrub import held, scrub
from tests.contracts.blob_store import put, sample


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    return prepare(tmp_path / "state").blobs


@pytest.fixture
async def store(blobs):
    store = LocalBlobStore(blobs, Limits(reserve_bytes=0), SystemClock())
    yield store
    await store.close()


def rot(path: Path) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x80
    path.write_bytes(data)


async def test_progress_adds_up(store, blobs) -> None:
    await put(store, sample(3_000_000))
    await put(store, sample(5))
    read: list[int] = []
    assert [verdict.state for verdict in scrub(blobs, quarantine=False, progress=read.append)] == ["ok", "ok"]
    assert sum(read) == 3_000_005


async def test_one_bit_is_enough_and_a_running_store_fetches_again(store, blobs) -> None:
    data = sample(1000)
    info = await put(store, data)
    rot(info.path)
    (verdict,) = scrub(blobs, quarantine=True)
    assert verdict.state == "corrupt"
    assert verdict.moved_to is not None
    assert verdict.moved_to.read_bytes() != data
    assert await store.stat(info.sha256) is None
    assert (await put(store, data)).path.read_bytes() == data


async def test_without_quarantine_it_stays(store, blobs) -> None:
    info = await put(store, sample(1000))
    rot(info.path)
    (verdict,) = scrub(blobs, quarantine=False)
    assert (verdict.state, verdict.moved_to) == ("corrupt", None)
    assert info.path.exists()


async def test_a_cut_blob_is_corrupt(store, blobs) -> None:
    info = await put(store, sample(1000))
    info.path.chmod(0o600)
    info.path.write_bytes(sample(1000)[:999])
    assert [verdict.state for verdict in scrub(blobs, quarantine=False)] == ["corrupt"]


async def test_what_is_evicted_meanwhile_is_gone_and_no_fault(store, blobs) -> None:
    infos = [await put(store, sample(10, seed=n)) for n in range(2)]
    verdicts = scrub(blobs, quarantine=True)
    assert next(verdicts).state == "ok"
    for info in infos:
        info.path.unlink()
    assert [verdict.state for verdict in verdicts] == ["gone"]


async def test_rotten_twice_keeps_both(store, blobs) -> None:
    for _ in range(2):
        info = await put(store, sample(10))
        rot(info.path)
        list(scrub(blobs, quarantine=True))
    assert len(list((blobs / "quarantine").iterdir())) == 2


async def test_links_and_foreign_names_are_no_blobs(store, blobs, tmp_path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    place = blob_path(blobs, "ab" * 32)
    place.parent.mkdir()
    place.symlink_to(tmp_path / "secret")
    (place.parent / "README").write_text("x")
    (blobs / "sha256" / "zz").mkdir()
    assert held(blobs) == []
    assert list(scrub(blobs, quarantine=True)) == []
    assert place.is_symlink()
