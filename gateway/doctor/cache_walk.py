"""Reads the client's cache folder: bounded in time and entries, no symbolic link followed, nothing written.

Layout (huggingface_hub): `<type>s--<org>--<name>/{blobs,refs,snapshots,trees,.no_exist}`, and one shared `blobs/`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.doctor.probe import Deadline
from gateway.doctor.surroundings import read_text

MAX_ENTRIES = 500_000
WALK_S = 10.0
TREE_BYTES = 32 * 1024 * 1024
SHARED = "blobs"
_REPO = re.compile(r"(?:models|datasets|spaces|kernels)--.+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_XET = re.compile(r'"xet_?hash"\s*:\s*"', re.IGNORECASE)
# What transformers and its kin load first: believed absent, they take something else, or nothing.
_WEIGHTY = re.compile(r"(?:^|/)(?:config\.json|tokenizer(?:_config)?\.json|[^/]*\.safetensors(?:\.index\.json)?)$")


@dataclass
class Contents:
    """What lies in a cache. Sizes are of blobs; `is_complete` is false where time or entries ran out."""

    repos: int = 0
    blobs: int = 0
    size_bytes: int = 0
    incomplete: int = 0
    incomplete_bytes: int = 0
    xet_trees: list[Path] = field(default_factory=list)
    absent: int = 0
    absent_weighty: list[str] = field(default_factory=list)
    dangling_refs: list[Path] = field(default_factory=list)
    shared_blobs: int = 0
    shared_bytes: int = 0
    unreadable: list[Path] = field(default_factory=list)
    is_complete: bool = True


def walk(cache: Path, *, walk_s: float = WALK_S, max_entries: int = MAX_ENTRIES) -> Contents:
    """Everything below `cache`, as far as `walk_s` seconds and `max_entries` go."""
    walker = _Walker(Deadline(walk_s), max_entries)
    for entry in walker.entries(cache):
        if not entry.is_dir(follow_symlinks=False):
            continue
        if entry.name == SHARED:
            walker.shared(Path(entry.path))
        elif _REPO.fullmatch(entry.name):
            walker.repo(Path(entry.path))
    return walker.contents


class _Walker:
    def __init__(self, deadline: Deadline, max_entries: int) -> None:
        self.contents = Contents()
        self._deadline = deadline
        self._left = max_entries

    def entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        """The entries of one folder; none where it is missing."""
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    self._left -= 1
                    if self._left < 0 or self._deadline.is_over:
                        self.contents.is_complete = False
                        return
                    yield entry
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            self.contents.unreadable.append(folder)

    def files(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        """Every regular file below a folder."""
        waiting = [folder]
        while waiting:
            for entry in self.entries(waiting.pop()):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield entry

    def repo(self, repo: Path) -> None:
        contents = self.contents
        contents.repos += 1
        for entry in self.entries(repo / "blobs"):
            size = _size(entry)
            if size is None:
                continue
            if entry.name.endswith(".incomplete"):
                contents.incomplete += 1
                contents.incomplete_bytes += size
            else:
                contents.blobs += 1
                contents.size_bytes += size
        for entry in self.entries(repo / "trees"):
            if (
                entry.name.endswith(".json")
                and entry.is_file(follow_symlinks=False)
                and self._holds_xet(Path(entry.path))
            ):
                contents.xet_trees.append(Path(entry.path))
        for entry in self.files(repo / ".no_exist"):
            contents.absent += 1
            name = Path(entry.path).relative_to(repo / ".no_exist").as_posix().partition("/")[2]
            if _WEIGHTY.search(name):
                contents.absent_weighty.append(f"{repo.name}: {name}")
        self._refs(repo)

    def _refs(self, repo: Path) -> None:
        """Refs that name a commit of which nothing is here: what a tombstone, or a download that broke, leaves."""
        here = {entry.name for entry in self.entries(repo / "snapshots") if any(self.entries(Path(entry.path)))}
        for entry in self.files(repo / "refs"):
            try:
                commit = read_text(Path(entry.path), 64).strip()
            except OSError:
                self.contents.unreadable.append(Path(entry.path))
                continue
            if _COMMIT.fullmatch(commit) and commit not in here:
                self.contents.dangling_refs.append(Path(entry.path))

    def shared(self, store: Path) -> None:
        for entry in self.files(store):
            size = _size(entry)
            if re.fullmatch(r"[0-9a-f]{64}", entry.name) and size is not None:
                self.contents.shared_blobs += 1
                self.contents.shared_bytes += size

    def _holds_xet(self, path: Path) -> bool:
        try:
            return _XET.search(read_text(path, TREE_BYTES)) is not None
        except OSError:
            self.contents.unreadable.append(path)
            return False


def _size(entry: os.DirEntry[str]) -> int | None:
    """Bytes of a regular file; None for everything else, a link into the shared store for one."""
    try:
        return entry.stat(follow_symlinks=False).st_size if entry.is_file(follow_symlinks=False) else None
    except OSError:
        return None
