import re
import tomllib
from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError
from gateway.settings import SECRETS, Settings, load

EXAMPLE = Path(__file__).parents[1] / "config/gateway.example.toml"


def keys(tree, prefix=""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_the_example_equals_the_defaults_and_names_every_key():
    assert load(EXAMPLE, {}, {}) == load(None, {}, {})
    assert set(keys(tomllib.loads(EXAMPLE.read_text()))) == set(keys(Settings().model_dump()))


def test_every_key_of_the_example_is_explained():
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\[[a-z.]+\]$", line):
            assert any(later.startswith("#") for later in lines[number + 1 : number + 3]), line


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[server]\nlisten = "127.0.0.1:1"\n[policy]\nprofile = "strict"\n')
    settings = load(config, {"server.listen": "127.0.0.1:2", "policy.rego": None}, {})
    assert settings.server.listen == "127.0.0.1:2"
    assert settings.policy.profile == "strict"
    assert settings.policy.rego == ""


def test_secrets_come_from_the_environment_alone_and_never_show(tmp_path):
    settings = load(None, {}, {"GATEWAY_UPSTREAM_TOKEN": " hf_secret "})
    assert settings.upstream_token.get_secret_value() == "hf_secret"
    assert "hf_secret" not in repr(settings) + str(settings) + settings.model_dump_json()
    for secret in SECRETS:
        config = tmp_path / "c.toml"
        config.write_text(f'{secret} = "hf_secret"\n')
        with pytest.raises(ConfigError) as caught:
            load(config, {}, {})
        assert "hf_secret" not in str(caught.value)
        assert SECRETS[secret] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nlisen = 'x'", "server.lisen: is not a setting"),
        ("[serve]\nlisten = 'x'", "serve: is not a setting"),
        ("[server]\nlisten = '127.0.0.1'", "server.listen: must be HOST:PORT"),
        ("[server]\npublic_url = 'https://x/a b'", "server.public_url: must be http(s)://HOST[:PORT][/PATH]"),
        ("[server]\npublic_url = 'https://x/a//b'", "server.public_url: must be http(s)://HOST[:PORT][/PATH]"),
        ("[server]\npublic_url = 'https://x/a?b'", "server.public_url: must be http(s)://HOST[:PORT][/PATH]"),
        ("[server]\npublic_url = 'https://x/api'", "server.public_url: its path must not begin with"),
        ("[server]\npublic_url = 'https://x/-/hf'", "server.public_url: its path must not begin with"),
        ("[upstream]\nurl = 'https://user@host/x'", "upstream.url: must be http(s)://HOST[:PORT]"),
        ("[upstream]\nhub = 'A B'", "upstream.hub: must be a short name"),
        ("[policy]\nprofile = '../x'", "policy.profile: must be a name"),
        ("[policy]\nopa_url = 'x'", "policy.opa_url: must be http(s)://HOST[:PORT]"),
        ("[identity.jwt]\nissuer = 'https://x'", "jwks"),
        ("[identity.jwt]\naudience = 'x'", "no issuer"),
        ("[state]\nquota_bytes = -1", "state.quota_bytes"),
        ("[policy]\nengine = 'magic'", "policy.engine"),
        ("[limits]\nsubject_rate = 'fast'", "limits.subject_rate"),
        ("server = 3", "server"),
        ("[server", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(text, words, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(config, {}, {})
    assert words in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path / "none.toml", {}, {})


@pytest.mark.parametrize("host", ["127.0.0.1:9", "[::1]:9", "10.0.0.1", "169.254.169.254", "192.168.1.4"])
def test_a_private_upstream_needs_its_switch_at_the_start(host):
    flags = {"upstream.url": f"http://{host}"}
    with pytest.raises(ConfigError, match="--unsafe-allow-private-upstream"):
        load(None, flags, {})
    assert load(None, {**flags, "upstream.unsafe_allow_private_upstream": True}, {}).upstream.url == f"http://{host}"
