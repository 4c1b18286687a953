"""Who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class SubjectKind(StrEnum):
    USER = "user"
    SERVICE = "service"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Client:
    """The program that speaks, as its User-Agent says (a claim, never evidence)."""

    name: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """The one who asks; never None. `claims` is the projection of a JWT that the configuration names.

    `expires_at_s` is the credential's expiry in Unix seconds (None: it does not expire).
    """

    id: str
    kind: SubjectKind
    groups: frozenset[str] = frozenset()
    claims: Mapping[str, str] = field(default_factory=dict)
    expires_at_s: float | None = None

    @property
    def projection(self) -> str:
        """The part of the subject that may change a decision, as a key (design §3.2).

        Quoted, so that no two subjects share a key: one group named `a,b` is not the groups `a` and `b`.
        """
        return f"{self.kind}\x1f{self.id!r}\x1f{sorted(self.groups)!r}\x1f{sorted(self.claims.items())!r}"


ANONYMOUS = Subject(id="anonymous", kind=SubjectKind.ANONYMOUS)
