"""What a benchmark hands back: tables of figures, and how busy the machine was with other work meanwhile."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil


class NotRun(Exception):
    """This benchmark cannot run here; the text says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Options:
    """`quick`: the smallest sizes that still run every step; `directory`: where large files may lie."""

    quick: bool
    rounds: int
    directory: Path


@dataclass
class Table:
    """Cells are text or numbers; `notes` are sentences under the table."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        cells = [list(self.columns), *([_shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = [
            "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            for row in cells
        ]
        return "\n".join([self.title, *lines, *(f"- {note}" for note in self.notes)])


def _shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.3g}"
    return str(cell)


def median_ratio(ours: Sequence[float], baseline: Sequence[float]) -> float:
    """The median of the ratios round by round: what neighbours do to one round hits both sides of it."""
    return statistics.median(a / b for a, b in zip(ours, baseline, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Neighbours:
    """The share of the machine that work other than ours took: ours is this process and every child that has ended."""

    def __init__(self) -> None:
        self._busy, self._own, self._wall = _busy_s(), _own_s(), time.monotonic()

    def share(self) -> float:
        """0.0 to 1.0 of all cores since the start. Call it once every process of the benchmark has ended."""
        passed = (time.monotonic() - self._wall) * psutil.cpu_count()
        return max(0.0, (_busy_s() - self._busy) - (_own_s() - self._own)) / max(passed, 0.001)


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def _own_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
