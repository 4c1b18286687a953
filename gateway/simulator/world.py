"""The state of the simulated hub: repos, renames and tokens. Edit it while the simulator runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from gateway.simulator.repo import Repo


@dataclass
class Account:
    """The owner of a token. `grants` are names of gated or private repos (`org/name`, `datasets/…`) that it opens."""

    name: str
    grants: set[str] = field(default_factory=set)


@dataclass
class World:
    """Repos by their name in file routes (`org/name`, `datasets/org/name`); tokens by their text; small layers of the
    `/v2/` registry by name and media type, where a test wants its own."""

    repos: dict[str, Repo] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, Account] = field(default_factory=dict)
    layers: dict[str, dict[str, bytes]] = field(default_factory=dict)
    _created: int = 0

    def repo(self, repo_id: str, type: str = "model", **facts: Any) -> Repo:  # noqa: A002 - the hub's own word
        """Add a repo with the given facts (fields of `Repo`) and return it; its first commit is up to the caller."""
        repo = Repo(id=repo_id, type=type, **facts)
        # A name that is used again, after a rename or a deletion, belongs to another repo: another stable key.
        self._created += 1
        repo.stable_key = repo.stable_key or sha256(f"{self._created} {repo.name}".encode()).hexdigest()[:24]
        self.renames.pop(repo.name, None)
        self.repos[repo.name] = repo
        return repo

    def __getitem__(self, name: str) -> Repo:
        return self.repos[name]

    def rename(self, old: str, new: str) -> None:
        """Move a repo; the old name answers 307 from now on. Also makes a legacy alias of a name that never was."""
        if old in self.repos:
            repo = self.repos.pop(old)
            repo.id = new.removeprefix("datasets/").removeprefix("spaces/")
            self.repos[new] = repo
        self.renames[old] = new

    def token(self, text: str, *grants: str, name: str = "somebody") -> Account:
        """Make `text` a valid bearer token with access to the granted repos."""
        self.tokens[text] = Account(name, set(grants))
        return self.tokens[text]

    def canonical(self, name: str) -> str:
        """The name under which the hub serves this repo: after renames and with its own case; "" if there is none."""
        for _ in range(8):
            if name not in self.renames:
                break
            name = self.renames[name]
        if name in self.repos:
            return name
        return next((known for known in self.repos if known.lower() == name.lower()), "")
