from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError, StoreError
from gateway.stores.facts import SqliteFacts
from tests.contracts.facts import FactsContract
from tests.fakes.memory_facts import MemoryFacts


@pytest.fixture
async def facts(tmp_path: Path):
    facts = SqliteFacts(tmp_path / "facts.sqlite3")
    yield facts
    await facts.close()


class TestSqliteFacts(FactsContract):
    pass


class TestMemoryFacts(FactsContract):
    @pytest.fixture
    def facts(self) -> MemoryFacts:
        return MemoryFacts()


async def test_facts_outlive_a_restart(tmp_path: Path) -> None:
    first = SqliteFacts(tmp_path / "f")
    await first.put("n", "k", {"a": 1})
    await first.close()
    second = SqliteFacts(tmp_path / "f")
    assert await second.get("n", "k") == {"a": 1}
    await second.close()


async def test_the_file_is_private(facts: SqliteFacts, tmp_path: Path) -> None:
    await facts.put("n", "k", 1)
    assert stat.S_IMODE((tmp_path / "facts.sqlite3").stat().st_mode) == 0o600


async def test_what_waits_together_is_written_in_order(facts: SqliteFacts) -> None:
    await asyncio.gather(
        *(facts.put("n", "k", n) for n in range(2000)), *(facts.put("n", str(n), n) for n in range(2000))
    )
    assert await facts.get("n", "k") == 1999
    assert [await facts.get("n", str(n)) for n in (0, 1000, 1999)] == [0, 1000, 1999]


async def test_more_callers_than_places_all_get_their_turn(tmp_path: Path) -> None:
    facts = SqliteFacts(tmp_path / "f", pending=3)
    await asyncio.gather(*(facts.put("n", str(n), n) for n in range(100)))
    assert await facts.get("n", "99") == 99
    await facts.close()


async def test_a_bounded_namespace_keeps_its_newest(tmp_path: Path) -> None:
    facts = SqliteFacts(tmp_path / "f", keep={"decision": 10})
    for n in range(100):
        await facts.put("decision", str(n), n)
        await facts.put("first_seen", str(n), n)
    assert await facts.get("decision", "99") == 99
    assert await facts.get("decision", "0") is None
    assert await facts.get("first_seen", "0") == 0
    await facts.put("decision", "90", "again")
    for n in range(100, 109):
        await facts.put("decision", str(n), n)
    assert await facts.get("decision", "90") == "again"
    assert await facts.get("decision", "91") is None
    await facts.close()
    with sqlite3.connect(tmp_path / "f") as database:
        assert database.execute("SELECT count(*) FROM facts WHERE namespace = 'decision'").fetchone()[0] <= 11
    database.close()


async def test_a_cancelled_caller_harms_nobody(facts: SqliteFacts) -> None:
    task = asyncio.ensure_future(facts.put("n", "k", 1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await facts.put("n", "other", 2)
    assert await facts.get("n", "other") == 2


async def test_after_close_the_facts_say_so(facts: SqliteFacts) -> None:
    await facts.close()
    with pytest.raises(StoreError, match="closed"):
        await facts.get("n", "k")


async def test_a_failing_database_is_told_and_the_next_call_tried_again(tmp_path: Path) -> None:
    facts = SqliteFacts(tmp_path / "f")
    await facts.put("n", "k", 1)
    other = sqlite3.connect(tmp_path / "f", isolation_level=None)
    other.execute("ALTER TABLE facts RENAME TO hidden")
    with pytest.raises(StoreError):
        await facts.put("n", "k", 2)
    other.execute("ALTER TABLE hidden RENAME TO facts")
    other.close()
    assert await facts.get("n", "k") == 1
    await facts.close()


async def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path: Path) -> None:
    facts = SqliteFacts(tmp_path / "f")
    await facts.put("n", "k", "before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
    try:
        with pytest.raises(StoreError):
            await facts.put("n", "k", "x" * 1_000_000)
        assert await facts.get("n", "k") == "before"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    await facts.put("n", "k", "after")
    assert await facts.get("n", "k") == "after"
    await facts.close()


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ConfigError, match="move the file away"):
        SqliteFacts(tmp_path / "f")


async def test_a_reader_beside_the_server_sees_and_cannot_write(facts: SqliteFacts, tmp_path: Path) -> None:
    await facts.put("n", "k", 1)
    reader = SqliteFacts(tmp_path / "facts.sqlite3", read_only=True)
    assert await reader.get("n", "k") == 1
    with pytest.raises(StoreError):
        await reader.put("n", "k", 2)
    await reader.close()


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        SqliteFacts(tmp_path / "f", read_only=True)
    assert not (tmp_path / "f").exists()


PUTS = """
import asyncio, sys
from pathlib import Path
from gateway.stores.facts import SqliteFacts
async def main():
    facts = SqliteFacts(Path(sys.argv[1]))
    async def one(n):
        await facts.put("n", str(n), n)
        print(n, flush=True)
    for start in range(0, 10**9, 20):
        await asyncio.gather(*(one(start + n) for n in range(20)))
asyncio.run(main())
"""


async def test_a_kill_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    for round_ in range(4):
        path = tmp_path / f"f{round_}"
        process = subprocess.Popen([sys.executable, "-c", PUTS, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        promised = [int(process.stdout.readline()) for _ in range(7 + 40 * round_)]
        process.send_signal(signal.SIGKILL)
        promised += [int(line) for line in process.stdout.read().splitlines() if line]
        process.wait()
        process.stdout.close()
        facts = SqliteFacts(path)
        assert [await facts.get("n", str(n)) for n in promised] == promised
        await facts.close()


async def test_long_values_do_not_take_the_disk(tmp_path: Path) -> None:
    facts = SqliteFacts(tmp_path / "facts.sqlite3", keep={"snapshot": 100_000}, most_bytes=4 << 20)
    await facts.put("first_seen", "kept", "for ever")
    for number in range(400):
        await facts.put("snapshot", str(number), "x" * 100_000)
    assert (tmp_path / "facts.sqlite3").stat().st_size < 12 << 20
    assert await facts.get("snapshot", "0") is None
    assert await facts.get("snapshot", "399") is not None
    assert await facts.get("first_seen", "kept") == "for ever"
    await facts.close()
