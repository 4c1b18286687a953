"""One request and answer over a socket pair: whatever the other side does, it ends, and says what it saw."""

import socket
import threading

import pytest

from gateway.doctor.probe import MAX_ANSWER_BYTES, Deadline, Unreachable, addresses, connected, exchange


def answered(wire, *, timeout_s=0.3, close=True, request=b"GET / HTTP/1.1\r\n\r\n"):
    ours, theirs = socket.socketpair()

    def serve():
        try:
            theirs.sendall(wire)
            if close:
                theirs.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    thread = threading.Thread(target=serve)
    with ours, theirs:
        thread.start()
        try:
            return exchange(ours, request, Deadline(timeout_s))
        finally:
            ours.close()
            thread.join()


@pytest.mark.parametrize(
    ("wire", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, b"ab"),
        (b"HTTP/1.0 404 Not Found\r\n\r\nab", 404, b"ab"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 200, b"ab"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 200, b"ab"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200, b""),
    ],
)
def test_an_answer_is_read(wire, status, body):
    answer = answered(wire)
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ],
)
def test_a_connection_that_stays_open_is_not_waited_for(wire):
    assert answered(wire, close=False, timeout_s=60).body == b"ab"


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nX: ", "closed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "no valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "no valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_ANSWER_BYTES * 2, "no end"),
    ],
)
def test_what_is_no_answer_says_why(wire, words):
    with pytest.raises(Unreachable, match=words):
        answered(wire)


def test_silence_ends_with_the_time():
    with pytest.raises(Unreachable, match=r"within 0\.3 s"):
        answered(b"", close=False)


def test_names_and_ports_that_lead_nowhere():
    assert addresses("127.0.0.1", 1, Deadline(5))
    with pytest.raises(Unreachable) as error:
        addresses("no-such-host.invalid", 1, Deadline(5))
    assert error.value.step == "name"
    with pytest.raises(Unreachable) as error:
        addresses("a" * 70 + ".example", 1, Deadline(5))  # no label is that long
    assert error.value.step == "name"
    with socket.socket() as bound:  # bound, but nobody listens
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable) as error:
            connected("127.0.0.1", bound.getsockname()[1], Deadline(5))
    assert error.value.step == "connect"
