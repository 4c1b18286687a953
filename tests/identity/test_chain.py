from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.errors import IdentityError
from gateway.domain.subject import ANONYMOUS, Subject, SubjectKind
from gateway.identity.anonymous import AnonymousIdentifier
from gateway.identity.chain import HUB_TOKEN_NOTE, CompositeIdentifier, Identification
from gateway.identity.tokens import TokenFile, TokenIdentifier
from gateway.ports import Credential
from tests.contracts.identifier import IdentifierBench, IdentifierContract
from tests.fakes.hand_clock import HandClock
from tests.fakes.scripted_identifier import ScriptedIdentifier

HOW_TO = "ask at https://models.example.com/tokens for one"
HUB_TOKEN = "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[str, TokenIdentifier]:
    clock = HandClock()
    token, _ = TokenFile(tmp_path / "tokens.json", clock).add("ada", kind=SubjectKind.USER)
    return token, TokenIdentifier(tmp_path / "tokens.json", clock)


def chain(*identifiers, anonymous: bool, **switches) -> CompositeIdentifier:
    nobody = AnonymousIdentifier() if anonymous else None
    return CompositeIdentifier(identifiers, anonymous=nobody, how_to=HOW_TO, **switches)


async def code_of(found: CompositeIdentifier, token: str) -> tuple[str, str]:
    with pytest.raises(IdentityError) as caught:
        await found.identify(Credential(token, "127.0.0.1"))
    assert not token or token not in str(caught.value)
    return caught.value.code, str(caught.value)


async def test_no_credential_is_anonymous_where_that_is_on() -> None:
    assert await chain(anonymous=True).identify(Credential("", "::1")) is ANONYMOUS


async def test_no_credential_is_refused_where_it_is_not_and_told_how_to_get_one() -> None:
    code, words = await code_of(chain(anonymous=False), "")
    assert code == "identity/missing"
    assert HOW_TO in words


@pytest.mark.parametrize("anonymous", [True, False])
@pytest.mark.parametrize("token", [HUB_TOKEN, "hf_x", "api_org_abcdef"])
async def test_a_hub_token_is_refused_in_words(anonymous, token) -> None:
    code, words = await code_of(chain(anonymous=anonymous), token)
    assert code == "identity/public-hub-token"
    assert HOW_TO in words
    assert "forward" in words
    assert ("unset HF_TOKEN" in words) is anonymous


async def test_a_hub_token_counts_as_none_by_switch_and_says_so() -> None:
    found = chain(anonymous=True, hub_token_is_anonymous=True)
    told = await found.identify_with_note(Credential(HUB_TOKEN, "::1"))
    assert told == Identification(ANONYMOUS, HUB_TOKEN_NOTE)


async def test_the_switch_opens_nothing_where_anonymous_is_off() -> None:
    code, _ = await code_of(chain(anonymous=False, hub_token_is_anonymous=True), HUB_TOKEN)
    assert code == "identity/public-hub-token"


@pytest.mark.parametrize("switch", [True, False])
async def test_a_hub_token_reaches_no_identifier(switch) -> None:
    reader = ScriptedIdentifier()
    found = chain(reader, anonymous=True, hub_token_is_anonymous=switch)
    try:
        await found.identify(Credential(HUB_TOKEN, "::1"))
    except IdentityError:
        assert not switch
    assert reader.seen == []


async def test_the_first_that_knows_answers(tokens) -> None:
    token, identifier = tokens
    reader = ScriptedIdentifier()
    assert (await chain(reader, identifier, anonymous=False).identify(Credential(token, "::1"))).id == "ada"
    assert reader.seen == [token]


async def test_a_wrong_token_is_never_anonymous(tokens) -> None:
    _, identifier = tokens
    found = chain(identifier, anonymous=True, hub_token_is_anonymous=True)
    assert (await code_of(found, "mgw_wrong"))[0] == "identity/unknown-token"
    assert (await code_of(found, "something-else"))[0] == "identity/unknown-token"


async def test_a_refusal_ends_the_chain(tokens) -> None:
    _, identifier = tokens
    reader = ScriptedIdentifier()
    await code_of(chain(identifier, reader, anonymous=True), "mgw_wrong")
    assert reader.seen == []


ADA = Subject("ada", SubjectKind.USER)


class TestAnonymousIdentifier(IdentifierContract):
    @pytest.fixture
    def bench(self) -> IdentifierBench:
        foreign = ("mgw_x", HUB_TOKEN, "a.b.c", " ")
        return IdentifierBench(AnonymousIdentifier(), "", "anonymous", SubjectKind.ANONYMOUS, foreign)


@pytest.mark.parametrize("anonymous", [True, False])
class TestCompositeIdentifier(IdentifierContract):
    @pytest.fixture
    def bench(self, tokens, anonymous: bool) -> IdentifierBench:
        token, identifier = tokens
        wrong = ("mgw_wrong", HUB_TOKEN, "something-else")
        return IdentifierBench(chain(identifier, anonymous=anonymous), token, "ada", wrong=wrong)


class TestScriptedIdentifier(IdentifierContract):
    @pytest.fixture
    def bench(self) -> IdentifierBench:
        identifier = ScriptedIdentifier({"good-token": ADA}, refused=("revoked-token",))
        return IdentifierBench(identifier, "good-token", "ada", foreign=("", HUB_TOKEN), wrong=("revoked-token",))
