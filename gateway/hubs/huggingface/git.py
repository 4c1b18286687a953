"""git's smart and dumb HTTP protocols: recognised, never served.

A pack carries every file of every revision, and no server can say of one which file is judged: so the answer is the
same whatever is asked, and the hub is not (design §5). git prints the body of a refusal only where it is text/plain,
and asks for a password on 401 (hub-protocol §7.1).

Routes: git's `http-protocol` and `gitrepository-layout` documents.
"""

from __future__ import annotations

from typing import Final

from gateway.domain.artifact import Repo, RepoType
from gateway.domain.explaining import UNEXPLAINED, Explaining
from gateway.domain.outcome import Refusal
from gateway.domain.request import HubRequest
from gateway.hubs.huggingface import lfs
from gateway.hubs.huggingface.plain import plainly, text_answer
from gateway.ports import Rendering

SERVICES: Final = frozenset({"git-upload-pack", "git-receive-pack"})
# What git asks below a repo's address: both protocols, and what else of git-lfs than its batch.
PATHS: Final = (
    r"info/refs|git-upload-pack|git-receive-pack|HEAD|packed-refs"
    r"|objects/info/[a-z-]{1,32}|objects/pack/pack-[0-9a-f]{40,64}\.(?:pack|idx)|objects/[0-9a-f]{2}/[0-9a-f]{38,62}"
    r"|info/lfs/(?!objects/batch$).+"
)
_LFS: Final = "info/lfs/"


def service(values: list[str]) -> tuple[str, ...]:
    """The query parameter `service`; what git does not know is left out."""
    return (values[-1],) if values and values[-1] in SERVICES else ()


def is_push(request: HubRequest) -> bool:
    """Would this request send commits?"""
    return "git-receive-pack" in (request.path, *request.query.get("service", ()))


def refusal(request: HubRequest, refused: Refusal, explaining: Explaining = UNEXPLAINED) -> Rendering:
    """The refusal as git prints it, `remote: …`: with what to do instead."""
    if request.path.startswith(_LFS):
        return lfs.refusal(request, refused, explaining)
    is_read = request.repo is not None and not is_push(request)
    return text_answer(plainly(refused, explaining, advice(request.repo) if request.repo and is_read else ""))


def advice(repo: Repo) -> str:
    """How the files of a repo are had instead."""
    kind = "" if repo.type is RepoType.MODEL else f"--repo-type {repo.type.value} "
    return f"run `hf download {kind}{repo.id}`; in a clone that you have, `git lfs pull` works through this gateway."
