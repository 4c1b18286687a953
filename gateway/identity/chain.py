"""One answer to "who asks?" from several identifiers. Never None, never a guess: what nobody knows is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.errors import IdentityError
from gateway.domain.subject import Subject
from gateway.ports import Credential, Identifier

# Prefixes of the public hub's own tokens (user access tokens, old organisation tokens).
HUB_TOKEN_PREFIXES = ("hf_", "api_org_")
HUB_TOKEN_NOTE = "the public-hub token was not used and not forwarded"  # noqa: S105 - words, not a secret


@dataclass(frozen=True, slots=True)
class Identification:
    """Who asks, and what there is to say about how that was found out ("" for nothing)."""

    subject: Subject
    note: str = ""


class CompositeIdentifier:
    """ports.Identifier that asks each of `identifiers` in order.

    `anonymous` answers for the empty credential; None refuses it. `hub_token_is_anonymous`: a public-hub token counts
    as no credential (only where `anonymous` is given), else it is refused in words. In both cases it goes nowhere.
    `how_to`: one clause for a person, such as "ask at https://…/tokens for one".
    """

    def __init__(
        self,
        identifiers: Sequence[Identifier],
        *,
        anonymous: Identifier | None,
        how_to: str,
        hub_token_is_anonymous: bool = False,
    ) -> None:
        self._identifiers = tuple(identifiers)
        self._anonymous = anonymous
        self._how_to = how_to
        self._hub_token_is_anonymous = hub_token_is_anonymous

    async def identify(self, credential: Credential) -> Subject:
        """ports.Identifier.identify; never None. StoreError of an identifier (our outage) passes unchanged."""
        return (await self.identify_with_note(credential)).subject

    async def identify_with_note(self, credential: Credential) -> Identification:
        """As `identify`, and the note that belongs into the record and the developer's warning."""
        if not credential.token:
            if (subject := await self._nobody(credential)) is not None:
                return Identification(subject)
            raise IdentityError(
                f"this gateway asks who you are: set HF_TOKEN to a gateway token; {self._how_to}",
                code="identity/missing",
            )
        if credential.token.startswith(HUB_TOKEN_PREFIXES):
            if self._hub_token_is_anonymous and (subject := await self._nobody(credential)) is not None:
                return Identification(subject, HUB_TOKEN_NOTE)
            raise IdentityError(
                "this gateway does not take or forward public-hub tokens: set HF_TOKEN to a gateway token; "
                + self._how_to
                + (", or unset HF_TOKEN to ask anonymously" if self._anonymous is not None else ""),
                code="identity/public-hub-token",
            )
        for identifier in self._identifiers:
            subject = await identifier.identify(credential)
            if subject is not None:
                return Identification(subject)
        raise IdentityError(
            f"this gateway does not know that kind of token: set HF_TOKEN to a gateway token; {self._how_to}",
            code="identity/unknown-token",
        )

    async def _nobody(self, credential: Credential) -> Subject | None:
        if self._anonymous is None:
            return None
        return await self._anonymous.identify(Credential(token="", address=credential.address))
