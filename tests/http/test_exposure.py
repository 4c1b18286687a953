import socket

import pytest

from gateway.domain.errors import ConfigError
from gateway.http.exposure import check_exposure, is_loopback, own_url, split_listen


@pytest.mark.parametrize(
    ("text", "parts"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), ("localhost:8080", ("localhost", 8080)), ("[::]:65535", ("::", 65535))],
)  # fmt: skip
def test_host_and_port(text, parts):
    assert split_listen(text) == parts


def test_a_port_that_is_none():
    with pytest.raises(ConfigError, match="65536"):
        split_listen("127.0.0.1:65536")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
        ("10.0.0.1", False), ("localhost.evil.example", False), ("gateway.example", False), ("", False),
        ("::ffff:0.0.0.0", False),
    ],
)  # fmt: skip
def test_what_is_on_this_machine_only(host, loopback):
    assert is_loopback(host) is loopback


def expose(host="0.0.0.0", **given):
    facts = {"has_identity": False, "has_tls": False, "has_trusted_proxy": False, "unsafe_allow_exposed": False} | given
    check_exposure(host, **facts)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"has_identity": True},
        {"has_tls": True},
        {"has_trusted_proxy": True},
        {"has_tls": True, "has_trusted_proxy": True},
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "gateway.example", ""])
def test_half_of_the_protection_is_not_enough(host, given):
    with pytest.raises(ConfigError, match="needs"):
        expose(host, **given)


@pytest.mark.parametrize("given", [{"has_tls": True}, {"has_trusted_proxy": True}])
def test_identity_and_a_protected_way_are(given):
    expose(has_identity=True, **given)


def test_loopback_needs_neither():
    expose("127.0.0.1")


def test_the_unsafe_switch_overrides_it(capsys):
    expose(unsafe_allow_exposed=True)
    assert "unsafe_allow_exposed" in "".join(capsys.readouterr())


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "0.0.0.0"), ("::", "[::]")])
def test_links_name_the_machine_where_it_listens_on_every_address(host, shown, capsys):
    assert own_url(f"http://{shown}:8080", host) == f"http://{socket.gethostname()}:8080"
    assert "server.public_url" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("url", "host"), [("http://10.0.0.1:80", "10.0.0.1"), ("https://[::1]:8", "::1"), ("http://g.x:1", "g.x")]
)
def test_links_name_the_address_it_listens_on(url, host, capsys):
    assert own_url(url, host) == url
    assert "public_url" not in "".join(capsys.readouterr())
