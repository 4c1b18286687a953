"""What the clients would read: environment, home and folders, by huggingface_hub's own rules (its `constants.py`)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
TEXT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Surroundings:
    """`env` as a client started here would get it; `home` its user's folder; `cwd` where it would start."""

    env: Mapping[str, str]
    home: Path
    cwd: Path

    @classmethod
    def of_process(cls) -> Surroundings:
        """Those of this process."""
        return cls(dict(os.environ), Path("~").expanduser(), Path.cwd())  # noqa: TID251 - it is what is examined

    def is_on(self, *names: str) -> bool:
        """Is any of these switches on, as huggingface_hub reads one?"""
        return any(self.env.get(name, "").upper() in _TRUE for name in names)

    @property
    def hf_home(self) -> Path:
        cache = self.env.get("XDG_CACHE_HOME") or str(self.home / ".cache")
        return self._path(self.env.get("HF_HOME", str(Path(cache) / "huggingface")))

    @property
    def hub_cache(self) -> Path:
        named = self.env.get("HF_HUB_CACHE", self.env.get("HUGGINGFACE_HUB_CACHE"))
        return self._path(named) if named else self.hf_home / "hub"

    @property
    def xet_cache(self) -> Path:
        named = self.env.get("HF_XET_CACHE")
        return self._path(named) if named else self.hf_home / "xet"

    @property
    def token_file(self) -> Path:
        named = self.env.get("HF_TOKEN_PATH")
        return self._path(named) if named else self.hf_home / "token"

    @property
    def stored_tokens(self) -> Path:
        return self.token_file.parent / "stored_tokens"

    def _path(self, text: str) -> Path:
        """`~` and `$NAME` as os.path.expanduser and expandvars would read them, from this environment."""
        text = _VARIABLE.sub(lambda m: self.env.get(m[1] or m[2], m[0]), text)
        if text == "~" or text.startswith("~/"):
            text = str(self.home) + text[1:]
        return self.cwd / text


def read_text(path: Path, limit_bytes: int = TEXT_BYTES) -> str:
    """The beginning of a regular file, never waiting for a pipe. Raises OSError, also for what is no regular file."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError("it is no regular file")
        return os.read(handle, limit_bytes).decode("utf-8", "replace")
    finally:
        os.close(handle)
