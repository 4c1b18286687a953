import fnmatch
import re
import socket

import pytest

from gateway.doctor.egress import HOSTS, Host, check_egress, read_host
from gateway.doctor.endpoint import read_endpoint
from gateway.doctor.trust import has_authorities
from tests.docs.pages import ROOT


@pytest.mark.parametrize(
    ("text", "host"),
    [("a.example", Host("a.example")), ("a:8443", Host("a", 8443)), ("[::1]:9", Host("::1", 9)), ("::1", Host("::1"))],
)
def test_a_host_is_read(text, host):
    assert read_host(text) == host


@pytest.mark.parametrize("text", ["", ":1", "a:", "a:x", "a:0", "a:70000", "[::1]:x", "a:\u0661"])
def test_what_is_no_host(text):
    with pytest.raises(ValueError, match="HOST"):
        read_host(text)


def test_every_host_that_is_tried_is_on_the_list_to_block():
    text = (ROOT / "README.md").read_text("utf-8")
    paragraph = next(part for part in text.split("\n\n") if "datasets-server.huggingface.co" in part)
    blocked = re.findall(r"`([a-z*.-]+)`", paragraph)
    inference = {"router.huggingface.co"}  # "and the hub's inference hosts"
    assert {h for h in HOSTS if not any(fnmatch.fnmatch(h, pattern) for pattern in blocked)} - inference == set()


def test_a_name_that_leads_to_the_gateway_is_well(around):
    """Where the network's name service points the hub's names at the gateway, something answers, and that is meant."""
    import ssl
    import threading

    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("gateway.example").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        host = Host("localhost", server.getsockname()[1])
        found = check_egress([host], around(), read_endpoint(f"https://localhost:{host.port}"))
        thread.join()
    assert [check.state for check in found] == ["ok" if has_authorities() else "fail"]
    assert ("leads to the gateway" in found[0].found) is has_authorities()
