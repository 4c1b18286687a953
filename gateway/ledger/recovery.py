"""What an earlier boot left behind: the head to go on from, and the gap to record."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.ledger.frames import GENESIS
from gateway.ledger.segments import SegmentEnd, SegmentName, SegmentReader, list_segments, remains

CLEAN_END = "end"


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where the next boot of a chain continues. `gap` is None after a clean end (or with no earlier boot)."""

    previous: str
    link: bytes
    seq: int
    boot: int
    gap: dict[str, Any] | None


def recover(directory: Path, instance: str, worker: int, machine_boot: str) -> Recovered:
    """Read the newest segment of the chain that has a header, up to the first frame that does not verify.

    Only the newest can be incomplete: a segment is begun when the one before is wholly on stable storage. Nothing is
    changed on disk. `machine_boot` is the id of the kernel's present boot. Raises LedgerError (a file cannot be read).
    """
    names = [n for n in list_segments(directory) if n.instance == instance and n.worker == worker]
    boot = names[-1].boot + 1 if names else 1
    headless: list[str] = []
    for name in reversed(names):
        reader = SegmentReader(directory / str(name))
        if reader.header is None:
            headless.append(str(name))
            continue
        last = deque(reader, maxlen=1)
        end = reader.end
        if end is None:  # a finished iteration always sets it
            break
        body: dict[str, Any] = orjson.loads(last[0].payload) if last else {}
        clean = body.get("extra", {}).get("event") == CLEAN_END and body.get("kind") == "event"
        if clean and end.unverified_bytes == 0 and not headless:
            return Recovered(str(name), end.link, end.seq, boot, None)
        since = body.get("time", reader.header.opened)
        if end.after_sync or any(remains(directory / other, end.seq)[1] for other in headless):
            lost = "damage"  # records that had reached stable storage do not verify
        elif reader.header.machine_boot == machine_boot != "":
            lost = "none"  # killed: all that was acknowledged had reached the kernel, which kept running
        else:
            lost = "repeats"  # power cut or kernel crash: records of class "written" of the last flush interval
        gap = _gap(name, end, headless, since, lost)
        return Recovered(str(name), end.link, end.seq, boot, gap)
    if not headless:
        return Recovered("", GENESIS, 0, boot, None)
    lost = "damage" if any(remains(directory / other, 0)[1] for other in headless) else "unknown"
    gap = {"segment": "", "from_offset": 0, "to_offset": 0, "after_seq": 0, "headless": headless[::-1], "lost": lost}
    return Recovered("", GENESIS, 0, boot, gap)


def _gap(name: SegmentName, end: SegmentEnd, headless: list[str], since: str, lost: str) -> dict[str, Any]:
    return {
        "segment": str(name),
        "from_offset": end.offset,
        "to_offset": end.offset + end.unverified_bytes,
        "after_seq": end.seq,
        "since": since,
        "headless": headless[::-1],
        "lost": lost,
    }
