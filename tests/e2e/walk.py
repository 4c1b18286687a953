"""Every route of the grammar with real names in it, so that a test may walk them all and miss none."""

import json
import re
from dataclasses import dataclass, field
from itertools import product
from urllib.parse import quote

from gateway.hubs.huggingface.routes import ROUTES, Route

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LFS = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
API_TYPES = {"model": "models", "dataset": "datasets", "space": "spaces"}
# Parameters that make an answer say more than it says without.
QUERIES = {
    "info": ("blobs=true&securityStatus=true", "expand=siblings&expand=cardData&expand=xetEnabled"),
    "tree": ("recursive=true&expand=true", "recursive=true"),
    "refs": ("include_prs=1",),
    "commits": ("limit=1&expand[]=formatted",),
    "search": ("search=o&full=true&limit=1", "full=true&cardData=true&config=true"),
    "resolve": ("download=true",),
    "git": ("service=git-upload-pack", "service=git-receive-pack"),
}


@dataclass(frozen=True)
class Asked:
    """One request of the walk."""

    route: Route
    method: str
    target: str
    headers: dict = field(default_factory=dict)
    body: bytes | None = None


def revisions(repo):
    """The spellings of a revision that a client may send, of those that the repo has."""
    main = repo.main.id
    named = ["main", "HEAD", main, main[:8], *repo.tag_refs, *(b for b in repo.branches if b != "main")]
    named += [f"refs/pr/{number}" for number in repo.pull_requests]
    named += [f"refs/convert/{name}" for name in repo.converts]
    return [quote(name, safe="") for name in named]


def walk(repo, *, refs=None, paths=None):
    """Every request of every route about one repo of the simulated world (or about none), each spelling once."""
    refs = revisions(repo) if refs is None else refs
    files = sorted(repo.main.files) if paths is None else paths
    digests = [f.content.sha256 for f in repo.main.files.values()]
    folders = sorted({path.rpartition("/")[0] for path in files} - {""})
    fillings = {
        "{prefix}": ["" if repo.type == "model" else f"{repo.type}s/"],
        "{type}": [API_TYPES[repo.type]],
        "{repo}": [repo.id],
        "{rev}": refs,
        "{commit}": [repo.main.id],
        "{path}": [quote(path) for path in files + folders],
        "{git}": ["info/refs", "git-upload-pack", "git-receive-pack", "HEAD", "info/lfs/locks"],
        "{tag}": ["main", "latest"],
        "{digest}": [f"sha256:{digest}" for digest in digests],
    }
    for route in ROUTES:
        if repo.type != "model" and (
            "{prefix}" not in route.shape and "{type}" not in route.shape and "{repo}" in route.shape
        ):
            continue  # a route of models alone
        names = re.findall(r"\{\w+\}", route.shape)
        assert set(names) <= set(fillings), f"the walk does not know what to put for {names} of {route.shape}"
        for values in product(*(fillings[name] for name in names)):
            path = route.shape
            for name, value in zip(names, values, strict=True):
                path = path.replace(name, value, 1)
            yield from _requests(route, path, repo, files)


def _requests(route, path, repo, files):
    kind = route.kind.value
    targets = [path, *(f"{path}?{query}" for query in QUERIES.get(kind, ()) if route.has_query)]
    for method in sorted(route.methods):
        for target in targets:
            if method != "POST":
                yield Asked(route, method, target)
            elif kind == "paths_info":
                body = "&".join(f"paths={quote(file, safe='')}" for file in files)
                yield Asked(route, method, target, FORM, body.encode())
                yield Asked(route, method, target, FORM, (body + "&expand=true").encode())
            elif kind == "lfs_batch":
                large = [{"oid": f.content.sha256, "size": f.size} for f in repo.main.files.values() if f.lfs]
                batch = {"operation": "download", "transfers": ["basic"], "objects": large}
                yield Asked(route, method, target, LFS, json.dumps(batch).encode())
            elif kind == "git":
                yield Asked(route, method, target, {"Content-Type": "application/x-git-upload-pack-request"}, b"0000")
            else:
                raise AssertionError(f"the walk has no body for a POST of {route.shape}")
