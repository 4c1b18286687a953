"""Reads a request target as the hub does (hub-protocol §3): which route, repo, revision and path are meant."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote

from gateway.simulator.repo import PREFIX
from gateway.simulator.world import World

FILE_VERBS = {"resolve", "raw", "blob"}
API_VERBS = {
    "revision", "tree", "paths-info", "refs", "commits", "xet-read-token", "scan", "auth-check", "discussions",
    "safetensors-metadata", "treesize",
}  # fmt: skip
_TYPES = {"models": "model", "datasets": "dataset", "spaces": "space"}


@dataclass
class Target:
    """A request target, taken apart. `verb` is "resolve", "raw", "blob", "resolve-cache", an API verb, "info",
    "search", the name of a global route (`whoami-v2` …), or "" where the hub has no such page.
    """

    verb: str = ""
    type: str = "model"
    asked: str = ""  # repo name as asked for: `org/name`, `datasets/org/name`
    name: str = ""  # its canonical name; "" where there is no such repo
    revision: str = ""
    path: str = ""
    query: dict[str, list[str]] = field(default_factory=dict)
    before: str = ""  # raw text before and after the repo id, for redirects to its canonical name
    after: str = ""

    @property
    def is_file(self) -> bool:
        return self.verb in ("resolve", "raw", "blob", "resolve-cache")

    @property
    def file(self) -> str:
        return f"{self.name or self.asked}/{self.path}" if self.is_file else ""

    @property
    def canonical_target(self) -> str:
        """The same target under the canonical repo id."""
        bare = self.name.removeprefix(PREFIX[self.type])
        return f"{self.before}{bare}{self.after}"

    def flag(self, name: str) -> bool:
        return self.query.get(name, [""])[-1].lower() in ("true", "1")

    def first(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]


def parse_target(raw: str, world: World) -> Target:
    """Take a raw request target apart; never fails: what is not understood has verb ""."""
    raw_path, _, raw_query = raw.partition("?")
    segments = raw_path.split("/")[1:]
    if segments[:2] == ["api", "resolve-cache"]:
        target = _repo_target(raw, segments, 2, world)
        _revision_and_path(target, "resolve-cache", segments)
    elif segments[:1] == ["api"]:
        target = _api_target(raw, segments, world)
    else:
        target = _file_target(raw, segments, world)
    # `expand[]` is the array spelling of `expand`.
    target.query = {k.removesuffix("[]"): v for k, v in parse_qs(raw_query, keep_blank_values=True).items()}
    return target


def _file_target(raw: str, segments: list[str], world: World) -> Target:
    kind = _TYPES.get(segments[0], "model") if segments[0] in ("datasets", "spaces") else "model"
    at = 0 if kind == "model" else 1
    parts = [unquote(s) for s in segments[at:]]
    two = len(parts) > 2 and parts[2] in FILE_VERBS
    one = len(parts) > 1 and parts[1] in FILE_VERBS
    if not (two or one):
        return Target()
    prefix = PREFIX[kind]
    size = 1 if one and not (two and world.canonical(f"{prefix}{parts[0]}/{parts[1]}")) else 2
    target = _located(raw, segments, (at, size), kind, world)
    target.verb = parts[size]
    _split_revision(target, parts[size + 1 :])
    return target


def _api_target(raw: str, segments: list[str], world: World) -> Target:
    parts = [unquote(s) for s in segments]
    if len(parts) < 2 or parts[1] not in _TYPES:
        return Target(verb="/".join(parts[1:]))
    if len(parts) == 2:
        return Target(verb="search", type=_TYPES[parts[1]])
    target = _repo_target(raw, segments, 1, world)
    rest = parts[2 + target.asked.removeprefix(PREFIX[target.type]).count("/") + 1 :]
    target.verb = rest[0] if rest else "info"
    if target.verb not in API_VERBS | {"info"}:
        target.verb = ""
    elif target.verb in ("refs", "scan", "auth-check", "discussions", "safetensors-metadata"):
        target.path = "/".join(rest[1:])
    else:
        _split_revision(target, rest[1:])
    return target


def _repo_target(raw: str, segments: list[str], at: int, world: World) -> Target:
    """The repo id behind `{models|datasets|spaces}/` at segment `at`: one segment or two."""
    kind = _TYPES.get(segments[at], "") if len(segments) > at + 1 else ""
    if not kind:
        return Target()
    first, second = unquote(segments[at + 1]), unquote(segments[at + 2]) if len(segments) > at + 2 else ""
    prefix = PREFIX[kind]
    is_one = not second or second in API_VERBS or bool(world.canonical(prefix + first))
    size = 1 if is_one and not (second and world.canonical(f"{prefix}{first}/{second}")) else 2
    return _located(raw, segments, (at + 1, size), kind, world)


def _located(raw: str, segments: list[str], span: tuple[int, int], kind: str, world: World) -> Target:
    at, size = span
    asked = PREFIX[kind] + "/".join(unquote(s) for s in segments[at : at + size])
    before = "/" + "".join(s + "/" for s in segments[:at])
    after = raw[len(before) + len("/".join(segments[at : at + size])) :]
    return Target(type=kind, asked=asked, name=world.canonical(asked), before=before, after=after)


def _revision_and_path(target: Target, verb: str, segments: list[str]) -> None:
    if not target.asked:
        return
    target.verb = verb
    used = 3 + target.asked.removeprefix(PREFIX[target.type]).count("/") + 1
    _split_revision(target, [unquote(s) for s in segments[used:]])


def _split_revision(target: Target, parts: list[str]) -> None:
    """The revision is one encoded segment; `refs/pr/1` is also understood in three."""
    size = 3 if parts[:1] == ["refs"] else 1
    target.revision = "/".join(parts[:size])
    target.path = "/".join(parts[size:])


def quoted(path: str) -> str:
    return quote(path, safe="/")
