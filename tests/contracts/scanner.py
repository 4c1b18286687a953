"""What every ports.Scanner must do. A test module subclasses ScannerContract and gives the fixture `scanner`."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest

from gateway.domain.errors import GatewayError, IntegrityError, StoreError, UpstreamThrottled, UpstreamUnavailable
from gateway.domain.evidence import ScanReport, Surface
from gateway.ports import Scanner
from tests.corpus.pickles import SYSTEM
from tests.corpus.zips import torch_zip

TEXT = b"Plain words.\n" * 10
LARGE = b"words and more words\n" * 150_000
HOSTILE = {
    "empty": b"",
    "noise": random.Random(7).randbytes(70_000),
    "pickle": SYSTEM,
    "pickle-cut": SYSTEM[:-3],
    "zip-cut": torch_zip(SYSTEM)[:-30],
    "zip-flipped": bytes(b ^ 0xFF for b in torch_zip(SYSTEM)),
    "gguf-lies": b"GGUF\x03\0\0\0" + b"\xff" * 64,
    "safetensors-lies": b"\xff" * 7 + b"\x7f{",
    "json-deep": b"[" * 100_000,
    "gzip-cut": b"\x1f\x8b\x08\0",
}
PATHS = ("", "../../etc/passwd", "a\0b.bin", "line\nbreak.json", "\u202egnp.exe", "bad\udcffname", "x" * 5000)


class MemorySource:
    """ports.RangeSource over bytes; `error` is raised from the read `after` on. `reads` are what was asked for."""

    def __init__(self, data: bytes, error: Exception | None = None, after: int = 0) -> None:
        self.data, self.error, self.after = data, error, after
        self.size_bytes = len(data)
        self.reads: list[tuple[int, int]] = []

    async def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        self.reads.append((offset, length))
        await asyncio.sleep(0)
        if self.error is not None and len(self.reads) > self.after:
            raise self.error
        return self.data[offset : offset + length]

    def was_read_whole(self) -> bool:
        end = 0
        for offset, length in sorted(self.reads):
            if offset > end:
                return False
            end = max(end, offset + length)
        return end >= self.size_bytes


class ScannerContract:
    async def test_a_report_names_its_scanner_and_what_was_looked_at(self, scanner: Scanner) -> None:
        report = await scanner.scan(MemorySource(TEXT), "notes.txt")
        assert (report.scanner, report.version) == (scanner.name, scanner.version)
        assert all((scanner.name, scanner.version, report.format))
        assert (report.coverage.surface, report.findings) == (Surface.COMPLETE, ())

    @pytest.mark.parametrize("name", list(HOSTILE))
    async def test_hostile_content_never_raises(self, scanner: Scanner, name: str) -> None:
        report = await scanner.scan(MemorySource(HOSTILE[name]), "pytorch_model.bin")
        assert (report.scanner, report.version) == (scanner.name, scanner.version)
        assert report.coverage.surface is Surface.COMPLETE or report.coverage.cause
        for finding in report.findings:
            assert finding.message.isprintable()
            assert 0 < len(finding.message) <= 200
        await _goes_on(scanner)

    @pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
    async def test_a_hostile_name_never_raises(self, scanner: Scanner, path: str) -> None:
        report = await scanner.scan(MemorySource(TEXT), path)
        assert (report.scanner, report.version) == (scanner.name, scanner.version)
        await _goes_on(scanner)

    @pytest.mark.parametrize("data", [TEXT, LARGE, torch_zip(SYSTEM), b""], ids=["text", "large", "zip", "empty"])
    async def test_what_a_report_says_it_read_was_read(self, scanner: Scanner, data: bytes) -> None:
        """`whole_file` and the spans bind the report to the bytes: neither may claim more than was looked at."""
        source = MemorySource(data)
        report = await scanner.scan(source, "model.bin")
        assert source.was_read_whole() or not report.coverage.whole_file
        assert report.spans or source.was_read_whole()
        for span in report.spans:
            assert 0 <= span.start < span.end <= len(data)
            assert span.sha256 == hashlib.sha256(data[span.start : span.end]).hexdigest()

    async def test_the_same_bytes_give_the_same_report(self, scanner: Scanner) -> None:
        data = torch_zip(SYSTEM)
        first, second = [await scanner.scan(MemorySource(data), "model.bin") for _ in range(2)]
        assert first == second

    @pytest.mark.parametrize(
        "error",
        [
            UpstreamUnavailable("gone", timeout=True),
            UpstreamThrottled("slow down", retry_after_s=7.0),
            IntegrityError("other bytes"),
            StoreError("unreadable"),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("after", [0, 1])
    async def test_an_error_of_the_source_passes_unchanged(
        self, scanner: Scanner, error: GatewayError, after: int
    ) -> None:
        with pytest.raises(type(error)) as caught:
            await scanner.scan(MemorySource(LARGE, error, after), "notes.txt")
        assert caught.value is error
        await _goes_on(scanner)

    async def test_many_at_once_do_not_mix(self, scanner: Scanner) -> None:
        lost = UpstreamUnavailable("gone")
        files = [TEXT, LARGE, torch_zip(SYSTEM), b""] * 3
        alone = [await scanner.scan(MemorySource(data), "model.bin") for data in files[:4]]
        scans = [scanner.scan(MemorySource(data), "model.bin") for data in files]
        scans.insert(5, scanner.scan(MemorySource(LARGE, lost), "model.bin"))
        found = await asyncio.gather(*scans, return_exceptions=True)
        assert found.pop(5) is lost
        assert found == alone * 3

    async def test_a_cancelled_scan_leaves_a_scanner_that_goes_on(self, scanner: Scanner) -> None:
        asked = asyncio.Event()

        class Silent(MemorySource):
            async def read(self, offset: int, length: int) -> bytes:
                asked.set()
                await asyncio.Event().wait()
                raise AssertionError("never reached")

        async with asyncio.TaskGroup() as group:
            scan = group.create_task(scanner.scan(Silent(TEXT), "notes.txt"))
            await asked.wait()
            scan.cancel()
        assert scan.cancelled()
        await _goes_on(scanner)


async def _goes_on(scanner: Scanner) -> None:
    report: ScanReport = await scanner.scan(MemorySource(TEXT), "notes.txt")
    assert report.coverage.surface is Surface.COMPLETE
