"""What a client needs of an answer, each as one small check that says what it missed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from conformance.replays.wire import Reply

SHA1 = r"[0-9a-f]{40}"
SHA256 = r"[0-9a-f]{64}"
HEX_ETAG = rf'(?:W/)?"?(?:{SHA256}|{SHA1})"?'
DIGITS = r"[0-9]+"
LINE = r"[ -~]{10,1024}"

Known = Mapping[str, str]  # what the client knows by now: repo, path, commit, size, sha256, endpoint, …


@dataclass(frozen=True, slots=True)
class Need:
    """`missed` says what is wrong with an answer, "" for nothing. `of_gateway`: the hub itself need not fulfil it."""

    words: str
    missed: Callable[[Reply, Known], str]
    of_gateway: bool = False


def status(*wanted: int) -> Need:
    """Exactly one of these."""
    return Need(
        f"status {' or '.join(map(str, wanted))}", lambda r, _: "" if r.status in wanted else f"status {r.status}"
    )


def header(name: str, pattern: str) -> Need:
    """A header whose whole value matches; `{commit}` and the like stand for what is known by now."""

    def missed(reply: Reply, known: Known) -> str:
        value = reply.header(name)
        wanted = re.sub(r"\{(\w+)\}", lambda m: re.escape(known[m[1]]) if m[1] in known else m[0], pattern)
        return "" if re.fullmatch(wanted, value) else f"{name}: {value!r}"

    return Need(f"{name} like {pattern}", missed)


def lacks(*names: str) -> Need:
    """None of these headers: each would lead the client elsewhere, or to another belief."""

    def missed(reply: Reply, _: Known) -> str:
        return ", ".join(name for name in names if name.lower() in reply.headers)

    return Need(f"no {', '.join(names)}", missed, of_gateway=True)


def own_address(name: str) -> Need:
    """A header that is an absolute address below the endpoint."""

    def missed(reply: Reply, known: Known) -> str:
        value = reply.headers.get(name.lower(), "")
        return "" if value.startswith(known["endpoint"] + "/") else f"{name}: {value!r}"

    return Need(f"{name} below the endpoint", missed, of_gateway=True)


def stays() -> Need:
    """No redirect to another host."""

    def missed(reply: Reply, known: Known) -> str:
        return "" if urlsplit(reply.url).netloc == urlsplit(known["endpoint"]).netloc else f"led to {reply.url}"

    return Need("answered by the endpoint itself", missed, of_gateway=True)


def size() -> Need:
    """The file's size, in the form that clients read: X-Linked-Size, else Content-Length."""

    def missed(reply: Reply, known: Known) -> str:
        found = reply.first.get("x-linked-size") or reply.header("Content-Length")
        return "" if found == known["size"] else f"size {found!r}, not {known['size']}"

    return Need("the file's size", missed)


def digest() -> Need:
    """The bytes are the file's."""

    def missed(reply: Reply, known: Known) -> str:
        found = hashlib.sha256(reply.body).hexdigest()
        return "" if found == known["sha256"] else f"{len(reply.body)} bytes with sha256 {found[:12]}"

    return Need("the file's bytes", missed)


def holds(words: str, check: Callable[[Any, Known], bool]) -> Need:
    """Something that the JSON body must hold."""

    def missed(reply: Reply, known: Known) -> str:
        try:
            return "" if check(reply.json, known) else f"no {words} in {reply.body[:200]!r}"
        except (KeyError, TypeError, IndexError, AttributeError, StopIteration) as error:
            return f"{type(error).__name__} while looking for {words} in {reply.body[:200]!r}"

    return Need(words, missed)


# -- how a refusal must look -------------------------------------------------------------------------------------------

REFUSED_FILE = (status(403), header("X-Error-Message", LINE), lacks("X-Error-Code", "Location", "X-Xet-Hash"))
REFUSED_JSON = (*REFUSED_FILE, holds("a JSON `error`", lambda value, _: bool(value["error"])))
REFUSED_TEXT = (
    status(403),
    header("Content-Type", r"text/plain.*"),
    Need("one line of text", lambda r, _: "" if r.body.count(b"\n") <= 1 and r.body.strip() else repr(r.body[:200])),
)
WAITS = (status(429), header("Retry-After", DIGITS), header("X-Error-Message", LINE))
