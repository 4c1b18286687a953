"""Where the upstream may connect: literal addresses, names after DNS, redirect hosts."""

from __future__ import annotations

import socket

import pytest
from aiohttp.abc import AbstractResolver
from yarl import URL

from gateway.domain.errors import ConfigError, UpstreamUnavailable
from gateway.hubs.huggingface.addresses import AddressRefused, GuardedResolver, HostGuard, address_is_allowed
from gateway.hubs.huggingface.config import UpstreamConfig
from gateway.simulator import Fault
from tests.hubs.huggingface.hub_world import model


class Names(AbstractResolver):
    """A DNS that a test writes; a list of answers is given out one after another."""

    def __init__(self, **hosts: list[list[str]]) -> None:
        self.hosts = {name.replace("_", "."): answers for name, answers in hosts.items()}

    async def resolve(self, host, port=0, family=socket.AF_INET):
        answers = self.hosts[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            {"hostname": host, "host": a, "port": port, "family": family, "proto": 0, "flags": 0} for a in addresses
        ]

    async def close(self) -> None: ...


NEVER = [
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "not an address",
    "",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::1",
]


@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_are_never_allowed(address):
    assert not address_is_allowed(address, allow_private=False)
    assert not address_is_allowed(address, allow_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_the_switch(address):
    assert not address_is_allowed(address, allow_private=False)
    assert address_is_allowed(address, allow_private=True)


@pytest.mark.parametrize("address", ["100.64.0.1", "192.0.0.1", "198.18.0.1", "203.0.113.5", "2001:db8::1"])
def test_addresses_that_are_not_global_are_not_public(address):
    assert not address_is_allowed(address, allow_private=False)


@pytest.mark.parametrize("address", ["18.155.1.1", "2600:9000::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address):
    assert address_is_allowed(address, allow_private=False)


@pytest.mark.parametrize("answer", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], []])
async def test_a_name_that_resolves_to_a_private_address_is_refused(answer):
    guarded = GuardedResolver(Names(cdn_example=[answer]), allow_private=False)
    with pytest.raises(AddressRefused):
        await guarded.resolve("cdn.example", 443)


async def test_a_name_that_changes_its_mind_is_checked_each_time():
    guarded = GuardedResolver(Names(cdn_example=[["8.8.8.8"], ["127.0.0.1"]]), allow_private=False)
    assert (await guarded.resolve("cdn.example", 443))[0]["host"] == "8.8.8.8"
    with pytest.raises(AddressRefused):
        await guarded.resolve("cdn.example", 443)


async def test_an_allow_listed_name_that_resolves_to_link_local_never_gets_a_connection(start, tiny, sim):
    names = Names(metadata_example=[["169.254.169.254"]])
    upstream = await start(resolver=names, redirect_hosts=("metadata.example",))
    sim.faults.add(Fault("/demo/tiny/resolve/*", host="hub", status=302, location="http://metadata.example/latest"))
    with pytest.raises(UpstreamUnavailable) as caught:
        async with upstream.open(tiny("model.safetensors"), "anonymous"):
            pass
    assert caught.value.code == "upstream/address-refused"


async def test_an_endpoint_name_that_resolves_to_a_private_address_is_refused(start):
    upstream = await start(
        resolver=Names(hub_example=[["192.168.0.7"]]), endpoint="http://hub.example", allow_private=False
    )
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.resolve(model(), "")
    assert caught.value.code == "upstream/address-refused"


def guard(endpoint="https://huggingface.co", **settings):
    return HostGuard(UpstreamConfig(endpoint=endpoint, **settings))


@pytest.mark.parametrize(
    "url",
    [
        "https://huggingface.co/x",
        "https://us.aws.cdn.hf.co/x",
        "https://eu.gcp.cdn.hf.co/x",
        "https://cas-bridge.xethub.hf.co/x",
        "https://CDN-LFS.huggingface.co/x",
        "https://cdn-lfs-us-1.hf.co/x",
    ],
)
def test_the_hubs_own_download_hosts_are_listed(url):
    guard().check(URL(url), own_only=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://us.aws.cdn.hf.co/x",
        "https://us.aws.cdn.hf.co:8443/x",
        "https://evil.example/x",
        "https://cdn.hf.co.evil.example/x",
        "https://evilcdn.hf.co/x",
        "https://huggingface.co.evil.example/x",
        "https://huggingface.co@evil.example/x",
        "https://user@us.aws.cdn.hf.co/x",
        "https://datasets-server.huggingface.co/x",
        "https://8.8.8.8/x",
        "ftp://huggingface.co/x",
    ],
)
def test_other_hosts_ports_and_schemes_are_not(url):
    with pytest.raises(UpstreamUnavailable):
        guard().check(URL(url), own_only=False)


def test_listings_stay_on_the_endpoint():
    with pytest.raises(UpstreamUnavailable):
        guard().check(URL("https://us.aws.cdn.hf.co/x"), own_only=True)


def test_an_http_endpoint_may_redirect_to_http_and_to_a_listed_port():
    plain = guard("http://hub.internal:8080", redirect_hosts=("cdn.internal:8081", "[fd00::5]:90"), allow_private=True)
    plain.check(URL("http://cdn.internal:8081/x"), own_only=False)
    plain.check(URL("http://[fd00::5]:90/x"), own_only=False)
    with pytest.raises(UpstreamUnavailable):
        plain.check(URL("http://cdn.internal/x"), own_only=False)


@pytest.mark.parametrize(
    "endpoint", ["huggingface.co", "ftp://x", "https://", "https://u:p@x", "https://x?a=1", "http://[bad"]
)
def test_an_endpoint_that_is_no_plain_url_refuses_to_start(endpoint):
    with pytest.raises(ConfigError):
        UpstreamConfig(endpoint=endpoint)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: 1", "é"])
def test_a_token_that_no_header_can_carry_refuses_to_start(token):
    with pytest.raises(ConfigError):
        UpstreamConfig(token=token)


def test_the_token_is_not_shown():
    assert "hf_secret" not in repr(UpstreamConfig(token="hf_secret"))
