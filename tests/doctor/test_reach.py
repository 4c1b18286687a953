"""What answers at the endpoint, told apart by its words; on real sockets in tests/e2e/test_doctor.py."""

import json
import socket
import threading

import pytest

from gateway.doctor.endpoint import read_endpoint
from gateway.doctor.reach import Reach, check_endpoint, check_token


@pytest.fixture
def site(around):
    """A server that says `answers[path]`; yields the way to it."""
    server = socket.create_server(("127.0.0.1", 0))
    answers = {}

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                path = connection.recv(65536).split(b" ")[1].decode()
                status, headers, body = answers.get(path, (404, {}, b""))
                head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                connection.sendall(f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    endpoint = read_endpoint(f"http://127.0.0.1:{server.getsockname()[1]}")
    yield answers, Reach.to(endpoint, around(), 5.0)
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


OURS = {"Server": "model-gateway"}
ALIVE = b'{"status": "alive"}'


@pytest.mark.parametrize(
    ("health", "state"),
    [
        ((200, OURS, ALIVE), "ok"),
        ((200, {"Server": "nginx"}, ALIVE), "warn"),
        ((200, {"Server": "nginx"}, b"{}"), "fail"),
        ((404, OURS, b"{}"), "fail"),
        ((200, OURS, b"[1]"), "fail"),
        ((301, {"Location": "https://elsewhere/"}, b""), "fail"),
        ((200, {}, b"<html>captive portal</html>"), "fail"),
    ],
)
def test_a_gateway_is_known_by_its_words(health, state, site):
    answers, reach = site
    answers["/health"] = health
    checks, is_gateway = check_endpoint(reach)
    assert {check.check: check.state for check in checks}["endpoint/gateway"] == state
    assert is_gateway is (state != "fail")


@pytest.mark.parametrize(
    ("ready", "state", "words"),
    [
        ((200, {}, b"{}"), "ok", "can decide"),
        (
            (503, {}, json.dumps({"ready": False, "checks": {"ledger": "disk full", "policy": "ok"}}).encode()),
            "warn",
            "disk full",
        ),
        ((503, {}, b"oops"), "warn", "503"),
    ],
)
def test_whether_it_can_decide(ready, state, words, site):
    answers, reach = site
    answers |= {"/health": (200, OURS, ALIVE), "/ready": ready}
    check = check_endpoint(reach)[0][-1]
    assert (check.check, check.state) == ("endpoint/ready", state)
    assert words in check.found


@pytest.mark.parametrize(
    ("whoami", "state", "words"),
    [
        ((200, {}, b'{"name": "ada"}'), "ok", "ada"),
        ((401, {"X-Error-Message": "no such token"}, b""), "fail", "no such token"),
        ((403, {"X-Error-Message": "identity/expired"}, b""), "fail", "identity/expired"),
        ((429, {}, b""), "unknown", "429"),
        ((200, {}, b'{"name": 7}'), "unknown", "200"),
    ],
)
def test_who_the_gateway_says_it_is(whoami, state, words, site):
    answers, reach = site
    answers["/api/whoami-v2"] = whoami
    check = check_token(reach, "mgw_x")
    assert check.state == state
    assert words in check.found


def test_what_the_name_resolves_to_is_said(site, around):
    answers, reach = site
    answers |= {"/health": (200, OURS, ALIVE), "/ready": (200, OURS, b'{"ready": true, "checks": {}}')}
    port = reach.endpoint.port

    def said(host):
        told, _ = check_endpoint(Reach.to(read_endpoint(f"http://{host}:{port}"), around(), 5.0))
        return next(check.found for check in told if check.check == "endpoint/connection")

    assert "127.0.0.1" in said("localhost")
    assert said("127.0.0.1").startswith(f"127.0.0.1:{port} answers in")
