"""The contract of ports.Scanner: the isolated one, and the fake that reads and finds nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.scanners.own import OwnScanner
from tests.contracts.scanner import ScannerContract
from tests.fakes.reading_scanner import ReadingScanner


class TestOwnScanner(ScannerContract):
    @pytest.fixture
    async def scanner(self) -> AsyncIterator[OwnScanner]:
        own = OwnScanner(workers=1)
        await own.start()
        yield own
        await own.close()


@pytest.mark.parametrize("most_bytes", [1 << 40, 2 << 20])
class TestReadingScanner(ScannerContract):
    @pytest.fixture
    def scanner(self, most_bytes: int) -> ReadingScanner:
        return ReadingScanner(most_bytes)
