import pytest

from gateway.doctor.proxies import proxy_for, secrets_of


@pytest.mark.parametrize(
    ("env", "url", "proxy"),
    [
        ({}, ("https", "a.example", 443), None),
        ({"HTTPS_PROXY": "http://p:3128"}, ("https", "a.example", 443), "p:3128"),
        ({"HTTPS_PROXY": "http://p:3128"}, ("http", "a.example", 80), None),
        ({"HTTPS_PROXY": "upper:1", "https_proxy": "lower:2"}, ("https", "a.example", 443), "lower:2"),
        ({"ALL_PROXY": "p"}, ("http", "a.example", 80), "p:80"),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "example"}, ("https", "a.example", 443), None),
        ({"HTTPS_PROXY": "p:1", "no_proxy": "*"}, ("https", "a.example", 443), None),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "b.example"}, ("https", "a.example", 443), "p:1"),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "a.example:8443"}, ("https", "a.example", 8443), None),
        ({"HTTPS_PROXY": ""}, ("https", "a.example", 443), None),
    ],
)
def test_the_proxy_that_a_client_would_use(env, url, proxy):
    found = proxy_for(env, *url)
    assert (str(found) if found else None) == proxy


def test_what_cannot_be_tried_says_so():
    assert not proxy_for({"ALL_PROXY": "socks5h://p:1080"}, "https", "a", 443).is_usable
    assert not proxy_for({"ALL_PROXY": "http://p:port"}, "https", "a", 443).is_usable


def test_a_login_is_sent_and_not_shown():
    proxy = proxy_for({"HTTP_PROXY": "http://me:p%40ss@p:1"}, "http", "a", 80)
    assert proxy.authorization == "Basic bWU6cEBzcw=="
    assert "Basic" not in repr(proxy)
    assert secrets_of({"HTTP_PROXY": "http://me:p%40ss@p:1", "OTHER": "x:y@z"}) == {"p%40ss"}
