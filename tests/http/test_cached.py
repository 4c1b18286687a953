"""Which bytes the kernel can send without waiting for the disk."""

import os

import pytest

from gateway.http.cached import is_cached, warm

MIB = 1 << 20


@pytest.fixture
def fd(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(4 * MIB))
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    yield fd
    os.close(fd)


def tells_apart(fd):
    """Does this file system drop and report pages at all? tmpfs has nothing but the page cache."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    return not is_cached(fd, 0, 4 * MIB)


async def test_what_was_read_is_cached(fd):
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    await warm(fd, 0, 4 * MIB)
    assert is_cached(fd, 0, 4 * MIB)
    assert is_cached(fd, 3 * MIB, 1)


async def test_what_was_dropped_is_not_and_warming_half_is_not_all(fd):
    if tells_apart(fd):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)  # no read-ahead of its own
        await warm(fd, 0, MIB)
        assert is_cached(fd, 0, MIB)
        assert not is_cached(fd, 0, 4 * MIB)
    else:
        assert is_cached(fd, 0, 4 * MIB)


async def test_past_the_end_and_broken_descriptors_are_left_to_the_one_who_sends(fd, tmp_path):
    assert is_cached(fd, 100 * MIB, 10)
    await warm(fd, 100 * MIB, 10)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert is_cached(folder, 0, 10)
        await warm(folder, 0, 10)
    finally:
        os.close(folder)
