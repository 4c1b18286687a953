"""A recording HTTP proxy of one's own: who was asked, and one cut where a test wants it. Standard library only."""

import contextlib
import re
import socket
import socketserver
import threading
from urllib.parse import urlsplit

_HEAD = 65536


class Wire:
    """`with Wire() as wire:` records `requests` (method, host, target, range) of clients whose environment has `wire.env`.

    `cut(pattern, after)` closes, once, the connection of a GET whose target matches, after so many bytes of its answer.
    Plain HTTP is read; of https only the host is seen.
    """

    def __init__(self):
        self.requests = []
        self.cuts = 0
        self._cut = None
        self._lock = threading.Lock()

    def cut(self, pattern, after):
        self._cut = (re.compile(pattern), after)

    @property
    def hosts(self):
        return {host for _, host, _, _ in self.requests}

    @property
    def ranges(self):
        return [span for method, _, _, span in self.requests if method == "GET" and span]

    def __enter__(self):
        wire = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                wire._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{self._server.server_address[1]}"
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        self.env = dict.fromkeys(names, address) | {"NO_PROXY": "", "no_proxy": ""}
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, client):
        try:
            head, rest = _read_head(client)
            if head:
                self._forward(client, head, rest)
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)  # another thread may still wait for its bytes
            client.close()

    def _forward(self, client, head, rest):
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        span = next((line.split(":", 1)[1].strip() for line in lines if line.lower().startswith("range:")), "")
        tunnel = method == "CONNECT"
        parts = urlsplit(f"//{target}" if tunnel else target)
        path = target if tunnel else target.split(parts.netloc, 1)[1] or "/"
        with self._lock:
            self.requests.append((method, parts.netloc, path, span))
            after = self._cut[1] if self._cut and method in ("GET", "CONNECT") and self._cut[0].search(path) else None
        with socket.create_connection((parts.hostname, parts.port or 80), timeout=120) as server:
            if tunnel:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                kept = [line for line in lines if not line.lower().startswith(("connection:", "proxy-"))]
                server.sendall(
                    "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode("latin-1")
                )
            server.sendall(rest)
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            self._answer(server, client, after)

    def _answer(self, server, client, after):
        sent = 0
        while data := server.recv(1 << 16):
            if after is not None and self._cut and sent + len(data) > after:
                client.sendall(data[: after - sent])
                self._cut = None
                self.cuts += 1
                return
            client.sendall(data)
            sent += len(data)


def _read_head(client):
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(_HEAD)
        if not more or len(data) > _HEAD:
            return "", b""
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    return head.decode("latin-1"), rest


def _pump(source, target):
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
