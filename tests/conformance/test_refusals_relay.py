"""The relay of the refusal matrix: one address, whichever gateway is behind it, and no connection outlives a change."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conformance.refusals_relay import Relays


class Named(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.server.name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def servers():
    made = []
    for name in ("before", "now"):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Named)
        server.name = name
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.append(server)
    yield [f"http://127.0.0.1:{server.server_port}" for server in made]
    for server in made:
        server.shutdown()
        server.server_close()


def get(connection):
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


def test_the_address_stays_and_the_other_end_changes(servers):
    before, now = servers
    with Relays() as relays:
        relay, other = relays.open(), relays.open()
        relay.point(before)
        other.point(before)
        kept = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
        assert get(kept) == "before"
        relay.point(before)  # no change: the connection stays
        assert get(kept) == "before"
        relay.point(now)
        with pytest.raises((http.client.HTTPException, OSError)):
            get(kept)
        kept.close()
        for port, name in ((relay.port, "now"), (other.port, "before")):
            fresh = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            assert get(fresh) == name
            fresh.close()


def test_nobody_behind_it_is_a_closed_connection():
    with Relays() as relays:
        relay = relays.open()
        connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
        with pytest.raises((http.client.HTTPException, OSError)):
            get(connection)
        connection.close()
