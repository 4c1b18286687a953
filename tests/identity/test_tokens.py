from __future__ import annotations

import json
import multiprocessing
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError, IdentityError, StoreError
from gateway.domain.subject import SubjectKind
from gateway.identity.tokens import TokenFile, TokenIdentifier, hash_of
from gateway.ports import Credential
from tests.contracts.identifier import IdentifierBench, IdentifierContract
from tests.fakes.hand_clock import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def file(path: Path, clock: HandClock) -> TokenFile:
    return TokenFile(path, clock)


async def ask(identifier: TokenIdentifier, token: str):
    return await identifier.identify(Credential(token, "127.0.0.1"))


async def refused(identifier: TokenIdentifier, token: str) -> str:
    with pytest.raises(IdentityError) as caught:
        await ask(identifier, token)
    assert token not in str(caught.value)
    return caught.value.code


async def test_a_token_is_its_subject(file, path, clock) -> None:
    token, entry = file.add("ci-bot", kind=SubjectKind.SERVICE, groups=["b", "a", "a"], lifetime=timedelta(days=1))
    assert token.startswith("mgw_")
    assert len(token) == 4 + 43
    assert token.endswith(entry.last4)
    subject = await ask(TokenIdentifier(path, clock), token)
    assert (subject.id, subject.kind, subject.groups) == ("ci-bot", SubjectKind.SERVICE, frozenset({"a", "b"}))
    assert subject.expires_at_s == clock.now_s + 86400


async def test_the_token_itself_is_kept_nowhere(file, path, tmp_path) -> None:
    token, _ = file.add("ada", kind=SubjectKind.USER)
    for kept in tmp_path.iterdir():
        assert token not in kept.read_text()
        assert token[4:] not in kept.read_text()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert hash_of(token) in path.read_text()


async def test_nearly_right_is_wrong(file, path, clock) -> None:
    token, entry = file.add("ada", kind=SubjectKind.USER)
    identifier = TokenIdentifier(path, clock)
    for wrong in (
        token[:-1],
        token + "a",
        token[:-1] + ("a" if token[-1] != "a" else "b"),
        "mgw_",
        "mgw_" + entry.sha256,  # what a thief of the file holds
        "mgw_" + entry.id,
        token.swapcase().replace("MGW_", "mgw_"),
        token + "\ud800",
    ):
        assert await refused(identifier, wrong) == "identity/unknown-token"


@pytest.mark.parametrize("token", ["", "hf_abcdefghijklmnop", "eyJ.a.b", "MGW_abc", " mgw_x"])
async def test_other_kinds_are_not_its_own(path, clock, token) -> None:
    assert await ask(TokenIdentifier(path, clock), token) is None


async def test_a_token_expires(file, path, clock) -> None:
    token, _ = file.add("ada", kind=SubjectKind.USER, lifetime=timedelta(seconds=60))
    identifier = TokenIdentifier(path, clock)
    clock.pass_s(59)
    assert (await ask(identifier, token)).id == "ada"
    clock.pass_s(1)
    assert await refused(identifier, token) == "identity/expired"


async def test_a_running_server_notices_within_two_seconds(file, path, clock) -> None:
    changes: list[int] = []
    identifier = TokenIdentifier(path, clock, lambda: changes.append(1))
    token, _ = file.add("ada", kind=SubjectKind.USER)
    clock.pass_s(0.5)
    assert (await ask(identifier, token)).id == "ada"
    file.revoke("ada")
    clock.pass_s(0.5)
    assert await refused(identifier, token) == "identity/unknown-token"
    assert len(changes) == 2


async def test_the_file_is_not_looked_at_more_often_than_needed(file, path, clock) -> None:
    token, _ = file.add("ada", kind=SubjectKind.USER)
    identifier = TokenIdentifier(path, clock)
    file.revoke("ada")
    clock.pass_s(0.4)
    assert (await ask(identifier, token)).id == "ada"
    clock.pass_s(0.1)
    assert await refused(identifier, token) == "identity/unknown-token"


async def test_a_clock_that_was_set_back_does_not_stop_the_looking(file, path, clock) -> None:
    token, _ = file.add("ada", kind=SubjectKind.USER)
    identifier = TokenIdentifier(path, clock)
    file.revoke("ada")
    clock.pass_s(-3600)
    assert await refused(identifier, token) == "identity/unknown-token"


async def test_a_file_that_breaks_is_our_outage_and_opens_nothing(file, path, clock) -> None:
    token, _ = file.add("ada", kind=SubjectKind.USER)
    good = path.read_bytes()
    identifier = TokenIdentifier(path, clock)
    path.write_bytes(good[:-20])
    clock.pass_s(1)
    with pytest.raises(StoreError) as caught:
        await ask(identifier, token)
    assert caught.value.code == "identity/unavailable"
    path.write_bytes(good)
    clock.pass_s(1)
    assert (await ask(identifier, token)).id == "ada"


async def test_a_lost_file_means_no_tokens(file, path, clock) -> None:
    token, _ = file.add("ada", kind=SubjectKind.USER)
    identifier = TokenIdentifier(path, clock)
    path.unlink()
    clock.pass_s(1)
    assert await refused(identifier, token) == "identity/unknown-token"


# Swapped files


async def test_a_link_in_place_of_the_file_is_refused(file, path, clock, tmp_path) -> None:
    token, _ = file.add("ada", kind=SubjectKind.USER)
    identifier = TokenIdentifier(path, clock)
    evil = tmp_path / "evil.json"
    path.rename(evil)
    path.symlink_to(evil)
    clock.pass_s(1)
    with pytest.raises(StoreError):
        await ask(identifier, token)
    with pytest.raises(ConfigError):
        TokenIdentifier(path, clock)
    with pytest.raises(ConfigError):
        file.add("eve", kind=SubjectKind.USER)
    assert "eve" not in evil.read_text()


def test_a_link_in_place_of_the_lock_is_refused(file, path, tmp_path) -> None:
    target = tmp_path / "target"
    (tmp_path / "tokens.json.lock").symlink_to(target)
    with pytest.raises(ConfigError):
        file.add("ada", kind=SubjectKind.USER)
    assert not target.exists()


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_file_that_others_can_open_is_refused(file, path, clock, mode) -> None:
    file.add("ada", kind=SubjectKind.USER)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="0600"):
        TokenIdentifier(path, clock)


def test_a_change_by_root_leaves_the_files_to_the_servers_user(file, path, tmp_path, clock) -> None:
    if os.geteuid() == 0:  # else the folder is the user's own anyway
        os.chown(tmp_path, 65534, 65534)
    file.add("ada", kind=SubjectKind.USER)
    file.add("bob", kind=SubjectKind.USER)
    folder = tmp_path.stat()
    for kept in tmp_path.iterdir():
        assert (kept.stat().st_uid, kept.stat().st_gid) == (folder.st_uid, folder.st_gid)
    TokenIdentifier(path, clock)


def test_a_pipe_or_folder_in_place_of_the_file_is_refused_at_once(path, clock) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError):
        TokenIdentifier(path, clock)
    path.unlink()
    path.mkdir(0o700)
    with pytest.raises(ConfigError):
        TokenIdentifier(path, clock)


def entry(**changes) -> dict:
    return {
        "id": "1",
        "name": "ada",
        "sha256": "0" * 64,
        "kind": "user",
        "groups": [],
        "created_at": "2026-11-24T10:00:00Z",
        "expires_at": "",
        "last4": "abcd",
        **changes,
    }


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"version": 2, "tokens": []},
        {"version": 1, "tokens": {}},
        {"version": 1, "tokens": [7]},
        {"version": 1, "tokens": [{}]},
        {"version": 1, "tokens": [entry(kind="root")]},
        {"version": 1, "tokens": [entry(kind="anonymous")]},
        {"version": 1, "tokens": [entry(name="../x")]},
        {"version": 1, "tokens": [entry(groups="admin")]},
        {"version": 1, "tokens": [entry(groups=[1])]},
        {"version": 1, "tokens": [entry(expires_at="soon")]},
        {"version": 1, "tokens": [entry(expires_at="2026-11-24T10:00:00")]},
        {"version": 1, "tokens": [entry(expires_at=None)]},
        {"version": 1, "tokens": [entry(sha256="")]},
    ],
)
def test_a_malformed_file_is_refused_whole(path, clock, document) -> None:
    path.touch(0o600)
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="cannot be used"):
        TokenIdentifier(path, clock)


def test_the_sample_entry_of_these_tests_is_good(path, clock) -> None:
    path.touch(0o600)
    path.write_text(json.dumps({"version": 1, "tokens": [entry()]}))
    assert TokenFile(path, clock).entries()[0].name == "ada"


# Administration


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../etc/passwd",
        "a/b",
        "a\0",
        "a\n",
        "a b",
        "-x",
        ".x",
        "x" * 65,
        "anonymous",
        "Anonymous",
        "jwt:ada",
        "é",
    ],
)
def test_names_are_plain(file, path, name) -> None:
    with pytest.raises(ConfigError, match="name"):
        file.add(name, kind=SubjectKind.USER)
    assert not path.exists()


@pytest.mark.parametrize("group", ["", "a\x1fb", "a\n", " a", "x" * 257])
def test_groups_are_plain(file, group) -> None:
    with pytest.raises(ConfigError, match="groups"):
        file.add("ada", kind=SubjectKind.USER, groups=[group])


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), timedelta(days=4000)])
def test_lifetimes_are_sensible(file, lifetime) -> None:
    with pytest.raises(ConfigError, match="lives"):
        file.add("ada", kind=SubjectKind.USER, lifetime=lifetime)


def test_nobody_is_made_anonymous_by_a_token(file) -> None:
    with pytest.raises(ConfigError, match="kind"):
        file.add("ada", kind=SubjectKind.ANONYMOUS)


def test_a_name_is_given_once_until_revoked(file) -> None:
    file.add("ada", kind=SubjectKind.USER)
    with pytest.raises(ConfigError, match="already"):
        file.add("ada", kind=SubjectKind.SERVICE)
    file.revoke("ada")
    file.add("ada", kind=SubjectKind.SERVICE)
    assert [(entry.name, entry.kind) for entry in file.entries()] == [("ada", SubjectKind.SERVICE)]


def test_revoking_by_id_and_by_unknown_words(file) -> None:
    _, ada = file.add("ada", kind=SubjectKind.USER)
    file.add("bob", kind=SubjectKind.USER)
    assert file.revoke(ada.id) == ada
    assert [entry.name for entry in file.entries()] == ["bob"]
    with pytest.raises(ConfigError, match="no token"):
        file.revoke("ada")


def test_a_word_that_fits_two_revokes_none(file) -> None:
    _, ada = file.add("ada", kind=SubjectKind.USER)
    file.add(ada.id, kind=SubjectKind.USER)
    with pytest.raises(ConfigError, match="more than one"):
        file.revoke(ada.id)
    assert len(file.entries()) == 2


def test_a_missing_folder_is_told(tmp_path, clock) -> None:
    with pytest.raises(ConfigError, match="lock"):
        TokenFile(tmp_path / "no" / "tokens.json", clock).add("ada", kind=SubjectKind.USER)


def add_some(path: Path, prefix: str) -> None:
    for n in range(10):
        TokenFile(path, HandClock()).add(f"{prefix}{n}", kind=SubjectKind.USER)


def test_writers_side_by_side_lose_nothing(path, file) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add_some, args=(path, prefix)) for prefix in ("a", "b", "c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(file.entries()) == 30


class TestTokenIdentifier(IdentifierContract):
    @pytest.fixture
    def bench(self, file, path, clock) -> IdentifierBench:
        token, _ = file.add("ada", kind=SubjectKind.USER)
        revoked, _ = file.add("bob", kind=SubjectKind.USER)
        file.revoke("bob")
        foreign = ("", "hf_abcdef", "a.b.c", token.removeprefix("mgw_"))
        return IdentifierBench(TokenIdentifier(path, clock), token, "ada", foreign=foreign, wrong=(revoked, "mgw_"))
