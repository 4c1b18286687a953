"""A repo of the simulated hub: its commits, refs and facts. Edited by tests while the simulator runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from gateway.simulator.content import Content, as_content, git_blob_id, lfs_pointer, xet_hash

# The hub's own threshold and endings: these files live in large file storage whatever their size.
LFS_THRESHOLD_BYTES = 10 * 1024 * 1024
LFS_ENDINGS = (
    ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".gguf", ".onnx", ".h5", ".keras",
    ".npz", ".npy", ".msgpack", ".tflite", ".pb", ".parquet", ".arrow", ".zip", ".tar", ".gz", ".7z", ".model", ".ot",
    ".png", ".jpg", ".wav", ".mp3",
)  # fmt: skip

PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/"}
EPOCH = datetime(2025, 1, 15, 10, 0, 0, tzinfo=UTC)

Files = Mapping[str, "bytes | str | Content | None"]


@dataclass(frozen=True)
class File:
    """One file of a commit; `lfs` tells large file storage from a plain git file."""

    path: str
    content: Content
    lfs: bool

    @property
    def size(self) -> int:
        return self.content.size

    @cached_property
    def oid(self) -> str:
        """The git blob id: of the pointer where the file is in large file storage."""
        if self.lfs:
            return git_blob_id(lfs_pointer(self.content))
        return git_blob_id(self.content.read(0, self.content.size))

    @property
    def etag(self) -> str:
        """What names the bytes on the hub: the sha256, or the git blob id of a small file."""
        return self.content.sha256 if self.lfs else self.oid

    @property
    def xet(self) -> str:
        return xet_hash(self.content.sha256)


@dataclass(frozen=True)
class Commit:
    id: str
    parent: str
    files: Mapping[str, File]
    message: str
    date: datetime


@dataclass
class PullRequest:
    number: int
    title: str
    head: str


@dataclass
class Repo:
    """Everything the hub knows of one repo; every field may be changed while the simulator runs."""

    id: str
    type: str = "model"
    card: dict[str, Any] = field(default_factory=dict)
    gated: bool | str = False
    private: bool = False
    disabled: bool = False
    downloads: int = 0
    likes: int = 0
    created_at: datetime = EPOCH
    tags: list[str] = field(default_factory=list)
    library: str = ""
    pipeline: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    scans_done: bool = True
    scan_levels: dict[str, str] = field(default_factory=dict)
    description: str = ""
    stable_key: str = ""  # the hub's own `_id`, 24 hex digits; survives a rename
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tag_refs: dict[str, str] = field(default_factory=dict)
    converts: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[int, PullRequest] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As in file routes: `datasets/org/name`; models have no prefix."""
        return PREFIX[self.type] + self.id

    @property
    def main(self) -> Commit:
        """The head of the default branch."""
        return self.commits[self.branches["main"]]

    @property
    def last_modified(self) -> datetime:
        return self.main.date

    def commit(
        self,
        files: Files | None = None,
        *,
        branch: str = "main",
        message: str = "Upload files",
        date: datetime | None = None,
        lfs: bool | None = None,
    ) -> str:
        """Add a commit on a branch and return its id. A file given as None is deleted.

        `lfs` overrides where the files of this commit live; otherwise endings and sizes decide, as on the hub.
        """
        commit = self._add(files or {}, self.branches.get(branch, ""), message, date, lfs)
        self.branches[branch] = commit
        return commit

    def pull_request(self, files: Files, *, title: str = "Pull request", lfs: bool | None = None) -> int:
        """Open a pull request on the head of main: content that only `refs/pr/N` and its commit id reach."""
        number = max(self.pull_requests, default=0) + 1
        head = self._add(files, self.branches.get("main", ""), title, None, lfs)
        self.pull_requests[number] = PullRequest(number, title, head)
        return number

    def convert(self, name: str, files: Files) -> str:
        """Set `refs/convert/<name>`, which the hub's own bots write."""
        self.converts[name] = self._add(files, "", f"Convert to {name}", None, None)
        return self.converts[name]

    def tag(self, name: str, commit: str = "") -> None:
        """Point a tag at a commit ("" for the head of main)."""
        self.tag_refs[name] = commit or self.branches["main"]

    def move(self, branch: str, commit: str) -> None:
        """Let a branch point at another commit of this repo, forwards, backwards or aside."""
        if commit not in self.commits:
            msg = f"{self.name} has no commit {commit}"
            raise KeyError(msg)
        self.branches[branch] = commit

    def resolve(self, revision: str) -> Commit | None:
        """The commit of a branch, tag, `refs/…`, full or short commit id; "" and HEAD are the default branch."""
        if revision in ("", "HEAD"):
            revision = "main"
        pull = re.fullmatch(r"refs/pr/(\d+)", revision)
        if pull:
            request = self.pull_requests.get(int(pull[1]))
            return self.commits[request.head] if request else None
        named = (
            self.branches.get(revision.removeprefix("refs/heads/"))
            or self.tag_refs.get(revision.removeprefix("refs/tags/"))
            or (self.converts.get(revision.removeprefix("refs/convert/")) if "/convert/" in revision else None)
        )
        if named:
            return self.commits[named]
        if re.fullmatch(r"[0-9a-f]{7,40}", revision):
            return next((c for c in self.commits.values() if c.id.startswith(revision)), None)
        return None

    def history(self, commit: Commit) -> Iterator[Commit]:
        """The commit and its ancestors, newest first."""
        current: Commit | None = commit
        while current is not None:
            yield current
            current = self.commits.get(current.parent)

    def readme(self, text: str = "") -> str:
        """A model card: the card data as YAML front matter, then a heading and the text."""
        front = "".join(f"{key}: {json.dumps(value)}\n" for key, value in self.card.items())
        return f"---\n{front}---\n# {self.id}\n\n{text or self.description}\n"

    def _add(self, files: Files, parent: str, message: str, date: datetime | None, lfs: bool | None) -> str:
        merged = dict(self.commits[parent].files) if parent else {}
        for path, data in files.items():
            if data is None:
                merged.pop(path)
                continue
            content = as_content(data)
            large = path.endswith(LFS_ENDINGS) or content.size > LFS_THRESHOLD_BYTES if lfs is None else lfs
            merged[path] = File(path, content, large)
        when = date or self.created_at + timedelta(minutes=len(self.commits))
        changed = [f"{path} {'-' if data is None else merged[path].oid}" for path, data in files.items()]
        text = "\n".join([self.name, parent, message, when.isoformat(), str(len(self.commits)), *changed])
        commit = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.commits[commit] = Commit(commit, parent, merged, message, when)
        return commit

    def swap(self, path: str, data: bytes | str | Content, *, branch: str = "main") -> None:
        """Replace the bytes of a file under the *same* commit id: what an honest hub never does."""
        commit = self.commits[self.branches[branch]]
        file = replace(commit.files[path], content=as_content(data))
        self.commits[commit.id] = replace(commit, files={**commit.files, path: file})
