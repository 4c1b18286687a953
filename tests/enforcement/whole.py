"""The whole core, composed as in production, before a simulated hub in a thread: for tests that ask admission itself."""

from contextlib import asynccontextmanager

from gateway.app import composed
from gateway.domain.artifact import Repo, RepoType
from gateway.domain.request import HubRequest, RequestKind
from gateway.domain.subject import ANONYMOUS, Client
from gateway.enforcement.context import RequestContext
from gateway.ledger.index import LedgerIndex
from gateway.ledger.queries import Filter, find
from gateway.settings import load


@asynccontextmanager
async def whole(hub, state, environ=None, **more):
    """A Core on the state directory; `more` are settings by dotted key with "__" for the dot, `environ` has secrets."""
    flags = {
        "state.dir": str(state), "upstream.url": hub.hub_url, "upstream.redirect_hosts": [hub.cdn_url.removeprefix("http://")],
        "upstream.unsafe_allow_private_upstream": True, **{key.replace("__", "."): value for key, value in more.items()},
    }  # fmt: skip
    async with composed(load(None, flags, environ or {}), "http://gateway") as core:
        yield core


def by(subject=ANONYMOUS, method="GET"):
    return RequestContext("r-1", method, subject, Client("probe", "1"), "127.0.0.1", target="/target")


def file(repo, path, ref="main", kind=RequestKind.RESOLVE):
    return HubRequest(kind, model(repo), ref, path)


def model(repo_id):
    return Repo("huggingface", RepoType.MODEL, repo_id)


def records(core):
    """What the ledger holds, oldest first, as the audit commands read it."""
    with LedgerIndex(core.state.layout.ledger) as index:
        return sorted(find(index, Filter(limit=1000)), key=lambda record: record["seq"])
