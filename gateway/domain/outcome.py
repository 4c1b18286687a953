"""What admission answers when it does not simply allow; a dialect turns each into its hub's words (design §5)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.artifact import Artifact, FileEntry
from gateway.domain.decision import DecisionScope, Effect, Reason


@dataclass(frozen=True, slots=True)
class Denial:
    """A deny, a quarantine, or a refused identity. Only these use the deny form.

    Scope FILE carries the real `commit` and the `entry` (None where the path is hidden and unknown).
    """

    effect: Effect
    scope: DecisionScope
    reasons: tuple[Reason, ...]
    decision_id: str
    commit: str = ""
    entry: FileEntry | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Not now: a scan or decision under way, or our own outage. Never a tombstone.

    `commit` and `entry` are set where they are known and the subject may see them. `artifact` is the file that is being
    judged, and `access` what opens it, where the client may be held meanwhile (design §6.4).
    """

    code: str
    message: str
    retry_after_s: int
    decision_id: str = ""
    commit: str = ""
    entry: FileEntry | None = None
    artifact: Artifact | None = None
    access: str = ""


@dataclass(frozen=True, slots=True)
class Absence:
    """The hub's own absence. `what`: "repo", "revision" or "entry"."""

    what: str
    message: str
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The upstream's own trouble: 504 where it timed out, else 502. `retry_after_s` is 0 where nobody knows."""

    code: str
    message: str
    timeout: bool = False
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """No such route (404), a write (403) or a malformed request (400): refused without a decision."""

    status: int
    code: str
    message: str


Refusal = Denial | Pending | Absence | Failure | Refused
