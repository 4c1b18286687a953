"""The hub's tree listing, checked entry by entry: what it says of a file is what later bytes are held against."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.domain.artifact import FileEntry
from gateway.hubs.huggingface.encoding import is_git_path, is_routable_path
from gateway.hubs.huggingface.limits import malformed

_SHA1: Final = re.compile(r"[0-9a-f]{40}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_POINTER_BYTES: Final = 134
MAX_TOLD: Final = 100  # names of files that are left out
_TOLD_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Listing:
    """Files, and the raw rows for the tree answer. `complete` is False where the hub told only a part, or what
    cannot be.

    `unroutable`: names, with escapes, of files that cannot be asked for through the grammar and are left out. Where
    they are all that there is, the listing is not complete: an empty one would read as "there is nothing".
    """

    files: tuple[FileEntry, ...]
    tree: tuple[Mapping[str, Any], ...]
    complete: bool
    unroutable: tuple[str, ...] = ()


def listing_of(rows: Iterable[Any], *, complete: bool) -> Listing:
    """Check every row. Raises UpstreamUnavailable (`upstream/malformed`)."""
    files: dict[str, FileEntry] = {}
    tree: list[Mapping[str, Any]] = []
    unroutable: list[str] = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("path"), str):
            raise malformed("The hub's tree holds a row without a path.")
        path = row["path"]
        if not is_routable_path(path):
            if not is_git_path(path):
                complete = False  # no repo holds such a file: what else is wrong with this listing, nobody knows
            elif row.get("type") != "directory":
                unroutable.append(_spelt(path))
            continue
        if row.get("type") == "directory":
            tree.append({"type": "directory", "oid": str(row.get("oid", "")), "size": 0, "path": path})
            continue
        if path in files:
            raise malformed("The hub's tree names one path twice.")
        files[path] = entry = _entry(row, path)
        tree.append(_row(row, entry))
    complete = complete and bool(files or not unroutable)
    return Listing(tuple(files.values()), tuple(tree), complete, tuple(unroutable[:MAX_TOLD]))


def _spelt(path: str) -> str:
    """A name that cannot be asked for, in plain ASCII, as a programmer would write it."""
    return ascii(path)[1:-1][:_TOLD_CHARS]


def _entry(row: Mapping[str, Any], path: str) -> FileEntry:
    size, oid, lfs = row.get("size"), row.get("oid"), row.get("lfs")
    if row.get("type") != "file" or not _is_size(size) or not _matches(_SHA1, oid):
        raise malformed("The hub's tree holds a file without a valid type, size or oid.")
    if lfs is None:
        return FileEntry(path, int(size or 0), str(oid))
    if not isinstance(lfs, dict) or not _matches(_SHA256, lfs.get("oid")) or lfs.get("size") != size:
        raise malformed("The hub's tree holds an LFS file without a valid sha256 or with two sizes.")
    return FileEntry(path, int(size or 0), str(oid), str(lfs["oid"]))


def _row(row: Mapping[str, Any], entry: FileEntry) -> Mapping[str, Any]:
    """The row as clients need it, without anything that we did not check."""
    bare: dict[str, Any] = {"type": "file", "oid": entry.git_oid, "size": entry.size_bytes, "path": entry.path}
    if entry.is_lfs:
        pointer = row["lfs"].get("pointerSize")
        bytes_of_pointer = pointer if _is_size(pointer) else _POINTER_BYTES
        bare["lfs"] = {"oid": entry.sha256, "size": entry.size_bytes, "pointerSize": bytes_of_pointer}
    return bare


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
