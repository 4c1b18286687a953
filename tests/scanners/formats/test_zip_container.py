"""The strict zip reader against CPython's: what it accepts without a finding, both must read the same."""

from __future__ import annotations

import io
import random
import struct
import zipfile

import pytest

from gateway.scanners.budget import InflateBudget, InflateBudgetExceeded
from gateway.scanners.formats.zip_container import ZipFault, open_archive
from gateway.scanners.reader import BytesReader
from tests.corpus.zips import DESCRIPTOR, STATE_DICT, Archive, Entry, checkpoint, torch_zip
from tests.scanners.test_registry import mutated


def read_strictly(data: bytes) -> dict[str, bytes] | None:
    """Every member, or None where the archive is refused or reported."""
    try:
        archive = open_archive(BytesReader(data))
        content = {m.name: archive.read(m, InflateBudget()) for m in archive.members}
    except (ZipFault, InflateBudgetExceeded):
        return None
    return None if archive.findings else content


def read_with_python(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {info.filename: file.read(info) for info in file.infolist()}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_accepted_reads_the_same_elsewhere(seed: int) -> None:
    rng = random.Random(seed)
    originals = [
        torch_zip(),
        Archive(checkpoint()).build(),
        Archive([Entry("a/data.pkl", STATE_DICT * 3, method=8), Entry("a/x", b"", flags=DESCRIPTOR)]).build(),
    ]
    accepted = 0
    for _ in range(1500):
        original = rng.choice(originals)
        data = mutated(original, rng)
        content = read_strictly(data)
        if content is not None:
            accepted += 1
            assert content == read_with_python(data)
            assert data.startswith(b"PK\x03\x04")
    assert accepted > 0  # mutations of times and versions stay harmless


def test_the_seeds_are_accepted() -> None:
    assert read_strictly(torch_zip()) == read_with_python(torch_zip())


def test_a_local_zip64_part_that_lies_is_refused() -> None:
    honest = struct.pack("<2H2Q", 1, 16, len(STATE_DICT), len(STATE_DICT))
    lying = struct.pack("<2H2Q", 1, 16, 5, 5)
    for extra, accepted in ((honest, True), (lying, True)):
        # The sizes are not saturated, so the part is not used by any reader: it is padding.
        data = Archive([Entry("a/data.pkl", STATE_DICT, local_extra=extra)]).build()
        assert (read_strictly(data) is not None) is accepted


@pytest.mark.parametrize("extra", [b"\x01\x00\x08\x00" + bytes(8), b"\x01\x00", b"\x01\x00\xff\x00ab"])
def test_a_central_zip64_part_without_need_or_cut_short_is_refused(extra: bytes) -> None:
    data = Archive([Entry("a/data.pkl", STATE_DICT, extra=extra)]).build()
    if len(extra) > 4:
        assert read_strictly(data) is None


def test_the_inflate_budget_is_shared_by_all_members() -> None:
    data = Archive([Entry(f"m{i}", bytes(900_000), method=8) for i in range(4)]).build()
    archive = open_archive(BytesReader(data))
    budget = InflateBudget(total_bytes=2_000_000)
    archive.read(archive.members[0], budget)
    archive.read(archive.members[1], budget)
    with pytest.raises(InflateBudgetExceeded):
        archive.read(archive.members[2], budget)


def test_a_member_that_inflates_past_its_promise_is_stopped_early() -> None:
    data = bytearray(Archive([Entry("m", bytes(50_000_000), method=8)]).build())
    small = struct.pack("<I", 10)
    data[22:26] = small
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = small
    archive = open_archive(BytesReader(bytes(data)))
    with pytest.raises((ZipFault, InflateBudgetExceeded)):
        archive.read(archive.members[0], InflateBudget())
