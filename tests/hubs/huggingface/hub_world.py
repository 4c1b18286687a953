"""Shared pieces of these tests: the weights, a clock that a test moves, a sleep that returns at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.domain.artifact import Repo, RepoType

WEIGHTS = bytes(range(256)) * 512


class FixedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def now(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class Waits:
    """A sleep that returns at once and remembers what it was asked for; the monotonic clock follows it."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []
        self.now_s = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds

    def monotonic(self) -> float:
        return self.now_s


def model(repo_id: str = "demo/tiny") -> Repo:
    return Repo("hub", RepoType.MODEL, repo_id)
