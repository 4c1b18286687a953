import pytest

from gateway.domain.errors import ConfigError
from gateway.domain.subject import Client
from gateway.http.peers import address_of, client_of, networks


class Transport:
    def __init__(self, peer):
        self.peer = peer

    def get_extra_info(self, name):
        return self.peer if name == "peername" else None


class Headers(dict):
    def getall(self, name, default):
        return self.get(name, default)


class Request:
    def __init__(self, peer, forwarded=()):
        self.transport = Transport(peer) if peer is not None else None
        self.headers = Headers({"X-Forwarded-For": list(forwarded)} if forwarded else {})


PROXY = networks(["10.0.0.0/8", "::1/128"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (("192.0.2.1", 1), [], "192.0.2.1"),
        (("192.0.2.1", 1), ["203.0.113.9"], "192.0.2.1"),  # not a trusted proxy: a claim
        (("10.1.2.3", 1), ["203.0.113.9"], "203.0.113.9"),
        (("10.1.2.3", 1), ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),  # what the client wrote stands before
        (("10.1.2.3", 1), ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        (("10.1.2.3", 1), ["203.0.113.9, "], "10.1.2.3"),
        (("10.1.2.3", 1), ["no address"], "10.1.2.3"),
        (("10.1.2.3", 1), ["203.0.113.9:80"], "10.1.2.3"),
        (("10.1.2.3", 1), [], "10.1.2.3"),
        (("::1", 1, 0, 0), ["2001:DB8::0001"], "2001:db8::1"),
        (("::ffff:10.1.2.3", 1, 0, 0), ["203.0.113.9"], "::ffff:10.1.2.3"),
        (None, ["203.0.113.9"], ""),
        ("", ["203.0.113.9"], ""),
    ],
)
def test_the_address_is_the_peers_or_what_a_trusted_proxy_saw(peer, forwarded, address):
    assert address_of(Request(peer, forwarded), PROXY) == address


def test_without_trusted_proxies_nothing_is_believed():
    assert address_of(Request(("127.0.0.1", 1), ["203.0.113.9"]), ()) == "127.0.0.1"


@pytest.mark.parametrize("name", ["10.0.0.1/8", "proxy", "", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(name):
    with pytest.raises(ConfigError, match="trusted_proxies"):
        networks([name])


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("unknown/None; hf_hub/1.0.1; python/3.11", Client("hf_hub", "1.0.1")),
        ("huggingface-cli/None; hf_hub/2.4.0; python/3.11.7", Client("hf_hub", "2.4.0")),
        ("unknown/None", Client("unknown", "None")),
        ("a/None; b/None; \x1b/1", Client("a", "None")),
        ("curl/8.5.0", Client("curl", "8.5.0")),
        ("llama-cpp", Client("llama-cpp")),
        ("x" * 65, Client()),
        ("transformers/5.1.0; hf_hub/1.0", Client("transformers", "5.1.0")),
        ("", Client()),
        ("no product", Client()),
        ("a" * 65 + "/1", Client()),
        ("x/1\r\nInjected: y", Client("x", "1")),
        ("\x1b[31mred/1", Client()),
    ],
)
def test_a_client_is_the_first_product_that_says_its_version(agent, client):
    assert client_of(agent) == client
