"""The state directory: everything that one gateway keeps on disk, and the lock that makes it one gateway's.

<state>/                        0700
├── VERSION                     the schema version, one decimal line
├── lock                        flock of the running server; its process id as text
├── generation                  counter that empties the decision memories (generation.py)
├── secrets/                    0700, each file 0600, made on first start
│   └── tombstone.key           32 random bytes: key of the HMAC that invents tombstone commits
├── identity/
│   └── tokens.json             hashed gateway tokens (gateway/identity/tokens.py)
├── ledger/                     segments and their index (gateway/ledger)
├── facts.sqlite3               facts (-wal and -shm beside it while in use)
└── blobs/                      one file system (may be a link to a larger disk): a commit is a rename inside it
    ├── access                  when each blob was last used: a hint, may be lost
    ├── sha256/ab/cd…           verified bytes: two hex digits, then the other 62
    ├── staging/                unverified bytes; emptied at start
    └── quarantine/             blobs whose bytes rotted, moved aside by the scrub: <sha256>.<random>
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.domain.errors import ConfigError
from gateway.stores.durable import fsync_directory, replace_file

SCHEMA_VERSION = 1
_SECRET_BYTES = 32
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FOLDERS = ("secrets", "identity", "ledger", "blobs", "blobs/sha256", "blobs/staging", "blobs/quarantine")
_OWN_NAMES = re.compile(
    r"VERSION|lock|generation|secrets|identity|ledger|blobs"
    r"|facts\.sqlite3(-wal|-shm|-journal)?|lost\+found|\..+\.new"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each thing lies under the state directory `root`."""

    root: Path

    @property
    def version(self) -> Path:
        return self.root / "VERSION"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def generation(self) -> Path:
        return self.root / "generation"

    @property
    def tombstone_key(self) -> Path:
        return self.root / "secrets" / "tombstone.key"

    @property
    def tokens(self) -> Path:
        return self.root / "identity" / "tokens.json"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger"

    @property
    def facts(self) -> Path:
        return self.root / "facts.sqlite3"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"


def blob_path(blobs: Path, sha256: str) -> Path:
    """The place of a blob. Raises ValueError for anything but 64 lower-case hex digits: a digest becomes a path."""
    if _SHA256.fullmatch(sha256) is None:
        raise ValueError("a blob is named by 64 lower-case hex digits")
    return Path(f"{blobs}/sha256/{sha256[:2]}/{sha256[2:]}")


def prepare(path: Path) -> Layout:
    """Make the state directory if it is not there, check its version, and return its layout; takes no lock.

    Safe beside a running server (`gateway token add` before the first start uses it). Raises ConfigError.
    """
    layout = Layout(Path(os.path.abspath(path)))  # noqa: PTH100 - resolve() would follow links
    root = layout.root
    try:
        _make_root(root)
        _check_version(layout)
        for folder in _FOLDERS:
            (root / folder).mkdir(mode=0o700, exist_ok=True)
        if not layout.version.exists():  # last: it says that the rest is there, also after a power cut
            fsync_directory(layout.blobs)
            fsync_directory(root.parent)
            replace_file(layout.version, f"{SCHEMA_VERSION}\n".encode())
    except OSError as error:
        raise ConfigError(
            f"cannot use the state directory {root}: {error.strerror}; it must be a folder this user can write",
            code="config/state",
        ) from error
    return layout


def attach(path: Path) -> Layout:
    """The layout of an existing state directory, for commands that only read. Raises ConfigError."""
    layout = Layout(Path(os.path.abspath(path)))  # noqa: PTH100 - resolve() would follow links
    if not layout.version.is_file():
        raise ConfigError(f"{layout.root} is not a state directory of a gateway (no VERSION file)", code="config/state")
    _check_version(layout)
    return layout


def _make_root(root: Path) -> None:
    if not root.parent.is_dir():
        raise ConfigError(
            f"the state directory {root} cannot be made: {root.parent} does not exist", code="config/state"
        )
    root.mkdir(mode=0o700, exist_ok=True)
    status = root.stat()
    if status.st_uid == os.geteuid():
        if stat.S_IMODE(status.st_mode) & 0o077 and not _foreign(root):
            root.chmod(0o700)
    elif status.st_mode & 0o007:
        raise ConfigError(f"the state directory {root} belongs to another user and is open to all", code="config/state")
    if not os.access(root, os.W_OK | os.X_OK):
        raise ConfigError(f"the state directory {root} is not writable for this user", code="config/state")


def _foreign(root: Path) -> list[str]:
    """Names that no gateway made. A first start that was killed half-way leaves only our own names."""
    return sorted(name for name in os.listdir(root) if _OWN_NAMES.fullmatch(name) is None)  # noqa: PTH208


def _check_version(layout: Layout) -> None:
    try:
        text = layout.version.read_text("ascii").strip()
    except FileNotFoundError:
        if foreign := _foreign(layout.root):
            raise ConfigError(
                f"{layout.root} holds other things ({foreign[0]}) and no VERSION file: name an empty folder",
                code="config/state",
            ) from None
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{layout.version} cannot be read: {error}", code="config/state") from error
    if not text.isdigit():
        raise ConfigError(f"{layout.version} does not hold a schema version", code="config/state")
    if int(text) > SCHEMA_VERSION:
        raise ConfigError(
            f"{layout.root} has schema version {text}, newer than this gateway's {SCHEMA_VERSION}: use a newer gateway",
            code="config/state-version",
        )


class StateDirectory:
    """A prepared state directory under this process's exclusive lock. Close it, or leave it as a context manager."""

    def __init__(self, layout: Layout, lock_fd: int, tombstone_key: bytes) -> None:
        self.layout = layout
        self.tombstone_key = tombstone_key
        self._lock_fd = lock_fd

    @classmethod
    def open(cls, path: Path) -> StateDirectory:
        """Make or open, check and lock. Raises ConfigError: taken by another process, unwritable, newer schema …"""
        layout = prepare(path)
        lock_fd = _take_lock(layout.lock)
        try:
            return cls(layout, lock_fd, _own_secret(layout.tombstone_key))
        except BaseException:
            os.close(lock_fd)
            raise

    def close(self) -> None:
        """Give the lock back."""
        if self._lock_fd >= 0:
            # By name: closing alone leaves it with a child that was started and has not yet closed what it inherited.
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
            os.close(self._lock_fd)
            self._lock_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _take_lock(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"cannot open the lock {path}: {error.strerror}", code="config/state") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise ConfigError(
            f"the state directory {path.parent} is in use by process {holder}: stop it or name another --state",
            code="config/state-in-use",
        ) from None
    except OSError as error:
        os.close(fd)
        raise ConfigError(f"cannot lock {path}: {error.strerror}", code="config/state") from error
    return fd


def _own_secret(path: Path) -> bytes:
    """The secret at `path`; made when it is not there. Raises ConfigError for one that others can read, or damaged."""
    try:
        if not os.path.lexists(path):
            replace_file(path, secrets.token_bytes(_SECRET_BYTES), exclusive=True)
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            secret = os.read(fd, _SECRET_BYTES + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise ConfigError(f"cannot read the secret {path}: {error.strerror}", code="config/secret") from error
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise ConfigError(f"the secret {path} must be a file of this user with mode 0600", code="config/secret")
    if len(secret) != _SECRET_BYTES:
        raise ConfigError(f"the secret {path} is not {_SECRET_BYTES} bytes long: restore it", code="config/secret")
    return secret
