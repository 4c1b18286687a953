"""What a repo id and a revision may look like.

Repo ids: huggingface_hub's own validator (ASCII word characters, "-" and ".", at most 96 per part, no "--", "..",
".git"). Revisions: `git check-ref-format`, as far as it bears on safety.
"""

from __future__ import annotations

import re
from functools import lru_cache

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

from gateway.domain.errors import UnroutableRequest

MAX_REF_CHARS = 256

# First parts of paths with a meaning of their own: never a namespace, never a one-part repo name.
RESERVED = frozenset({"api", "models", "datasets", "spaces", "kernels", "buckets", "v2", "docs", "oauth", "settings"})

_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(?:^|/)[.-]|[./]$|^/|\.lock(?:/|$)")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_commit(ref: str) -> bool:
    """Is the ref a full commit id (40 lower-case hex digits)?"""
    return _COMMIT.fullmatch(ref) is not None


@lru_cache(maxsize=4096)
def is_repo_id(repo_id: str) -> bool:
    """Is this a valid `namespace/name`, or a legacy one-part `name`?"""
    if repo_id.partition("/")[0].lower() in RESERVED:
        return False
    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        return False
    return True


def check_ref(ref: str) -> str:
    """The decoded revision; `HEAD` becomes "" (the default branch). Raises UnroutableRequest."""
    if not ref or len(ref) > MAX_REF_CHARS or _BAD_REF.search(ref):
        raise UnroutableRequest("The revision is not a valid git ref.")
    return "" if ref == "HEAD" else ref
