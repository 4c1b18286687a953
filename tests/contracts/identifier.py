"""What every ports.Identifier must do. A test module subclasses IdentifierContract and gives the fixture `bench`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from gateway.domain.errors import IdentityError
from gateway.domain.subject import Subject, SubjectKind
from gateway.ports import Credential, Identifier

HOSTILE = (
    " ", "\0", "\r\nX-Subject: admin", "anonymous", "ключ", "\ud800", "mgw_\ud800", "mgw_", "mgw_" + "A" * 43,
    "Bearer mgw_x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.", "..", "' OR 1=1 --", "x" * 1_000_000,
)  # fmt: skip


@dataclass(frozen=True)
class IdentifierBench:
    """An identifier, one token that it knows and whose it is, and tokens that are not its own, or its own but wrong."""

    identifier: Identifier
    token: str
    subject_id: str
    kind: SubjectKind = SubjectKind.USER
    foreign: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    async def ask(self, token: str, address: str = "127.0.0.1") -> Subject | None:
        return await self.identifier.identify(Credential(token, address))

    async def outcome(self, token: str) -> Subject | str | None:
        """The subject, None, or the code of the refusal, whose words are fit for a person and hold no secret."""
        try:
            return await self.ask(token)
        except IdentityError as error:
            refusal = error
        assert refusal.code.startswith("identity/")
        assert "\n" not in str(refusal)
        assert len(token) < 10 or token not in str(refusal)
        return refusal.code


class IdentifierContract:
    async def test_who_is_known_is_the_same_subject_each_time_and_from_anywhere(self, bench: IdentifierBench) -> None:
        first = await bench.ask(bench.token)
        assert first is not None
        assert (first.id, first.kind) == (bench.subject_id, bench.kind)
        for address in ("::1", "10.0.0.9", ""):
            assert await bench.ask(bench.token, address) == first

    async def test_what_is_not_its_own_is_left_to_the_next(self, bench: IdentifierBench) -> None:
        assert [await bench.ask(token) for token in bench.foreign] == [None] * len(bench.foreign)

    async def test_what_is_its_own_and_wrong_is_refused(self, bench: IdentifierBench) -> None:
        for token in bench.wrong:
            with pytest.raises(IdentityError):
                await bench.ask(token)
            assert str(await bench.outcome(token)).startswith("identity/")

    @pytest.mark.parametrize("token", HOSTILE, ids=range(len(HOSTILE)))
    async def test_a_hostile_token_is_nobody(self, bench: IdentifierBench, token: str) -> None:
        outcome = await bench.outcome(token)
        assert outcome is None or isinstance(outcome, str)

    async def test_a_token_that_nearly_fits_is_nobody(self, bench: IdentifierBench) -> None:
        known = bench.token
        near = {known[:-1], known + "A", known.swapcase(), " " + known, known + "\n", known * 2} - {known, ""}
        for token in near:
            outcome = await bench.outcome(token)
            assert outcome is None or isinstance(outcome, str), token

    async def test_only_an_empty_credential_is_ever_anonymous(self, bench: IdentifierBench) -> None:
        outcome = await bench.outcome("")
        assert not isinstance(outcome, Subject) or (outcome.id, outcome.kind) == ("anonymous", SubjectKind.ANONYMOUS)
        for token in (*bench.foreign, *bench.wrong, *HOSTILE):
            assert not token or not isinstance(await bench.outcome(token), Subject)

    async def test_many_at_once_each_get_their_own_answer(self, bench: IdentifierBench) -> None:
        others = [*bench.wrong, *bench.foreign, "no-such-token"]
        tokens = [bench.token if n % 2 else others[n // 2 % len(others)] for n in range(40)]
        found = await asyncio.gather(*(bench.outcome(token) for token in tokens))
        for token, outcome in zip(tokens, found, strict=True):
            assert (isinstance(outcome, Subject) and outcome.id == bench.subject_id) is (token == bench.token)
