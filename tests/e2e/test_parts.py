"""Ranges of a file that nobody has yet (design §6.3), with the programs that ask for them: aria2c with 16 connections,
hf_transfer, `HfFileSystem`, a reader of parquet. The hub is slow, so that the fill runs all the while."""

import hashlib
import json
import shutil
import struct
import subprocess

import pytest

from gateway.simulator.content import Sparse
from gateway.simulator.faults import Fault, Gate
from gateway.simulator.large import large_torch
from gateway.simulator.thread import SimulatorThread
from gateway.simulator.world import World
from tests.e2e.harness import MORE_CLIENTS, run_client
from tests.e2e.wire import MIB, Download, add_repo, download, together, url_of, wait_for, weights

pytestmark = pytest.mark.usefixtures("fresh")

ST = "model.safetensors"
PARQUET = "data.parquet"
GROUPS = 24
GROUP_BYTES = 4 * MIB


def parquet():
    """A Parquet file of 24 row groups of 4 MiB each; what a reader needs of the footer is where each one lies."""
    from gateway.simulator import builders

    small = builders.parquet()
    footer_bytes = struct.unpack("<I", small[-8:-4])[0]
    footer = small[-8 - footer_bytes :]
    return Sparse(4 + GROUPS * GROUP_BYTES + len(footer), ((0, b"PAR1"), (4 + GROUPS * GROUP_BYTES, footer)), 3001)


@pytest.fixture(scope="module")
def sim():
    world = World()
    for number, name in enumerate(("aria", "random", "far", "wrong", "owed", "resumed")):
        add_repo(world, f"parts/{name}", {ST: weights(64, 3100 + number)})
    add_repo(world, "parts/torch", {"pytorch_model.bin": large_torch(64 * MIB, seed=3200)})
    add_repo(world, "parts/table", {PARQUET: parquet()})
    with SimulatorThread(world) as sim:
        yield sim


def content(sim, name, path=ST):
    return sim.world[name].main.files[path].content


def asked(sim, name, path=ST):
    return sum(r.bytes_sent for r in sim.requests if r.file == f"{name}/{path}" and r.method == "GET")


def slow(sim, name, mib_s):
    """The whole-file transfer crawls; ranges come as they come."""
    return sim.faults.add(Fault(path=f"{name}/*", host="cdn", stall_at=0, bandwidth_bytes_s=mib_s * MIB))


def stalled(sim, name, at):
    """A gate `at` bytes into the transfer; past what a range read takes at once, so that those do not stand there too."""
    return sim.faults.add(Fault(path=f"{name}/*", host="cdn", stall_at=at, stall_gate=Gate()))


def ask(gate, name, start, end, path=ST):
    return gate.get(url_of(name, path), headers={"Range": f"bytes={start}-{end - 1}"})


def test_aria2c_with_sixteen_connections_ends_with_the_file(gate, sim, tmp_path):
    assert shutil.which("aria2c"), "aria2c is needed (make tools)"
    slow(sim, "parts/aria", 8)
    done = subprocess.run(
        [
            "aria2c", "-x16", "-s16", "-k1M", "--file-allocation=none", "--no-conf", "--console-log-level=warn",
            "--summary-interval=0", "-d", str(tmp_path), "-o", "got", gate.url + url_of("parts/aria", ST),
        ],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "got").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == content(sim, "parts/aria").sha256
    parts = [r for r in gate.records() if r["kind"] == "delivery" and r["repo"] == "parts/aria"]
    assert parts
    assert any(r["extra"].get("unverified") for r in parts if r.get("extra")), "they left before the whole was verified"
    assert asked(sim, "parts/aria") < 1.15 * content(sim, "parts/aria").size


def test_hf_transfer_with_its_parallel_ranges_ends_with_the_file(gate, sim, tmp_path):
    sim.edit(lambda world: add_repo(world, "parts/transfer", {ST: weights(64, 3300)}))
    slow(sim, "parts/transfer", 16)
    script = f"from huggingface_hub import hf_hub_download; print(hf_hub_download('parts/transfer', '{ST}'))"
    done = run_client("hub-0.36", gate.url, tmp_path / "home", script, HF_HUB_ENABLE_HF_TRANSFER="1")
    assert done.code == 0, done.text
    with open(done.out.strip().splitlines()[-1], "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == content(sim, "parts/transfer").sha256
    assert any(r.range for r in sim.requests if r.file == f"parts/transfer/{ST}"), "the hub was asked for parts"


RANDOM = """
import hashlib, json, random
from huggingface_hub import HfFileSystem
rng, out = random.Random(5), []
with HfFileSystem().open("parts/random/model.safetensors", "rb", block_size=1 << 20) as file:
    for _ in range(12):
        start = rng.randrange(file.size - 300_000)
        file.seek(start)
        data = file.read(200_000)
        out.append([start, len(data), hashlib.sha256(data).hexdigest()])
print(json.dumps(out))
"""


def test_random_reads_of_hffilesystem_do_not_wait_for_the_fill(gate, sim, tmp_path):
    whole, fault = content(sim, "parts/random"), stalled(sim, "parts/random", 3 * MIB)
    done = run_client("hub-2", gate.url, tmp_path / "home", RANDOM)
    assert done.code == 0, done.text
    for start, length, digest in json.loads(done.out):
        assert hashlib.sha256(whole.read(start, length)).hexdigest() == digest
        assert length == 200_000
    fault.stall_gate.open()
    assert download(gate.url, url_of("parts/random", ST)).sha256 == whole.sha256


READER = f"""
import hashlib, json, struct
from huggingface_hub import HfFileSystem
out = []
with HfFileSystem().open("parts/table/{PARQUET}", "rb", cache_type="none") as file:
    file.seek(file.size - 8)
    length, mark = struct.unpack("<I4s", file.read(8))
    file.seek(file.size - 8 - length)
    footer = file.read(length)
    for group in (20, 3, 11):
        for column in range(2):
            file.seek(4 + group * {GROUP_BYTES} + column * {GROUP_BYTES // 2})
            out.append([group, column, hashlib.sha256(file.read({GROUP_BYTES // 2})).hexdigest()])
print(json.dumps([mark.decode(), len(footer), out]))
"""


def test_a_parquet_reader_gets_footer_and_chunks(gate, sim, tmp_path):
    """As pyarrow reads: the end first, then the chunks of the columns that are wanted."""
    whole, fault = content(sim, "parts/table", PARQUET), stalled(sim, "parts/table", 3 * MIB)
    done = run_client("hub-2", gate.url, tmp_path / "home", READER)
    assert done.code == 0, done.text
    mark, footer_bytes, chunks = json.loads(done.out)
    assert mark == "PAR1"
    assert footer_bytes > 0
    half = GROUP_BYTES // 2
    for group, column, digest in chunks:
        assert hashlib.sha256(whole.read(4 + group * GROUP_BYTES + column * half, half)).hexdigest() == digest
    fault.stall_gate.open()


MAKE = """
import sys, random
import pyarrow, pyarrow.parquet
rng = random.Random(6)
column = lambda: [rng.random() for _ in range(200_000)]
with pyarrow.parquet.ParquetWriter(sys.argv[1], pyarrow.schema([("a", "float64"), ("b", "float64")]), compression="none", use_dictionary=False) as out:
    for _ in range(12):
        out.write_table(pyarrow.table({"a": column(), "b": column()}))
"""
READ = """
import hashlib, json
import pyarrow.parquet
from huggingface_hub import HfFileSystem
def digest(file, groups):
    table = pyarrow.parquet.ParquetFile(file).read_row_groups(groups, columns=["b"])
    return [table.num_rows, hashlib.sha256(repr(table["b"].to_pylist()).encode()).hexdigest()]
with HfFileSystem().open("parts/arrow/real.parquet") as file:
    print(json.dumps([digest(file, [9, 2]), digest({local!r}, [9, 2])]))
"""


def test_pyarrow_reads_columns_of_a_table_that_is_not_here_yet(gate, sim, tmp_path):
    local = tmp_path / "real.parquet"
    made = subprocess.run(
        [MORE_CLIENTS["models"] / "bin/python", "-c", MAKE, local], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    sim.edit(lambda world: add_repo(world, "parts/arrow", {"real.parquet": local.read_bytes()}))
    fault = stalled(sim, "parts/arrow", 3 * MIB)
    done = run_client("models", gate.url, tmp_path / "home", READ.replace("{local!r}", repr(str(local))))
    assert done.code == 0, done.text
    remote, here = json.loads(done.out)
    assert remote == here
    assert remote[0] == 400_000
    assert asked(sim, "parts/arrow", "real.parquet") < local.stat().st_size, "two groups of twelve, not the whole"
    fault.stall_gate.open()


def test_what_can_act_waits_for_the_whole(gate, sim):
    fault = stalled(sim, "parts/torch", 8 * MIB)
    client = Download(gate.url, url_of("parts/torch", "pytorch_model.bin"))
    client.read(MIB)
    got = together(
        2,
        lambda n: ask(
            gate, "parts/torch", *((2 * MIB, 2 * MIB + 10), (40 * MIB, 40 * MIB + 10))[n], "pytorch_model.bin"
        ),
    )
    assert [answer.status for answer in got] == [429, 429]
    fault.stall_gate.open()
    assert client.read_all().complete
    client.close()


def test_a_resumed_download_is_streamed_as_a_whole_one_is(gate, sim):
    """A range to the end of the file is not complete before the tail, which waits for the digest: of any format."""
    sim.edit(
        lambda world: add_repo(world, "parts/resumed-torch", {"pytorch_model.bin": large_torch(64 * MIB, seed=3201)})
    )
    whole, fault = (
        content(sim, "parts/resumed-torch", "pytorch_model.bin"),
        stalled(sim, "parts/resumed-torch", 8 * MIB),
    )
    target = url_of("parts/resumed-torch", "pytorch_model.bin")
    first = Download(gate.url, target)
    first.read(2 * MIB)
    first.close()
    again = Download(gate.url, target, {"Range": f"bytes={2 * MIB}-"})
    assert again.status == 206
    assert again.read(4 * MIB) == whole.read(2 * MIB, 4 * MIB)
    fault.stall_gate.open()
    assert again.read_all().received == whole.size - 2 * MIB
    again.close()


def test_the_tail_of_a_range_waits_for_the_digest(gate, sim):
    whole, fault = content(sim, "parts/far"), stalled(sim, "parts/far", 3 * MIB)
    start = whole.size - MIB
    client = Download(gate.url, url_of("parts/far", ST), {"Range": f"bytes={start}-{whole.size - 1}"})
    got = client.read(MIB - 64 * 1024)
    assert got == whole.read(start, len(got))
    client.connection.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.read(1)
    client.connection.sock.settimeout(60)
    client.close()
    fault.stall_gate.open()


def test_other_bytes_are_an_event_that_names_who_had_them(gate, sim):
    """The hub gave a range other bytes than the file has: seen when the fill comes there."""
    whole, fault = content(sim, "parts/wrong"), stalled(sim, "parts/wrong", 3 * MIB)
    assert ask(gate, "parts/wrong", 0, 8).status == 206
    lie = sim.faults.add(Fault(path="parts/wrong/*", host="cdn", corrupt_at=40 * MIB))
    got = ask(gate, "parts/wrong", 40 * MIB, 40 * MIB + 1000)
    assert got.status == 206
    assert got.body != whole.read(40 * MIB, 1000)
    sim.faults.remove(lie)
    fault.stall_gate.open()
    [event] = wait_for(lambda: [r for r in gate.records() if r.get("note") == "integrity/mismatch"], "the event")
    assert event["extra"]["path"] == ST
    assert {"subject": "anonymous", "spans": [[40 * MIB, 40 * MIB + 1000]]} in event["extra"]["takers"]
    assert ask(gate, "parts/wrong", 0, 8).status == 502, "the digest is blocked"


def test_a_range_stays_owed_a_comparison_when_the_fill_breaks(gate, sim):
    fault = sim.faults.add(
        Fault(path="parts/owed/*", host="cdn", stall_at=3 * MIB, stall_gate=Gate(), truncate_at=4 * MIB)
    )
    lie = sim.faults.add(Fault(path="parts/owed/*", host="cdn", corrupt_at=40 * MIB))
    assert ask(gate, "parts/owed", 40 * MIB, 40 * MIB + 1000).status == 206
    sim.faults.remove(lie)
    down = sim.faults.add(
        Fault(path="parts/owed/*", method="GET", status=404, body=b"", headers={"X-Error-Code": "EntryNotFound"})
    )
    fault.stall_gate.open()
    wait_for(lambda: any("fill:" in line or "fill.resumes" in line for line in gate.log), "the end of the fill")
    sim.faults.remove(down, fault)
    wait_for(
        lambda: ask(gate, "parts/owed", 30 * MIB, 30 * MIB + 10).status in {429, 502}, "the second fill's mismatch", 60
    )
    assert any(
        r.get("note") == "integrity/mismatch" and (r["extra"].get("repo") == "parts/owed") for r in gate.records()
    )
