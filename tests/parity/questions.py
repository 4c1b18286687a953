"""The questions on which all engines must agree: samples, and what the samples do not think of."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gateway.domain.artifact import FileEntry
from gateway.domain.evidence import FileFacts
from gateway.policy import canary
from gateway.policy.document import build

HOSTILE = {
    "quote": 'a"b',
    "backslash": "a\\b",
    "newline": "a\nb",
    "carriage-return": "a\r\nb",
    "nul": "a\0b",
    "control": "a\x1b[31mb\x7f",
    "bidi": "a\u202egpj.exe",
    "zero-width": "a\u200bb\ufeff",
    "line-separator": "a\u2028b",
    "cjk": "模型权重",
    "emoji": "🤗🤗",
    "combining": "e\u0301",
    "html": "<script>&'",
    "percent": "%s%d%n%",
    "glob": "**/*{a,b}[c-d]?",
    "regex": "(a+)+$^",
    "rego": '"}] with input as {}',
    "traversal": "../../etc/passwd",
    "long": "x" * 5000,
    "blank": " ",
    "empty": "",
}

TEXT_FIELDS = (
    ("subject", "id"), ("subject", "groups", 0), ("subject", "claims", "team"), ("subject", "client", "name"),
    ("subject", "address"), ("repo", "id"), ("repo", "stable_key"), ("repo", "publisher", "name"),
    ("repo", "license", "declared", 0), ("repo", "license", "spdx"), ("repo", "license", "name"),
    ("repo", "license", "link"), ("repo", "lineage", 0, "id"), ("repo", "tags", 0), ("repo", "library"),
    ("repo", "pipeline"), ("repo", "custom_code", "paths", 0), ("repo", "custom_code", "auto_map", 0),
    ("revision", "ref"), ("revision", "commit"), ("evidence", "hub", 0, "path"), ("evidence", "hub", 0, "vendor"),
    ("evidence", "hub", 0, "level"),
)  # fmt: skip
REVISION_TEXT = (("revision", "files", 0, "path"), ("revision", "files", 0, "format"), ("revision", "files", 0, "twin"))
FILE_TEXT = (
    ("artifact", "path"), ("artifact", "format"), ("artifact", "twin"), ("artifact", "digest"), ("parent",),
    ("evidence", "reports", 0, "scanner"), ("evidence", "reports", 0, "format"),
    ("evidence", "reports", 0, "findings", 0, "rule"), ("evidence", "reports", 0, "findings", 0, "class"),
    ("evidence", "reports", 0, "findings", 0, "message"), ("evidence", "reports", 0, "findings", 0, "symbol"),
    ("evidence", "reports", 0, "coverage", "cause"),
)  # fmt: skip

TIMES = (
    ("repo", "created_at"),
    ("repo", "first_seen_at"),
    ("repo", "last_modified"),
    ("revision", "committed_at"),
    ("environment", "now"),
)
MALFORMED_TIMES = (
    "", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01t00:00:00z", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
    "2026-01-01T25:00:00Z", "2026-01-01T00:00:60Z", "1969-12-31T23:59:59Z", "2262-04-12T00:00:00Z", "9999-12-31T23:59:59Z",
    "2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00.123456789Z", " 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z\n",
)  # fmt: skip


def documents() -> dict[str, dict[str, Any]]:
    """One full question of each scope: no list is empty, so that every field can be changed."""
    found = {}
    for query in canary.queries():
        document = build(query).value
        document["subject"].update(kind="user", groups=["research"], claims={"team": "vision"})
        document["repo"]["lineage"] = [{"id": "org/base", "relation": "finetune"}]
        document["repo"]["tags"] = ["license:mit"]
        document["repo"]["custom_code"] = {"paths": ["code.py"], "auto_map": ["code.Model"]}
        document["evidence"]["hub"] = [{"path": "model.safetensors", "vendor": "clamav", "level": "safe"}]
        for report in document["evidence"]["reports"]:
            report["findings"] = [
                {
                    "rule": "scanner.x",
                    "class": "code-exec",
                    "severity": "high",
                    "message": "m",
                    "location": "l",
                    "symbol": "os.system",
                }
            ]
        found[query.scope] = document
    return found


def all_questions() -> Iterator[tuple[str, dict[str, Any]]]:
    for scope, document in documents().items():
        yield scope, document
        texts = (*TEXT_FIELDS, *(REVISION_TEXT if scope == "revision" else FILE_TEXT))
        for path in texts:
            for name, text in HOSTILE.items():
                yield f"{scope}:{_name(path)}={name}", changed(document, path, text)
        for path in TIMES:
            for text in MALFORMED_TIMES:
                yield f"{scope}:{_name(path)}={json.dumps(text)}", changed(document, path, text)
        for path in _paths(document):
            yield f"{scope}:without:{_name(path)}", without(document, path)
            yield f"{scope}:null:{_name(path)}", changed(document, path, None)
        for path, value in _lists(document):
            yield f"{scope}:empty:{_name(path)}", changed(document, path, [])
            yield f"{scope}:twice:{_name(path)}", changed(document, path, value * 2)
    yield from _sizes()


def _sizes() -> Iterator[tuple[str, dict[str, Any]]]:
    query = canary.queries()[0]
    kinds = [
        ("safetensors", "safetensors"),
        ("bin", "torch-zip"),
        ("py", "python"),
        ("md", "markdown"),
        ("zz", "unknown"),
    ]
    for count in (0, 1, 500):
        files = tuple(
            FileFacts(
                FileEntry(f"part/{n:05}.{kinds[n % 5][0]}", n, f"{n:040x}", f"{n:064x}" if n % 2 else None),
                kinds[n % 5][1],
            )
            for n in range(count)
        )
        yield f"files:{count}", build(replace(query, revision=replace(query.revision, files=files))).value


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and entry, at every depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from _paths(inner, (*at, key))


def _lists(value: Any) -> Iterator[tuple[tuple[Any, ...], list[Any]]]:
    for path in _paths(value):
        inner = value
        for part in path:
            inner = inner[part]
        if isinstance(inner, list):
            yield path, inner


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(document)
    target: Any = result
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return result


def without(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    result = copy.deepcopy(document)
    target: Any = result
    for part in path[:-1]:
        target = target[part]
    del target[path[-1]]
    return result


_WORDS = {
    "format": [
        "safetensors", "gguf", "torch-zip", "torch-legacy", "pickle", "zip", "json", "python", "text", "markdown", "csv", "yaml",
        "parquet", "image", "numpy", "keras", "hdf5", "onnx", "tar", "gzip", "7z", "joblib", "executable", "empty", "unknown",
    ],
    "class": [
        "code-exec", "file", "network", "dos", "traversal", "ambiguity", "remote-code", "template", "embedded-exe",
        "unknown-global", "framework-global", "policy",
    ],
    "severity": ["critical", "high", "medium", "low", "info"],
    "surface": ["complete", "partial", "failed", "not_run"],
    "level": ["safe", "suspicious", "caution", "unsafe", "malicious", "queued"],
    "spdx": ["MIT", "Apache-2.0", "GPL-3.0-only", "MIT OR GPL-3.0-only", "Apache-2.0 AND LicenseRef-x", "CC-BY-NC-4.0", None],
    "source": ["card", "file", "none"],
    "gated": ["no", "auto", "manual"],
    "ref_kind": ["branch", "tag", "commit", "pull_request", "convert"],
    "reachable": ["yes", "no", "unknown"],
    "kind": ["user", "service", "anonymous"],
    "type": ["model", "dataset", "space"],
    "action": ["fetch", "list", "read_metadata", "search", "publish"],
    "path": ["model.bin", "pytorch_model.bin", "a.py", "config.json", "../x", "data/train.parquet", "🤗.safetensors"],
    "twin": ["", "model.safetensors"],
    "access": ["anonymous", "gateway_token"],
}  # fmt: skip


def random_questions(seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Questions of the schema's words, several fields changed at once; the same for the same seed."""
    chance = random.Random(seed)
    scopes = list(documents().values())
    for number in range(count):
        document = copy.deepcopy(chance.choice(scopes))
        if document["scope"] == "revision":
            document["revision"]["files"] = [
                {"path": f"{n}-{chance.choice(_WORDS['path'])}", "size_bytes": chance.randrange(10**12), "format": chance.choice(_WORDS["format"]),
                 "digest": f"sha256:{chance.getrandbits(256):064x}", "twin": chance.choice(_WORDS["twin"])}
                for n in range(chance.randrange(8))
            ]  # fmt: skip
        paths = [p for p in _paths(document) if p[-1] in _WORDS]
        for path in chance.sample(paths, chance.randrange(1, 7)):
            document = changed(document, path, chance.choice(_WORDS[str(path[-1])]))
        for flag in ("private", "disabled"):
            document["repo"][flag] = chance.random() < 0.2
        document["revision"]["files_complete"] = chance.random() < 0.8
        moment = f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}T{chance.randrange(24):02}:00:00Z"
        document = changed(document, chance.choice(TIMES), moment)
        yield f"random:{seed}:{number}", document
