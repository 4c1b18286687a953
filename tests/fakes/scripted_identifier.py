"""An identifier that knows what a test tells it, and remembers what it was shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.domain.errors import IdentityError
from gateway.domain.subject import Subject
from gateway.ports import Credential


class ScriptedIdentifier:
    """ports.Identifier. Passes tests/contracts/identifier.py. `known` by token; `refused` are its own but no good."""

    def __init__(self, known: Mapping[str, Subject] | None = None, refused: Collection[str] = ()) -> None:
        self.known = dict(known or {})
        self.refused = frozenset(refused)
        self.seen: list[str] = []

    async def identify(self, credential: Credential) -> Subject | None:
        self.seen.append(credential.token)
        if credential.token in self.refused:
            raise IdentityError("this token is not known here", code="identity/unknown-token")
        return self.known.get(credential.token)
