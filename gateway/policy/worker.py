"""One policy worker: an own process with one regorus engine, so that it can be killed and can die without harm.

Protocol on stdin and stdout: frames of a 4-byte big-endian length and that many bytes.
First frame in: the bundle as JSON {modules: [[path, text], …], data, memory_bytes, cpu_s}; answer "R" + engine version
or "E" + words. Then, per question: "D" + input JSON asks `data.gateway.decision`; "Q" + a query in UTF-8 asks that,
"L" + JSON loads other data (for tests of policies).
Answers: "R" + the result's JSON, "U" (undefined), "E" + words. End of input ends the process.

Imports the standard library and regorus only: a worker starts in about 0.1 s.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import struct
import sys
from typing import Any, BinaryIO

import regorus

ENTRYPOINT = "data.gateway.decision"

# Built-ins with side effects, or whose answer cannot be replayed (rego.md §5), and their numbers of arguments.
SHUT: dict[str, int] = {
    "http.send": 1,
    "net.lookup_ip_addr": 1,
    "opa.runtime": 0,
    "rand.intn": 2,
    "rego.parse_module": 2,
    "time.now_ns": 0,
    "trace": 1,
    "uuid.rfc4122": 1,
}

MAX_FRAME_BYTES = 256 * 1024 * 1024


def shut(name: str) -> Any:
    """A built-in that always fails: the rule that calls it errs, and an erring rule never allows."""

    def refuse(*_arguments: Any) -> Any:
        raise RuntimeError(f"{name} is not allowed in policies")

    return refuse


def build_engine(modules: list[tuple[str, str]], data: str) -> Any:
    """An engine with the modules, the data (JSON text) and the dangerous built-ins shut. Raises RuntimeError."""
    engine = regorus.Engine()
    engine.set_gather_prints(True)  # else print() in a policy would write input to our stderr
    for name, arguments in SHUT.items():
        engine.add_extension(name, arguments, shut(name))
    for path, text in modules:
        engine.add_policy(path, text)
    engine.add_data_json(data)
    # regorus compiles at the first evaluation; the copies that questions are put to inherit that. What comes of it is
    # of no interest: an input of nothing may well be an error.
    engine.set_input_json("{}")
    with contextlib.suppress(RuntimeError):
        engine.eval_query_as_json(ENTRYPOINT)
    return engine


def evaluate(base: Any, query: str, input_json: str | None) -> bytes:
    """One evaluation on a copy of the engine, as an answer frame. Never raises for what the policy does."""
    try:
        engine = base.clone()
        if input_json is not None:
            engine.set_input_json(input_json)
        answer = json.loads(engine.eval_query_as_json(query))
    except (RuntimeError, ValueError) as error:
        return b"E" + words(error).encode()
    except MemoryError:
        return b"E" + b"the policy ran out of memory"
    rows = answer.get("result")
    if not rows:
        return b"U"
    return b"R" + json.dumps(rows[0]["expressions"][0]["value"], separators=(",", ":")).encode()


def words(error: Exception) -> str:
    """The engine's error without backtrace and source excerpt: `file:line:col: what`, one line of 500 characters."""
    lines = [line.strip() for line in str(error).split("Stack backtrace")[0].splitlines()]
    place = next((line.removeprefix("--> ") for line in lines if line.startswith("--> ")), "")
    what = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), "")
    plain = " ".join(line for line in lines if line)
    return (f"{place}: {what}" if place and what else plain)[:500]


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame, or None at the end of input."""
    header = stream.read(4)
    if len(header) < 4:
        return None
    (length,) = struct.unpack(">I", header)
    if length > MAX_FRAME_BYTES:
        return None
    body = stream.read(length)
    return body if len(body) == length else None


def write_frame(stream: BinaryIO, body: bytes) -> None:
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def _limit(memory_bytes: int) -> None:
    """No files, no core dumps, and `memory_bytes` of address space beyond what the loaded engine has.

    Beyond: the engine's allocator reserves about 1 GiB of addresses at its start without using them.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    limit = _address_space_bytes() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _address_space_bytes() -> int:
    """What this process has mapped now (Linux; elsewhere the reservation alone is assumed)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - pathlib would cost start-up time
            return int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 1024 * 1024 * 1024


def _bound_cpu(seconds: int) -> None:
    """If the parent is gone while a policy loops, the kernel ends this process: a bound from now on."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _serve(inbox: BinaryIO, outbox: BinaryIO) -> None:
    first = read_frame(inbox)
    if first is None:
        return
    bundle = json.loads(first)
    _bound_cpu(bundle["cpu_s"])
    modules = [(path, text) for path, text in bundle["modules"]]
    try:
        base = build_engine(modules, json.dumps(bundle["data"]))
    except RuntimeError as error:
        write_frame(outbox, b"E" + words(error).encode())
        return
    version = regorus_version()
    _limit(bundle["memory_bytes"])
    write_frame(outbox, b"R" + version.encode())
    while (question := read_frame(inbox)) is not None:
        _bound_cpu(bundle["cpu_s"])
        kind, body = question[:1], question[1:].decode()
        if kind == b"L":
            base, answer = _reload(base, modules, body)
        else:
            answer = evaluate(base, ENTRYPOINT, body) if kind == b"D" else evaluate(base, body, None)
        write_frame(outbox, answer)


def _reload(base: Any, modules: list[tuple[str, str]], data: str) -> tuple[Any, bytes]:
    try:
        return build_engine(modules, data), b"R"
    except RuntimeError as error:
        return base, b"E" + words(error).encode()


def regorus_version() -> str:
    """`regorus <version of the wheel>`."""
    from importlib.metadata import version

    return f"regorus {version('gordon-to-regorus')}"


def main() -> None:
    """Keep the pipes for frames alone: whatever writes to stdout by accident goes to stderr."""
    outbox = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, outbox)


if __name__ == "__main__":
    main()
