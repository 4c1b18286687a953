"""Who comes without a credential."""

from __future__ import annotations

from gateway.domain.subject import ANONYMOUS, Subject
from gateway.ports import Credential


class AnonymousIdentifier:
    """ports.Identifier: the empty credential is the anonymous subject; every other is somebody else's to know."""

    async def identify(self, credential: Credential) -> Subject | None:
        return None if credential.token else ANONYMOUS
