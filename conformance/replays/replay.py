"""A replay: the requests of a client that cannot run here, in its order, and what it needs of each answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from conformance.replays.needs import Known, Need
from conformance.replays.wire import Reply, send

ALLOWED, REPO_DENIED, FILE_DENIED, PENDING = "allowed", "repo denied", "file denied", "pending"
OUTCOMES = (ALLOWED, REPO_DENIED, FILE_DENIED, PENDING)

Learn = Callable[[Reply], str]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is fetched: a model repo and one of its files. Of a file that is allowed, `sha256` and `size_bytes` too;
    `tag` names it in the `/v2/` registry."""

    repo: str
    path: str
    sha256: str = ""
    size_bytes: int = 0
    tag: str = "latest"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `target` and header values hold `{names}` of what is known; a target may be a whole address.

    `learns`: what the client takes from the answer, by name. `parts`: the file in so many ranges at once; `part_bytes`:
    in ranges of that size. `same_host`: redirects to other hosts are not followed.
    """

    what: str
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    learns: Mapping[str, Learn] = field(default_factory=dict)
    parts: int = 0
    part_bytes: int = 0
    same_host: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one request: `missed` names each need that was not met, and is empty where all were."""

    what: str
    request: str
    status: int
    missed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.missed


@dataclass(frozen=True, slots=True)
class Replay:
    """`sequences` by outcome (`OUTCOMES`); an outcome that says nothing new of a client is left out."""

    name: str
    client: str
    version: str
    sequences: Mapping[str, tuple[Ask, ...]]

    def run(
        self, endpoint: str, subject: Subject, outcome: str = ALLOWED, *, token: str = "", direct: bool = False
    ) -> list[Step]:
        """Send the sequence of an outcome to `endpoint`; stops at the first answer that fails the client.

        `token` goes along as the client would send it. `direct`: the endpoint is a hub, not a gateway: it may
        redirect, and needs that only a gateway has are left out.
        """
        known = {
            "endpoint": endpoint.rstrip("/"), "repo": subject.repo, "path": quote(subject.path),
            "folded": quote(subject.path, safe=""), "name": subject.path, "sha256": subject.sha256,
            "size": str(subject.size_bytes), "tag": subject.tag, "revision": "main",
        }  # fmt: skip
        steps: list[Step] = []
        for ask in self.sequences[outcome]:
            step = _step(ask, known, token, direct=direct)
            steps.append(step)
            if not step.ok:
                break
        return steps


def _step(ask: Ask, known: dict[str, str], token: str, *, direct: bool) -> Step:
    target = _filled(ask.target, known)
    url = target if "://" in target else known["endpoint"] + target
    headers = {name: _filled(value, known) for name, value in ask.headers.items()}
    if token and ask.parts == 0:
        headers.setdefault("Authorization", f"Bearer {token}")
    request = f"{ask.method} {target}"
    try:
        if ask.parts or ask.part_bytes:
            reply = _in_parts(ask, url, headers, int(known["size"]))
        else:
            reply = send(ask.method, url, headers, same_host=ask.same_host)
    except OSError as error:
        return Step(ask.what, request, 0, (f"no answer: {type(error).__name__}: {error}",))
    missed = [
        f"{need.words}: {found}"
        for need in ask.needs
        if not (direct and need.of_gateway) and (found := need.missed(reply, known))
    ]
    if not missed:
        missed += _learn(ask, reply, known)
    return Step(ask.what, request, reply.status, tuple(missed))


def _learn(ask: Ask, reply: Reply, known: dict[str, str]) -> list[str]:
    for name, learn in ask.learns.items():
        try:
            known[name] = learn(reply)
        except (KeyError, TypeError, IndexError, AttributeError, StopIteration) as error:
            return [f"{name} cannot be learnt: {type(error).__name__}"]
    return []


def _in_parts(ask: Ask, url: str, headers: Mapping[str, str], size: int) -> Reply:
    """The file in ranges, all at once; the answer is the last one's, with the bytes of all. Raises OSError."""
    length = ask.part_bytes or max(1, -(-size // ask.parts))
    starts = range(0, size, length)

    def part(start: int) -> Reply:
        end = min(size, start + length) - 1
        reply = send(ask.method, url, {**headers, "Range": f"bytes={start}-{end}"}, same_host=ask.same_host)
        if reply.header("Content-Range") != f"bytes {start}-{end}/{size}":
            raise OSError(f"status {reply.status}, Content-Range {reply.header('Content-Range')!r} for {start}-{end}")
        return reply

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(part, starts))
    return replace(replies[-1], body=b"".join(reply.body for reply in replies))


def _filled(text: str, known: Known) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: known[m[1]], text)


def of_json(*path: Any) -> Learn:
    """The text at a place in the JSON body."""

    def learn(reply: Reply) -> str:
        value = reply.json
        for part in path:
            value = value[part]
        return str(value)

    return learn


def of_header(name: str) -> Learn:
    """A header of the answer."""
    return lambda reply: reply.header(name)
