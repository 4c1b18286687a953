"""Which blobs there are, and the hint on disk of when each was last used: lines `<sha256> <unix seconds>`.

The hint is written lazily and may be lost or stale; it only orders eviction. It is never trusted for sizes or presence.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.stores.durable import replace_file
from gateway.stores.quota import Use

_LINE = re.compile(r"([0-9a-f]{64}) ([0-9]{1,12})")
_SHARD = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{62}")


def walk(blobs: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every blob's sha256 and status. Skips what no commit made: links, folders, other names. Raises OSError."""
    with os.scandir(blobs / "sha256") as shards:
        for shard in sorted(shards, key=lambda entry: entry.name):
            if _SHARD.fullmatch(shard.name) is None or not shard.is_dir(follow_symlinks=False):
                continue
            with os.scandir(shard.path) as entries:
                for entry in entries:
                    if _REST.fullmatch(entry.name) is None:
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:  # evicted while we look
                        continue
                    if stat.S_ISREG(status.st_mode):
                        yield shard.name + entry.name, status


def load(blobs: Path) -> dict[str, int]:
    """The hint, as far as it can be read: an unreadable line is a blob without a hint."""
    try:
        text = (blobs / "access").read_text("ascii", "replace")
    except FileNotFoundError:
        return {}
    return {match[1]: int(match[2]) for line in text.splitlines() if (match := _LINE.fullmatch(line)) is not None}


def save(blobs: Path, uses: Iterable[tuple[str, Use]]) -> None:
    """Write the hint anew. Raises OSError."""
    lines = "".join(f"{sha256} {use.used_at_s}\n" for sha256, use in uses)
    replace_file(blobs / "access", lines.encode())
