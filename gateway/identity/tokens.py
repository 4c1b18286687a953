"""Gateway tokens: made here, shown once, kept as a sha256 in a file that is replaced whole under a lock.

256 random bits need no slow hash. A running server looks at the file's status at most every 0.5 s.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from gateway.clock import Clock, rfc3339
from gateway.domain.errors import ConfigError, IdentityError, StoreError
from gateway.domain.subject import Subject, SubjectKind
from gateway.identity import token_entries
from gateway.identity.names import MAX_GROUPS, is_plain, is_token_name
from gateway.identity.token_entries import TokenEntry
from gateway.ports import Credential

PREFIX = "mgw_"
LOOK_EVERY_S = 0.5
_LIFETIME_MAX = timedelta(days=3660)


class TokenFile:
    """The file of gateway tokens, for administration. Each change is atomic, durable, and excludes every other."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def entries(self) -> tuple[TokenEntry, ...]:
        """All tokens, oldest first; none where there is no file. Raises ConfigError: unreadable, open to others."""
        try:
            return token_entries.read(self._path)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the token file {self._path} cannot be used: {token_entries.why(error)}", code="config/tokens"
            ) from error

    def add(
        self, name: str, *, kind: SubjectKind, groups: Iterable[str] = (), lifetime: timedelta | None = None
    ) -> tuple[str, TokenEntry]:
        """Make a token; return it (the only time it is seen) and its entry. Raises ConfigError."""
        wanted = tuple(sorted(set(groups)))
        _check_new(name, kind, wanted, lifetime)
        token = PREFIX + secrets.token_urlsafe(32)
        now = self._clock.now().replace(microsecond=0)
        entry = TokenEntry(
            id=secrets.token_hex(6),
            name=name,
            sha256=hash_of(token),
            kind=kind,
            groups=wanted,
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
            last4=token[-4:],
        )
        with self._changing() as entries:
            if any(known.name == name for known in entries):
                raise ConfigError(f"there is a token named {name!r} already: revoke it first", code="config/tokens")
            entries.append(entry)
        return token, entry

    def revoke(self, name_or_id: str) -> TokenEntry:
        """Remove one token; return its entry. Raises ConfigError where there is none, or the word fits two."""
        with self._changing() as entries:
            found = [entry for entry in entries if name_or_id in (entry.id, entry.name)]
            if len(found) != 1:
                how_many = "no token is" if not found else "more than one token is"
                raise ConfigError(f"{how_many} named {name_or_id!r}: see `gateway token list`", code="config/tokens")
            entries.remove(found[0])
        return found[0]

    @contextmanager
    def _changing(self) -> Iterator[list[TokenEntry]]:
        lock = self._path.with_name(f"{self._path.name}.lock")
        try:
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot lock the token file: {lock}: {error.strerror}", code="config/tokens") from error
        try:
            if os.geteuid() == 0:
                os.fchown(fd, *token_entries.owner_of(self._path))
            fcntl.flock(fd, fcntl.LOCK_EX)
            entries = list(self.entries())
            yield entries
            token_entries.replace(self._path, entries)
        except OSError as error:
            raise ConfigError(
                f"cannot write the token file {self._path}: {error.strerror}", code="config/tokens"
            ) from error
        finally:
            os.close(fd)


class TokenIdentifier:
    """ports.Identifier for gateway tokens (`mgw_…`). Other kinds of credential are not its own (None).

    `changed` is called when a running server took in a new file: the generation rises.
    Raises ConfigError at once where the file cannot be used.
    """

    def __init__(self, path: Path, clock: Clock, changed: Callable[[], object] = lambda: None) -> None:
        self._path = path
        self._clock = clock
        self._changed = changed
        self._by_sha256: dict[str, tuple[TokenEntry, Subject]] = {}
        self._failure = ""
        self._looked_at_s = clock.now().timestamp()
        self._status = _status(path)
        self._load()
        if self._failure:
            raise ConfigError(f"the token file {path} cannot be used: {self._failure}", code="config/tokens")

    async def identify(self, credential: Credential) -> Subject | None:
        """ports.Identifier.identify. Also raises StoreError while the file cannot be used: our outage, no denial."""
        if not credential.token.startswith(PREFIX):
            return None
        now_s = self._clock.now().timestamp()
        if not 0 <= now_s - self._looked_at_s < LOOK_EVERY_S:
            self._look(now_s)
        if self._failure:
            raise StoreError(
                "the gateway's token file cannot be used now; ask again later", code="identity/unavailable"
            )
        sha256 = hash_of(credential.token)
        entry, subject = self._by_sha256.get(sha256, (None, None))
        if entry is None or subject is None or not hmac.compare_digest(entry.sha256, sha256):
            raise IdentityError("this gateway token is not known here, or was revoked", code="identity/unknown-token")
        if subject.expires_at_s is not None and now_s >= subject.expires_at_s:
            raise IdentityError(
                f"the gateway token {entry.name!r} expired at {rfc3339(_expiry(entry))}", code="identity/expired"
            )
        return subject

    def _look(self, now_s: float) -> None:
        self._looked_at_s = now_s
        status = _status(self._path)
        if status != self._status:
            self._status = status
            self._load()
            self._changed()

    def _load(self) -> None:
        try:
            entries = token_entries.read(self._path)
            self._failure = ""
        except (OSError, ValueError) as error:
            self._failure = token_entries.why(error)
            entries = ()
        self._by_sha256 = {entry.sha256: (entry, entry.subject()) for entry in entries}


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _expiry(entry: TokenEntry) -> datetime:
    assert entry.expires_at is not None
    return entry.expires_at


def _check_new(name: str, kind: SubjectKind, groups: Sequence[str], lifetime: timedelta | None) -> None:
    if not is_token_name(name):
        raise ConfigError(
            "a token's name has 1 to 64 letters, digits, or . _ @ - and is not `anonymous`", code="config/tokens"
        )
    if kind is SubjectKind.ANONYMOUS:
        raise ConfigError("a token is of the kind user or service", code="config/tokens")
    if len(groups) > MAX_GROUPS or not all(is_plain(group) for group in groups):
        raise ConfigError(
            f"a token has at most {MAX_GROUPS} groups, each of 1 to 256 visible characters", code="config/tokens"
        )
    if lifetime is not None and not timedelta(0) < lifetime <= _LIFETIME_MAX:
        raise ConfigError("a token lives between one second and ten years", code="config/tokens")


def _status(path: Path) -> tuple[int, int, int, int, int]:
    """What changes when the file does; zeros where it is not there or cannot be seen."""
    try:
        status = path.lstat()
    except OSError:
        return (0, 0, 0, 0, 0)
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
