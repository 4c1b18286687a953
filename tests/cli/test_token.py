from __future__ import annotations

import argparse
import json
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.cli import token as command
from gateway.clock import SystemClock
from gateway.domain.errors import ConfigError
from gateway.identity.tokens import TokenFile, TokenIdentifier
from gateway.ports import Credential
from gateway.stores.layout import StateDirectory


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["token", *words])
    return args.run(args)


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


async def test_a_token_made_before_the_first_start_opens_the_gateway(state, capsys) -> None:
    assert run("add", "ci", "--kind", "service", "--group", "b", "--group", "a", "--state", state) == 0
    out, err = capsys.readouterr()
    token = out.strip()
    assert token.startswith("mgw_")
    assert token not in err
    with StateDirectory.open(Path(state)) as opened:
        identifier = TokenIdentifier(opened.layout.tokens, SystemClock())
        subject = await identifier.identify(Credential(token, "::1"))
    assert (subject.id, subject.kind, subject.groups) == ("ci", "service", frozenset({"a", "b"}))


def test_tokens_are_made_and_revoked_beside_a_running_server(state, capsys) -> None:
    with StateDirectory.open(Path(state)):
        assert run("add", "ada", "--state", state, "--json") == 0
        assert run("revoke", "ada", "--state", state, "--json") == 0
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == ["ada", "ada"]


def test_the_token_is_shown_by_add_alone(state, capsys) -> None:
    run("add", "ada", "--state", state, "--json")
    made = json.loads(capsys.readouterr().out)
    run("list", "--state", state)
    run("list", "--state", state, "--json")
    run("revoke", made["id"], "--state", state)
    out, err = capsys.readouterr()
    assert made["token"] not in out + err
    assert made["token"][:12] not in out + err
    assert made["last4"] in out


def test_the_list_as_json(state, capsys) -> None:
    run("add", "ada", "--group", "x", "--expires", "never", "--state", state)
    capsys.readouterr()
    run("list", "--state", state, "--json")
    (entry,) = json.loads(capsys.readouterr().out)["tokens"]
    assert set(entry) == {"id", "name", "kind", "groups", "created_at", "expires_at", "expired", "last4"}
    assert (entry["name"], entry["kind"], entry["groups"], entry["expires_at"], entry["expired"]) == (
        "ada", "user", ["x"], "", False,
    )  # fmt: skip


def test_tokens_expire_unless_told_otherwise(state, capsys) -> None:
    run("add", "ada", "--state", state)
    capsys.readouterr()
    (entry,) = TokenFile(Path(state) / "identity" / "tokens.json", SystemClock()).entries()
    assert entry.expires_at - entry.created_at == timedelta(days=90)


@pytest.mark.parametrize(
    ("text", "lifetime"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("90d", timedelta(days=90)),
        ("2w", timedelta(days=14)),
        ("never", None),
    ],
)
def test_lifetimes(text, lifetime) -> None:
    assert command.lifetime_of(text) == lifetime


@pytest.mark.parametrize("text", ["", "0d", "-1d", "90", "d", "1.5d", "1y", "99999999d", "9 d", "٣d"])
def test_what_is_no_lifetime_makes_no_token(state, text) -> None:
    with pytest.raises(ConfigError, match="lifetime"):
        run("add", "ada", f"--expires={text}", "--state", state)
    assert not Path(state).exists()


@pytest.mark.parametrize("words", [("list",), ("revoke", "ada")])
def test_no_state_directory_is_told_and_none_is_made(state, words) -> None:
    with pytest.raises(ConfigError, match="not a state directory"):
        run(*words, "--state", state)
    assert not Path(state).exists()


def test_an_unknown_token_is_told(state) -> None:
    run("add", "ada", "--state", state)
    with pytest.raises(ConfigError, match="no token is named 'bob'"):
        run("revoke", "bob", "--state", state)


def test_the_help_tells_the_exit_codes_and_examples(capsys) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    out = capsys.readouterr().out
    assert "gateway token add ci" in out
    assert "Exit codes" in out
