"""The hub's error answers, translated into ours (hub-protocol §13.2)."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.errors import (
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamThrottled,
    UpstreamUnavailable,
)
from gateway.hubs.huggingface.backoff import throttled, wait_of

_ABSENT = {"RepoNotFound": "repo", "RevisionNotFound": "revision", "EntryNotFound": "entry"}
_PASSING = frozenset({408, 500, 502, 503, 504})
DELIVERY_REFUSED = "upstream/unexpected-status"
_DISABLED = "access to this resource is disabled"


class PassingTrouble(UpstreamUnavailable):
    """Trouble that may be gone at the next try: a reset, a timeout, a 5xx, a body cut short."""


def may_pass(error: BaseException) -> bool:
    """Is another try worth it? After a 429 it is: the shared back-off decides how long to wait, or not to."""
    return isinstance(error, (PassingTrouble, UpstreamThrottled))


def error_of(status: int, headers: Mapping[str, str], *, missing: str, with_token: bool) -> UpstreamError:
    """The error that a status of 400 or more means. `missing` is what a 404 without a code says is absent."""
    code = headers.get("X-Error-Code", "")
    message = headers.get("X-Error-Message", "").lower()
    if code in _ABSENT:
        return absent(_ABSENT[code])
    if code == "GatedRepo":
        return UpstreamRefused("The hub gates this repo, and our credential is not granted access.", gated=True)
    if _DISABLED in message:
        return UpstreamRefused("The hub has disabled this repo.", gated=False)
    if status == 401 and with_token and "invalid credentials" in message:
        return UpstreamUnavailable(
            "The hub does not accept the gateway's upstream token: configure a valid one.", code="upstream/bad-token"
        )
    if status == 401:
        # The hub does not tell strangers whether a repo is private or missing.
        return absent("repo")
    if status == 403:
        return UpstreamRefused("The hub refuses access to this repo with our credential.", gated=False)
    if status == 404:
        return absent(missing)
    if status == 429:
        return throttled(wait_of(status, headers))
    if status in _PASSING:
        return PassingTrouble(f"The hub answered {status}.", timeout=status in (408, 504))
    return UpstreamUnavailable(f"The hub answered {status}, which is not expected.", code="upstream/unexpected-status")


def delivery_error(status: int, headers: Mapping[str, str]) -> UpstreamError:
    """The error that a status of 400 or more of a download host means: only the hub itself says what is absent or
    refused, and clients would believe it of anybody."""
    if status == 429:
        return throttled(wait_of(status, headers))
    if status in _PASSING:
        return PassingTrouble(f"The hub's download host answered {status}.", timeout=status in (408, 504))
    return UpstreamUnavailable(f"The hub's download host answered {status}.", code=DELIVERY_REFUSED)


def absent(what: str) -> UpstreamNotFound:
    """The hub's own plain absence of a "repo", "revision" or "entry"."""
    name = {"repo": "repo", "revision": "revision", "entry": "file or folder"}[what]
    return UpstreamNotFound(f"The hub has no such {name}.", what=what)
