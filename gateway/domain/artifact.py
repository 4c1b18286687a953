"""What a hub holds: repos, refs, revisions, and the artifacts (files) of a revision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RepoType(StrEnum):
    """The kind of a repo. The value is the singular word; `api` is the plural of the hub's API paths."""

    MODEL = "model"
    DATASET = "dataset"
    SPACE = "space"

    @property
    def api(self) -> str:
        """The plural used in `/api/{plural}/{id}`."""
        return f"{self.value}s"

    @property
    def prefix(self) -> str:
        """The path prefix of file routes: models have none."""
        return "" if self is RepoType.MODEL else f"{self.value}s/"


@dataclass(frozen=True, slots=True)
class Repo:
    """A repo as it was asked for: `hub` names the configured hub, `id` is `org/name` (or a legacy `name`)."""

    hub: str
    type: RepoType
    id: str

    def __str__(self) -> str:
        return f"{self.type.prefix}{self.id}"


class RefKind(StrEnum):
    """What a ref is. `COMMIT` is immutable; every other kind can move."""

    BRANCH = "branch"
    TAG = "tag"
    COMMIT = "commit"
    PULL_REQUEST = "pull_request"
    CONVERT = "convert"


@dataclass(frozen=True, slots=True)
class Digest:
    """An algorithm and a lower-case hex value: `sha256`, or `git-sha1` (a git blob id)."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a revision, as the hub lists it.

    `git_oid` is the git blob id of the file (of its LFS pointer, where `sha256` is set); "" for what lies in no
    revision: a layer that the hub's registry made, had only by its digest.
    `sha256` is the LFS object id, else None until the bytes were fetched and hashed.
    """

    path: str
    size_bytes: int
    git_oid: str
    sha256: str | None = None

    @property
    def is_lfs(self) -> bool:
        return self.sha256 is not None

    @property
    def digest(self) -> Digest:
        """The digest by which the hub names the bytes; the client sees its value as the ETag."""
        return Digest("sha256", self.sha256) if self.sha256 is not None else Digest("git-sha1", self.git_oid)

    @property
    def identity(self) -> str:
        """The digest and the size. Two listings speak of the same bytes only where they agree on both: one that lies
        about the size of somebody else's file must not be believed about it, nor speak against it."""
        return f"{self.digest}:{self.size_bytes}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file at one immutable revision: what a decision about a file binds to."""

    repo: Repo
    commit: str
    entry: FileEntry

    @property
    def path(self) -> str:
        return self.entry.path


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open byte range [start, end) of a file."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start
