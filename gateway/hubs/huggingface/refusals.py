"""The deny, pending and absence forms (design §5, hub-protocol §2, §8), by outcome × route × method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, assert_never

from gateway.domain.decision import DecisionScope
from gateway.domain.explaining import UNEXPLAINED, Explaining
from gateway.domain.outcome import Absence, Denial, Failure, Pending, Refusal, Refused
from gateway.domain.request import HubRequest, RequestKind
from gateway.hubs.huggingface import git, invented, lfs, manifests
from gateway.hubs.huggingface.files import file_headers, invented_headers
from gateway.hubs.huggingface.listing import json_answer
from gateway.hubs.huggingface.tombstone import Tombstone
from gateway.hubs.huggingface.words import denial_line, is_identity_refusal, one_line, see
from gateway.ports import Rendering

# Programs that are no client of the hub's API, and so know none of its forms.
OTHER_WORDS: Final[Mapping[RequestKind, Callable[[HubRequest, Refusal, Explaining], Rendering]]] = {
    RequestKind.GIT: git.refusal,
    RequestKind.LFS_BATCH: lfs.refusal,
    RequestKind.MANIFEST: manifests.refusal,
    RequestKind.LAYER: manifests.refusal,
}
ERROR_CODES = {"repo": "RepoNotFound", "revision": "RevisionNotFound", "entry": "EntryNotFound"}
XET_ADVICE = (
    "Xet transfers are not served here: set HF_HUB_DISABLE_XET=1, or delete trees/<commit>.json in the cache "
    "folder of this repo, and load again."
)
TREES_ADVICE = "If a listing still shows this file, delete trees/<commit>.json in the cache folder of this repo."


def render(
    request: HubRequest | None,
    method: str,
    refusal: Refusal,
    tombstone: Tombstone,
    explaining: Explaining = UNEXPLAINED,
) -> Rendering:
    """The answer for one refusal; `request` is None where no route was recognised."""
    if request is not None and (words := OTHER_WORDS.get(request.kind)) is not None:
        return words(request, refusal, explaining)
    match refusal:
        case Denial():
            return _denial(request, method, refusal, tombstone, explaining)
        case Pending():
            return _pending(request, method, refusal, explaining)
        case Absence():
            return _absence(refusal)
        case Failure():
            status = 504 if refusal.timeout else 502
            line = f"The hub cannot be asked now: {_coded(refusal.message, refusal.code)}"
            again = (("Retry-After", str(refusal.retry_after_s)),) if refusal.retry_after_s else ()
            return _error(status, line + see(explaining.link("", refusal.code)), again)
        case Refused():
            advice = f" {XET_ADVICE}" if _is_xet(request) and "HF_HUB_DISABLE_XET" not in refusal.message else ""
            line = f"{_coded(refusal.message, refusal.code)}{advice}"
            return _error(
                refusal.status, line + see(explaining.link("", refusal.code)), _unnamed(request, method, refusal)
            )
        case _:
            assert_never(refusal)


def _unnamed(request: HubRequest | None, method: str, refusal: Refused) -> tuple[tuple[str, str], ...]:
    """Clients ask HEAD for files only, and take a 404 without a code for a broken connection (hub-protocol §8.1).

    What no route names is in no listing either, so it is absent. Without a commit, clients do not remember that.
    """
    is_file = request is None and method == "HEAD" and refusal.status == 404
    return (("X-Error-Code", ERROR_CODES["entry"]),) if is_file else ()


def _coded(message: str, code: str) -> str:
    """Bounded, so that what follows it is never cut."""
    return f"{one_line(message, 400)} ({one_line(code, 80)})"


def _denial(
    request: HubRequest | None, method: str, denial: Denial, tombstone: Tombstone, explaining: Explaining
) -> Rendering:
    line = denial_line(denial, request.path if request else "", explaining, _advice(request, method, denial))
    if request is None or request.repo is None:
        status = 401 if request is not None and request.kind is RequestKind.WHOAMI else 403
        return _error(status, line)
    repo = request.repo
    # What was refused: a file keeps the real commit of its load, everything else gets an invented one.
    commit = denial.commit if _is_of_file(denial) else tombstone.commit(repo, request.ref, denial.commit)
    match request.kind:
        case RequestKind.RESOLVE if method == "HEAD":
            headers = invented_headers(commit, tombstone.etag(repo, commit, request.path), invented.SIZE_BYTES)
            return _warned(Rendering(200, headers), line)
        case RequestKind.INFO:
            return _warned(invented.info(tombstone, repo, commit), line)
        case RequestKind.TREE:
            return _warned(invented.entries(tombstone, repo, commit, invented.PATHS), line)
        case RequestKind.PATHS_INFO if not is_identity_refusal(denial) and request.query.get("paths"):
            return _warned(invented.entries(tombstone, repo, commit, request.query["paths"]), line)
        case _:
            return _error(403, line)


def _advice(request: HubRequest | None, method: str, denial: Denial) -> str:
    """What the client's own listings have to do with this refusal."""
    if request is None or request.repo is None:
        return ""
    if request.kind is RequestKind.XET_TOKEN:
        return "" if any("HF_HUB_DISABLE_XET" in reason.remedy for reason in denial.reasons) else XET_ADVICE
    is_hidden = denial.scope is DecisionScope.FILE and denial.entry is None
    return TREES_ADVICE if is_hidden and request.kind is RequestKind.RESOLVE and method != "HEAD" else ""


def _is_of_file(denial: Denial) -> bool:
    return denial.scope is DecisionScope.FILE and denial.commit != "" and not is_identity_refusal(denial)


def _pending(request: HubRequest | None, method: str, pending: Pending, explaining: Explaining) -> Rendering:
    is_head = request is not None and request.kind is RequestKind.RESOLVE and method == "HEAD"
    if is_head and pending.commit and pending.entry is not None:
        length = ("Content-Length", str(pending.entry.size_bytes))
        return Rendering(200, (*file_headers(pending.commit, pending.entry), length))
    wait_s = max(1, pending.retry_after_s)
    decision = f" Decision {one_line(pending.decision_id, 64)}." if pending.decision_id else ""
    line = f"Not yet: {_coded(pending.message, pending.code)}.{decision} Try again in {wait_s} s."
    headers = (("Retry-After", str(wait_s)), ("RateLimit", f'"gateway";r=0;t={wait_s}'))
    return _error(429, line + see(explaining.link(pending.decision_id, pending.code)), headers)


def _absence(absence: Absence) -> Rendering:
    """The hub's own absence. A commit is given only for a plain missing entry of an allowed revision: clients then
    remember on disk that the optional file does not exist."""
    commit = (("X-Repo-Commit", absence.commit),) if absence.what == "entry" and absence.commit else ()
    return _error(404, absence.message, (("X-Error-Code", ERROR_CODES[absence.what]), *commit))


def _error(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Rendering:
    """Header and body say the same: HEAD has no body, and clients drop the repetition."""
    line = _without_stop(one_line(message))
    return json_answer({"error": line}, status, (*headers, ("X-Error-Message", line)))


def _without_stop(line: str) -> str:
    """Clients put a full stop after the message themselves."""
    return line[:-1] if line.endswith(".") and not line.endswith("..") else line


def _warned(rendering: Rendering, line: str) -> Rendering:
    warning = ("X-HF-Warning", one_line(f"policy; {line}"))
    return Rendering(rendering.status, (*rendering.headers, warning), rendering.body)


def _is_xet(request: HubRequest | None) -> bool:
    return request is not None and request.kind is RequestKind.XET_TOKEN
