"""What the client's own cache will do to a fetch, in words; and the command that clears it. Nothing is deleted here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from gateway.doctor.cache_walk import Contents, walk
from gateway.doctor.checks import Check, fail, ok, unknown, warn
from gateway.doctor.surroundings import Surroundings

_NAMED = 3
_REMOVED = 20


def check_cache(around: Surroundings) -> list[Check]:
    """Where the cache is, what is in it, and what of it stands in the way."""
    cache = around.hub_cache
    if not cache.is_dir():
        return [ok("cache/location", f"There is no cache yet at {cache}."), *_xet(around)]
    if not os.access(cache, os.R_OK | os.X_OK):
        return [unknown("cache/location", f"The cache at {cache} cannot be read.", "Look at its owner and rights.")]
    contents = walk(cache)
    at_least = "" if contents.is_complete else "at least "
    text = f"The cache at {cache} holds {at_least}{_count(contents.repos, 'repo')}, {_size(contents.size_bytes)}."
    return [
        ok("cache/location", text),
        *_gaps(contents),
        _trees(around, cache, contents),
        _refs(around, contents),
        _absences(cache, contents),
        *_leftovers(cache, contents),
        *_shared(contents),
        *_xet(around),
    ]


def _gaps(contents: Contents) -> list[Check]:
    found = []
    if not contents.is_complete:
        text = "The cache is too large to be read whole in time: what follows is what was seen."
        found.append(unknown("cache/complete", text))
    if contents.unreadable:
        parts = _some(map(str, contents.unreadable))
        text = f"{_count(len(contents.unreadable), 'part')} of the cache cannot be read: {parts}."
        found.append(unknown("cache/readable", text, "Look at the owner and rights of the cache."))
    return found


def _trees(around: Surroundings, cache: Path, contents: Contents) -> Check:
    """hub-protocol: a listing kept per commit that names Xet hashes sends the client past plain HTTP."""
    if not contents.xet_trees:
        return ok("cache/trees", "No kept listing names Xet hashes.")
    repos = sorted({path.parent.parent.name for path in contents.xet_trees})
    text = (
        f"{_count(len(contents.xet_trees), 'kept listing')} with Xet hashes ({_some(repos)}): clients with hf_xet go "
        "for those instead of the gateway's files, and are refused."
    )
    command = f"find {_quoted(cache)} -mindepth 3 -maxdepth 3 -path '*/trees/*.json' -type f -delete"
    if around.is_on("HF_HUB_DISABLE_XET"):
        return warn("cache/trees", text, f"HF_HUB_DISABLE_XET is on, so nothing follows; to be rid of them: {command}")
    return fail("cache/trees", text, f"Run: {command}")


def _refs(around: Surroundings, contents: Contents) -> Check:
    dangling = contents.dangling_refs
    if not dangling:
        return ok("cache/refs", "Every ref names a commit that is here.")
    text = (
        f"{_count(len(dangling), 'ref')} to a commit of which nothing is here ({_some(_ref_names(dangling))}): what a "
        "refused or broken download leaves. The next allowed fetch repairs it; offline, that name finds no model."
    )
    more = f" (the first {_REMOVED})" if len(dangling) > _REMOVED else ""
    command = f"Run{more}: rm -- {' '.join(_quoted(path) for path in dangling[:_REMOVED])}"
    if around.is_on("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        return fail("cache/refs", text, command)
    return warn("cache/refs", text, command)


def _absences(cache: Path, contents: Contents) -> Check:
    if not contents.absent:
        return ok("cache/no-exist", "No file is remembered as absent.")
    if not contents.absent_weighty:
        return ok("cache/no-exist", f"{_count(contents.absent, 'file')} remembered as absent, none that a load needs.")
    text = (
        f"{_count(len(contents.absent_weighty), 'file')} that loads look for remembered as absent for ever "
        f"({_some(contents.absent_weighty)}): right where the repo has none, else a load takes another file."
    )
    command = f"find {_quoted(cache)} -mindepth 2 -maxdepth 2 -name .no_exist -type d -exec rm -r {{}} +"
    return warn("cache/no-exist", text, f"Where the repo has the file now, run: {command}")


def _leftovers(cache: Path, contents: Contents) -> list[Check]:
    if not contents.incomplete:
        return []
    text = f"{_count(contents.incomplete, 'download')} broke off and left {_size(contents.incomplete_bytes)}."
    command = f"find {_quoted(cache)} -mindepth 3 -maxdepth 3 -path '*/blobs/*.incomplete' -type f -delete"
    return [warn("cache/incomplete", text, f"Fetch them again, or run: {command}")]


def _shared(contents: Contents) -> list[Check]:
    if not contents.shared_blobs:
        return []
    text = (
        f"The shared blob store holds {_count(contents.shared_blobs, 'file')}, {_size(contents.shared_bytes)}, that "
        "came by Xet, so not through a gateway; a gateway's answers do not use it."
    )
    return [ok("cache/shared-blobs", text)]


def _xet(around: Surroundings) -> list[Check]:
    try:
        with os.scandir(around.xet_cache) as entries:
            is_used = any(entry.name != "logs" for entry in entries)  # which hf_xet writes whenever it is imported
    except OSError:
        return []
    if not is_used:
        return []
    text = f"There is a Xet cache at {around.xet_cache}: some files came past a gateway, once or still."
    return [warn("cache/xet", text, "Fetch what matters again, so that it is judged; the folder may be deleted.")]


def _ref_names(paths: Iterable[Path]) -> Iterable[str]:
    for path in paths:
        repo = next((parent for parent in path.parents if "--" in parent.name and parent.parent != parent), path.parent)
        yield f"{repo.name} {path.name}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _some(names: Iterable[str]) -> str:
    """The first few names, and how many more."""
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(name[:80] for name in every[:_NAMED]) + more


def _size(size_bytes: int) -> str:
    value = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
