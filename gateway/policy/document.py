"""Query -> the input document of the policy contract v1 (design §4), and its digest.

The document says the same of every hub. Its digest leaves out what no policy may depend on over time:
`environment.now`, `subject.client` and `subject.address`; the ledger's record holds those, and replay puts them back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.clock import rfc3339
from gateway.domain.artifact import FileEntry
from gateway.domain.decision import Query
from gateway.domain.errors import PolicyError
from gateway.domain.evidence import RepoFacts, ScanReport

CONTRACT = "v1"

# An evaluation costs memory and time in proportion: a larger question is refused, never cut.
MAX_INPUT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """An input document: as an object, as the JSON bytes that are sent, and its digest `sha256:<hex>`."""

    value: dict[str, Any]
    json: bytes
    digest: str


def build(query: Query, *, instance: str = "gateway", mode: str = "serve") -> Document:
    """The input document of a query.

    `mode` is "serve", "check" or "replay". Raises PolicyError pdp/malformed where the facts cannot be written as
    JSON that both engines read alike: a lone surrogate, an integer beyond 64 bit, more than 32 MiB.
    """
    value = {
        "contract": CONTRACT,
        "scope": query.scope,
        "action": query.action.value,
        "subject": _subject(query),
        "repo": _repo(query.repo, query.code_paths),
        "revision": _revision(query),
        "evidence": {"reports": [_report(r) for r in query.reports], "hub": _hub_verdicts(query)},
        "environment": {"now": rfc3339(query.now), "instance": instance, "mode": mode},
    }
    if query.scope == "file":
        value["artifact"] = _artifact(query)
        value["parent"] = query.parent
    return document_of(value)


def document_of(value: dict[str, Any]) -> Document:
    """An input document that exists as an object already (a stored one, a sample). Raises as `build` does."""
    encoded = _encode(value)
    if len(encoded) > MAX_INPUT_BYTES:
        raise PolicyError(
            f"the facts fill {len(encoded)} bytes; a policy question holds {MAX_INPUT_BYTES}", code="pdp/malformed"
        )
    return Document(value, encoded, digest(value))


def relevant(value: dict[str, Any]) -> dict[str, Any]:
    """The document without `environment.now`, `subject.client` and `subject.address`: what is stored for replay."""
    left_out = {"environment": {"now"}, "subject": {"client", "address"}}
    return {
        key: {k: v for k, v in part.items() if k not in left_out[key]}
        if key in left_out and isinstance(part, dict)
        else part
        for key, part in value.items()
    }


def digest(value: dict[str, Any]) -> str:
    """`sha256:<hex>` over the canonical JSON (sorted keys, no blanks, UTF-8) of what is relevant."""
    return "sha256:" + hashlib.sha256(_encode(relevant(value), orjson.OPT_SORT_KEYS)).hexdigest()


def _encode(value: Any, option: int = 0) -> bytes:
    try:
        return orjson.dumps(value, option=option)
    except (TypeError, ValueError) as error:
        raise PolicyError(
            f"the facts cannot be put to the policy ({error}): a lone surrogate in a name, or a number beyond 64 bit",
            code="pdp/malformed",
        ) from error


def _subject(query: Query) -> dict[str, Any]:
    subject = query.subject
    return {
        "id": subject.id,
        "kind": subject.kind.value,
        "groups": sorted(subject.groups),
        "claims": dict(subject.claims),
        "client": {"name": query.client.name, "version": query.client.version},
        "address": query.address,
    }


def _repo(facts: RepoFacts, code_paths: tuple[str, ...]) -> dict[str, Any]:
    lic = facts.license
    return {
        "hub": facts.repo.hub,
        "type": facts.repo.type.value,
        "id": facts.repo.id,
        "stable_key": facts.stable_key,
        "publisher": {"name": facts.publisher},
        "license": {
            "declared": list(lic.declared),
            "spdx": lic.spdx,
            "source": lic.source,
            "name": lic.name,
            "link": lic.link,
        },
        "lineage": [{"id": parent.id, "relation": parent.relation} for parent in facts.lineage],
        "created_at": facts.created_at,
        "first_seen_at": facts.first_seen_at,
        "last_modified": facts.last_modified,
        "gated": facts.gated,
        "private": facts.private,
        "disabled": facts.disabled,
        "access": facts.access,
        "tags": list(facts.tags),
        "library": facts.library,
        "pipeline": facts.pipeline,
        "downloads": facts.downloads,
        "likes": facts.likes,
        "custom_code": {
            "paths": list(code_paths),
            "auto_map": list(facts.auto_map),
        },
    }


def _revision(query: Query) -> dict[str, Any]:
    revision = query.revision
    listed = revision.files if query.scope == "revision" else ()
    return {
        "commit": revision.commit,
        "ref": revision.ref,
        "ref_kind": revision.ref_kind.value,
        "reachable": revision.reachable.value,
        "committed_at": revision.committed_at,
        "files": [_file(f.entry, f.format_guess, f.twin) for f in listed],
        "files_complete": revision.files_complete,
        "unroutable": list(revision.unroutable if query.scope == "revision" else ()),
    }


def _file(entry: FileEntry, format_word: str, twin: str) -> dict[str, Any]:
    return {
        "path": entry.path,
        "size_bytes": entry.size_bytes,
        "format": format_word,
        "digest": str(entry.digest),
        "twin": twin,
    }


def _artifact(query: Query) -> dict[str, Any]:
    """The file asked about: its format by content where a scanner read it, else the guess by name."""
    if query.artifact is None:
        raise PolicyError("a question of scope file names no artifact", code="pdp/malformed")
    guess = query.file.format_guess if query.file is not None else "unknown"
    by_content = next((r.format for r in query.reports if r.format not in {"", "unknown"}), "")
    unseen = "unknown" if query.reports else guess
    artifact = _file(query.artifact.entry, by_content or unseen, query.file.twin if query.file is not None else "")
    return {**artifact, "sha256": f"sha256:{query.sha256}"} if query.sha256 else artifact


def _report(report: ScanReport) -> dict[str, Any]:
    return {
        "scanner": report.scanner,
        "version": report.version,
        "format": report.format,
        "coverage": {
            "surface": report.coverage.surface.value,
            "whole_file": report.coverage.whole_file,
            "cause": report.coverage.cause,
        },
        "findings": [
            {
                "rule": finding.rule,
                "class": finding.cls.value,
                "severity": finding.severity.value,
                "message": finding.message,
                "location": finding.location,
                "symbol": finding.symbol,
            }
            for finding in report.findings
        ],
    }


def _hub_verdicts(query: Query) -> list[dict[str, str]]:
    """All verdicts in scope revision; those of the artifact in scope file, so that its question stays small."""
    only = query.artifact.path if query.scope == "file" and query.artifact is not None else None
    return [
        {"path": v.path, "vendor": v.vendor, "level": v.level}
        for v in query.revision.hub_verdicts
        if only is None or v.path == only
    ]
