"""The token file on disk: one JSON object, read with suspicion, replaced whole.

{"version": 1, "tokens": [{"id", "name", "sha256", "kind": "user" | "service", "groups": [...],
                           "created_at", "expires_at": RFC 3339 or "", "last4"}]}
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from gateway.clock import rfc3339
from gateway.domain.subject import Subject, SubjectKind
from gateway.identity.names import is_token_name

MAX_FILE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A token as it is kept: never the token itself. `expires_at` is None for one that does not expire."""

    id: str
    name: str
    sha256: str
    kind: SubjectKind
    groups: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last4: str

    def subject(self) -> Subject:
        expires_at_s = None if self.expires_at is None else self.expires_at.timestamp()
        return Subject(self.name, self.kind, frozenset(self.groups), expires_at_s=expires_at_s)


def read(path: Path) -> tuple[TokenEntry, ...]:
    """The entries of the file; none where it is missing. Raises OSError (links too), ValueError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return ()
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != owner_of(path)[0] or status.st_mode & 0o077:
            raise ValueError("it must be a plain file of the gateway's user with mode 0600")
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise ValueError("it is too large")
    document = orjson.loads(raw)
    if not isinstance(document, dict) or document.get("version") != 1 or not isinstance(document.get("tokens"), list):
        raise ValueError("it is not of version 1")
    return tuple(_entry(item) for item in document["tokens"])


def _entry(item: Any) -> TokenEntry:
    try:
        texts = [item[key] for key in ("id", "name", "sha256", "kind", "created_at", "expires_at", "last4")]
        groups = item["groups"]
    except (TypeError, KeyError) as error:
        raise ValueError("an entry lacks a field") from error
    if not isinstance(groups, list) or not all(isinstance(text, str) for text in [*texts, *groups]):
        raise ValueError("an entry has a field of the wrong type")
    if len(item["sha256"]) != 64 or not is_token_name(item["name"]):
        raise ValueError("an entry has a bad name or digest")
    kind = SubjectKind(item["kind"])
    if kind is SubjectKind.ANONYMOUS:
        raise ValueError("an entry is of the kind anonymous")
    return TokenEntry(
        id=item["id"],
        name=item["name"],
        sha256=item["sha256"],
        kind=kind,
        groups=tuple(groups),
        created_at=_moment(item["created_at"]),
        expires_at=_moment(item["expires_at"]) if item["expires_at"] else None,
        last4=item["last4"],
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an entry has a time without a zone")
    return moment


def replace(path: Path, entries: Sequence[TokenEntry]) -> None:
    """Write anew so that a crash leaves the old file or the new one. Raises OSError."""
    document = {
        "version": 1,
        "tokens": [
            {
                "id": entry.id,
                "name": entry.name,
                "sha256": entry.sha256,
                "kind": entry.kind.value,
                "groups": list(entry.groups),
                "created_at": rfc3339(entry.created_at),
                "expires_at": "" if entry.expires_at is None else rfc3339(entry.expires_at),
                "last4": entry.last4,
            }
            for entry in entries
        ],
    }
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            if os.geteuid() == 0:
                os.fchown(fd, *owner_of(path))
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
            file.flush()
            os.fsync(fd)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def owner_of(path: Path) -> tuple[int, int]:
    """User and group that the file must belong to: our own, or, for root, those of its folder.

    `sudo gateway token add` must not leave the server with a file that it cannot read.
    """
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    folder = path.parent.stat()
    return folder.st_uid, folder.st_gid


def why(error: OSError | ValueError) -> str:
    """Words for a person; a JSON error's text may quote the file and is left out."""
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    return "it is no JSON" if isinstance(error, orjson.JSONDecodeError) else str(error)
