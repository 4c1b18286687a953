"""What a client asks, in words that no hub owns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.artifact import Repo


class Action(StrEnum):
    """What is done to a resource; HEAD, GET and Range of a file share `FETCH`."""

    FETCH = "fetch"
    LIST = "list"
    READ_METADATA = "read_metadata"
    SEARCH = "search"
    PUBLISH = "publish"


class RequestKind(StrEnum):
    """The named shapes of a hub's URL grammar: each is one row of the dialect's table."""

    RESOLVE = "resolve"
    INFO = "info"
    TREE = "tree"
    PATHS_INFO = "paths_info"
    REFS = "refs"
    XET_TOKEN = "xet_token"  # noqa: S105 - a route, not a secret
    WHOAMI = "whoami"
    TELEMETRY = "telemetry"
    HARNESSES = "harnesses"
    WRITE = "write"
    RAW = "raw"
    BLOB = "blob"
    SAFETENSORS_METADATA = "safetensors_metadata"
    COMMITS = "commits"
    SCAN = "scan"
    AUTH_CHECK = "auth_check"
    TREESIZE = "treesize"
    SEARCH = "search"
    LFS_BATCH = "lfs_batch"
    GIT = "git"
    MANIFEST = "manifest"
    LAYER = "layer"
    OBJECT = "object"  # one file of a batch or a manifest: no route has it


ACTION_OF: Mapping[RequestKind, Action] = {
    RequestKind.RESOLVE: Action.FETCH,
    RequestKind.XET_TOKEN: Action.FETCH,
    RequestKind.INFO: Action.READ_METADATA,
    RequestKind.TREE: Action.LIST,
    RequestKind.PATHS_INFO: Action.LIST,
    RequestKind.REFS: Action.READ_METADATA,
    RequestKind.WHOAMI: Action.READ_METADATA,
    RequestKind.TELEMETRY: Action.READ_METADATA,
    RequestKind.HARNESSES: Action.READ_METADATA,
    RequestKind.WRITE: Action.PUBLISH,
    RequestKind.RAW: Action.FETCH,
    RequestKind.BLOB: Action.FETCH,
    RequestKind.SAFETENSORS_METADATA: Action.FETCH,
    RequestKind.COMMITS: Action.LIST,
    RequestKind.SCAN: Action.READ_METADATA,
    RequestKind.AUTH_CHECK: Action.FETCH,  # it asks whether the bytes may be had
    RequestKind.TREESIZE: Action.LIST,
    RequestKind.SEARCH: Action.SEARCH,
    RequestKind.LFS_BATCH: Action.FETCH,
    RequestKind.GIT: Action.FETCH,
    RequestKind.MANIFEST: Action.FETCH,
    RequestKind.LAYER: Action.FETCH,
    RequestKind.OBJECT: Action.FETCH,
}

# The kinds that speak of one file, judged as its bytes are, in whatever form they show it.
OF_FILE = frozenset({RequestKind.RESOLVE, RequestKind.RAW, RequestKind.BLOB, RequestKind.SAFETENSORS_METADATA})


@dataclass(frozen=True, slots=True)
class HubRequest:
    """A request as the dialect read it: decoded once, nothing ambiguous left.

    `ref` is the revision text asked for (decoded: `refs/pr/1`), "" for the default branch.
    `path` is the decoded file or folder path, "" for the root; of a SEARCH, which has no repo, the API's word for the
    type of repo ("models"). `query` holds the parameters the route knows.
    """

    kind: RequestKind
    repo: Repo | None = None
    ref: str = ""
    path: str = ""
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def action(self) -> Action:
        return ACTION_OF[self.kind]
