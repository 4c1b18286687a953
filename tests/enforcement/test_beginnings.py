"""Which first bytes may leave before a file is judged: nothing that completes, runs, or usefully begins (P1, §6.4)."""

import io
import pickle
import tarfile
import zipfile

import pytest

from gateway.enforcement.background import SingleFlight
from gateway.enforcement.beginnings import MOST_BYTES, Beginnings, may_trickle
from gateway.simulator import builders
from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.large import large_gguf, large_safetensors, large_torch
from tests.enforcement.workbench import workbench

MIB = 1 << 20
A = "anonymous"
ZIP = large_torch(64 * MIB).read(0, MOST_BYTES)
GGUF = large_gguf(64 * MIB).read(0, MOST_BYTES)
TENSORS = large_safetensors(64 * MIB).read(0, MOST_BYTES)


class Evil:
    def __reduce__(self):
        return (print, ("ran",))


def a_tar(name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()[:MOST_BYTES]


def zip_entry(name, method=0):
    """The header of a zip's first entry; every field but the two lengths is whatever its maker likes."""
    return (
        b"PK\x03\x04\n\0\0\0"
        + method.to_bytes(2, "little")
        + b"\n" * 16
        + len(name).to_bytes(2, "little")
        + b"\0\0"
        + name
    )


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("pytorch_model.bin", ZIP), ("a/b.ckpt", ZIP), ("model.pt", ZIP), ("weights.npz", ZIP), ("model.keras", ZIP),
        ("x.bin", zip_entry(b"archive/data.pkl").ljust(MOST_BYTES, b"\0")), ("model-v1.2.gguf", GGUF), ("model.safetensors", TENSORS), ("model.h5", b"\x89HDF\r\n\x1a\n".ljust(MOST_BYTES, b"\0")),
        ("t.parquet", b"PAR1\x15\x04\x15\x10".ljust(MOST_BYTES, b"\0")), ("t.arrow", b"ARROW1\0\0".ljust(MOST_BYTES, b"\0")),
    ],
)  # fmt: skip
def test_formats_that_are_nothing_without_their_rest(path, head):
    assert may_trickle(path, head)


@pytest.mark.parametrize(
    "name", ["x.json", "x.py", "x.sh", "X.YAML", "x.tar", "x.tar.gz", "x.pkl", "x.npy", "x.txt", "x.py.bin", "x", "a.b/Makefile", "",
     "x.command", "x.hta", "x.php5", "x.phtml", "x.xhtml", "x.template", "x.docm", "x.apk", "x.scr", "x.invented"]
)  # fmt: skip
def test_names_of_text_code_and_tar_are_never_trickled_whatever_they_hold(name):
    assert not may_trickle(name, ZIP)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_acts_as_it_arrives(protocol):
    assert not may_trickle("x.bin", pickle.dumps(Evil(), protocol).ljust(MOST_BYTES, b"\0"))


@pytest.mark.parametrize(
    "head",
    [
        b"#!/bin/sh\necho pwned\n", b"echo pwned\n" * 40, b"import os\nos.system('x')\n", b"<script>x</script>", b'{"a": 1}\n',
        b"\xef\xbb\xbfecho pwned\n", b"\x7fELF", b"MZ", b"\x1f\x8b", b"BZh9", b"7z\xbc\xaf\x27\x1c", b"\x93NUMPY\x01\0", b"", b"PK",
        b"PK\x05\x06", b"GGUF\necho pwned\n", b"GGUF\x03\0\0\0" + b"cos\nsystem\n(S'x'\ntR.", b"PAR1\necho pwned\n# and text",
        b"ARROW1\n\necho pwned\n", b"\x89HDF\necho pwned\n", b"PK\x03\x04\necho pwned\n",
        zip_entry(b"\necho pwned\n"), zip_entry(b""), zip_entry(b"n" * 600)[:MOST_BYTES], zip_entry(b"data.pkl", method=0x0A0A),
        b"#\n\0\0\0\0\0\0{\necho pwned; }\n", b"#\n\0\0\0\0\0\0{}\necho pwned\n",
    ],
)  # fmt: skip
def test_what_begins_usefully_or_is_not_known_is_never_trickled(head):
    assert not may_trickle("x.bin", head.ljust(MOST_BYTES, b" "))


@pytest.mark.parametrize("name", ["PK\x03\x04", "GGUF\x03", "ARROW1", "plain"])
def test_a_tar_header_alone_makes_links(name):
    head = a_tar(name)
    assert tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape").issym()
    assert not may_trickle("x.bin", head)


def test_a_safetensors_header_that_an_unpickler_follows_is_not_trickled():
    """`U` reads a string of 26 bytes over the length and the start of the table; what stands next is run."""
    length = (ord("U") | 26 << 8).to_bytes(8, "little")
    table = b'{"' + 18 * b"a"
    honest, lying = table + b"aa", table + b"cos\nsystem\n(S'echo'\ntR."
    assert may_trickle("x.safetensors", (length + honest).ljust(MOST_BYTES, b"a"))
    assert not may_trickle("x.safetensors", (length + lying).ljust(MOST_BYTES, b"a"))


def test_a_truncated_zip_opens_nowhere():
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(ZIP))


@pytest.fixture
async def bench(tmp_path):
    async with workbench(tmp_path) as bench:
        bench.beginnings = Beginnings(bench.store, bench.upstream, bench.fills, SingleFlight(bench.background))
        yield bench


def checkpoint(rows=1024):
    return builders.torch_zip({"w": (rows, 1024)})


async def test_from_the_hub_by_one_small_read_however_many_ask(bench):
    artifact = bench.add("a/b", "x.bin", checkpoint())
    first = await bench.beginnings.read(artifact, A)
    assert first.data == bench.content(artifact).read(0, MOST_BYTES)
    assert (first.span.start, first.span.end) == (0, MOST_BYTES)
    assert [r.bytes_sent for r in bench.transfers(artifact)] == [MOST_BYTES]


async def test_from_a_running_fill_and_from_a_blob_without_a_request(bench):
    artifact = bench.add("a/b", "x.bin", checkpoint())
    stall = bench.sim.faults.add(Fault(path="*/*", host="cdn", stall_at=MIB, stall_gate=Gate()))
    fill = bench.fills.start(artifact, A)
    await fill.wait_written(MOST_BYTES)
    asked = len(bench.sim.requests)
    running = await bench.beginnings.read(artifact, A)
    stall.stall_gate.open()
    await fill.wait_committed()
    assert running == await bench.beginnings.read(artifact, A)
    assert len(bench.sim.requests) == asked


@pytest.mark.parametrize("size", [1, MOST_BYTES, 64 * 1024])
async def test_of_a_file_that_is_held_whole_nothing_leaves(bench, size):
    artifact = bench.add("a/b", "x.bin", Sparse(size, ((0, ZIP[:size]),)))
    assert await bench.beginnings.read(artifact, A) is None
    assert not bench.sim.requests


async def test_trouble_of_the_hub_is_no_beginning(bench):
    artifact = bench.add("a/b", "x.bin", checkpoint())
    bench.sim.faults.add(Fault(path="*/*", method="GET", status=404, body=b""))
    assert await bench.beginnings.read(artifact, A) is None
