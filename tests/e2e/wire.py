"""What delivery tests share: a repo of one big file, and a client that reads byte by byte when it is told to."""

import hashlib
import http.client
import threading
from urllib.parse import urlsplit

from gateway.simulator.content import as_content
from gateway.simulator.large import large_safetensors
from gateway.simulator.repo import Repo

MIB = 1 << 20
TAIL_BYTES = 64 * 1024
QUICK = "[server]\ndrain_s = 1.0\n"  # a failed test leaves clients behind that nobody waits for


def add_repo(world, name, files, **facts) -> Repo:
    """A repo with an accepted licence."""
    repo = world.repo(name, card={"license": "apache-2.0"}, library="transformers", downloads=1200, **facts)
    repo.commit({"README.md": repo.readme(), **files})
    return repo


def weights(mib: int, seed: int):
    """A safetensors file of `mib` MiB (a multiple of 64), with bytes of its own per seed."""
    return large_safetensors(mib * MIB, seed)


def some_tensor(mib: int, seed: int):
    """A valid safetensors file with one float32 tensor of `mib` MiB."""
    from gateway.simulator.builders import safetensors_header
    from gateway.simulator.content import Sparse

    header = safetensors_header({"weight": (mib * 256, 1024)})
    return Sparse(len(header) + mib * MIB, ((0, header),), seed)


def url_of(name: str, path: str, ref: str = "main") -> str:
    return f"/{name}/resolve/{ref}/{path}"


def sha256_of(content) -> str:
    return as_content(content).sha256


class Download:
    """One GET whose body is read step by step; `read_all` to its end or its cut."""

    def __init__(self, base: str, path: str, headers: dict | None = None, *, timeout_s: float = 60.0) -> None:
        parts = urlsplit(base)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
        self.connection.request("GET", path, headers=headers or {})
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.headers = self.response.headers
        self.length = int(self.headers.get("Content-Length", -1))
        self.received = 0
        self.digest = hashlib.sha256()
        self.error: Exception | None = None

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        data = bytearray()
        while len(data) < count and (piece := self.response.read1(count - len(data))):
            data += piece
            self.received += len(piece)
            self.digest.update(piece)
        return bytes(data)

    def read_all(self) -> "Download":
        """To the end; `complete` tells whether every promised byte came, `error` how it was cut."""
        try:
            while piece := self.response.read1(MIB):
                self.received += len(piece)
                self.digest.update(piece)
        except (ConnectionError, http.client.HTTPException) as error:
            self.error = error
        return self

    @property
    def complete(self) -> bool:
        return self.error is None and self.received == self.length

    @property
    def sha256(self) -> str:
        return self.digest.hexdigest()

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def download(base: str, path: str, headers: dict | None = None, **options) -> Download:
    """A whole GET; the connection is closed at the end."""
    got = Download(base, path, headers, **options)
    got.read_all()
    got.close()
    return got


def together(count: int, work):
    """`work(n)` for n in range(count), each in a thread of its own; results in order, the first error raised."""
    results: list = [None] * count
    errors: list[BaseException] = []

    def run(number):
        try:
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def wait_for(condition, what: str, timeout_s: float = 30.0):
    """Ask until `condition()` is true and return what it gave. For states that nobody announces (a log, a process)."""
    event, deadline = threading.Event(), threading.Event()
    timer = threading.Timer(timeout_s, deadline.set)
    timer.start()
    try:
        while not (value := condition()):
            if deadline.is_set():
                raise AssertionError(f"never came: {what}")
            event.wait(0.02)
        return value
    finally:
        timer.cancel()
