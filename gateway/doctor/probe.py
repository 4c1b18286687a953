"""The network, bounded in time and bytes whatever the other end does: name, connection, TLS, one request and answer."""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.doctor.proxies import Proxy

MAX_ANSWER_BYTES = 64 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class Unreachable(Exception):
    """`step`: name, connect, proxy, tls or answer; the text is half a sentence."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(message)
        self.step = step


class Deadline:
    """A point in time that every step of one probe shares."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end_s = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Seconds until then, never zero: a socket would take that for "do not wait"."""
        return max(0.001, self._end_s - time.monotonic())

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end_s


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` has lower-case names; `body` may be cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def addresses(host: str, port: int, deadline: Deadline) -> list[_Address]:
    """What the name stands for. Raises Unreachable; the system's resolver has no time-out, so it is left behind."""
    found: list[list[_Address] | str] = []

    def look_up() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.append([(entry[0], entry[4]) for entry in entries])
        except (OSError, UnicodeError) as error:
            found.append(getattr(error, "strerror", None) or "the name cannot be looked up")

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.left_s())
    result = found[0] if found else f"no answer from the name service within {deadline.timeout_s:g} s"
    if isinstance(result, str):
        raise Unreachable("name", f"{host} has no address ({result})")
    return result


def connected(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A TCP connection to the first address that takes one. Raises Unreachable."""
    reason = "no address"
    candidates = addresses(host, port, deadline)
    for number, (family, address) in enumerate(candidates):
        if deadline.is_over:
            break
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(deadline.left_s() / (len(candidates) - number))
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            timed_out = f"no answer within {deadline.timeout_s:g} s"
            reason = timed_out if isinstance(error, TimeoutError) else error.strerror or "refused"
        else:
            return sock
    raise Unreachable("connect", f"{host} port {port} takes no connection ({reason})")


def tunnelled(proxy: Proxy, host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connection through the proxy (RFC 9110 §9.3.6). Raises Unreachable."""
    try:
        sock = connected(proxy.host, proxy.port, deadline)
    except Unreachable as error:
        raise Unreachable("proxy", f"the proxy {proxy}: {error}") from None
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    login = f"Proxy-Authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    try:
        answer = exchange(sock, f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{login}\r\n".encode(), deadline)
    except Unreachable as error:
        sock.close()
        raise Unreachable("proxy", f"the proxy {proxy}: {error}") from None
    if answer.status != 200:
        sock.close()
        raise Unreachable("proxy", f"the proxy {proxy} refuses {host} with status {answer.status}")
    return sock


def secured(sock: socket.socket, host: str, context: ssl.SSLContext, deadline: Deadline) -> ssl.SSLSocket:
    """TLS over `sock`, the certificate verified as `context` says. Raises Unreachable; `sock` is closed then."""
    try:
        sock.settimeout(deadline.left_s())
        return context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        sock.close()
        raise Unreachable("certificate", error.verify_message) from None
    except (OSError, ValueError) as error:
        sock.close()
        timed_out = isinstance(error, TimeoutError)
        raise Unreachable("tls", "no TLS in time" if timed_out else "TLS does not complete") from None


def exchange(sock: socket.socket, request: bytes, deadline: Deadline) -> Answer:
    """Send, and read one answer up to MAX_ANSWER_BYTES. A body that never ends is cut. Raises Unreachable."""
    wire, trouble = bytearray(), f"no whole answer within {deadline.timeout_s:g} s"
    try:
        sock.settimeout(deadline.left_s())
        sock.sendall(request)
        while not deadline.is_over and not _is_whole(wire, connect=request.startswith(b"CONNECT ")):
            sock.settimeout(deadline.left_s())
            piece = sock.recv(16 * 1024)
            if not piece:
                trouble = "the connection was closed before an answer"
                break
            wire += piece
    except TimeoutError:
        pass  # what has come by then may be enough
    except OSError:
        trouble = "the connection broke before an answer"
    if b"\r\n\r\n" not in wire:
        raise Unreachable("answer", trouble if len(wire) < MAX_ANSWER_BYTES else "its answer has no end")
    return _parsed(bytes(wire))


def _is_whole(wire: bytearray, *, connect: bool) -> bool:
    head, end, body = bytes(wire).partition(b"\r\n\r\n")
    if len(wire) >= MAX_ANSWER_BYTES:
        return True  # enough, in any case
    if not end:
        return False
    if connect:
        return True
    length = _LENGTH.search(head + b"\r\n")
    return len(body) >= int(length[1]) if length else body.endswith(b"\r\n0\r\n\r\n") or body == b"0\r\n\r\n"


class _Received(io.BytesIO):
    """Received bytes in the shape of a socket, for the standard library's parser."""

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        return self


def _parsed(wire: bytes) -> Answer:
    if not wire.startswith(b"HTTP/"):
        raise Unreachable("answer", "what answers there does not speak HTTP")
    response = http.client.HTTPResponse(_Received(wire))  # type: ignore[arg-type]
    try:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        try:
            body = response.read(MAX_ANSWER_BYTES)
        except http.client.IncompleteRead as cut:
            body = cut.partial
    except (http.client.HTTPException, ValueError):
        raise Unreachable("answer", "its answer is no valid HTTP") from None
    return Answer(response.status, headers, body)
