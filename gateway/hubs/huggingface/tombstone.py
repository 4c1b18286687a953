"""The tombstone: an invented commit and invented ETags that beat every client cache (hub-protocol §8.3).

The invented commit T names the refused ref under a secret key, in the 20 bytes that a commit id has:

    tag (6) | kind (1) | ref text, or the first 13 bytes of the refused commit (13)     four rounds of a keyed
    Feistel network over it give T: 40 hex digits that tell nothing without the key.

So a request under T (clients pin what they were told) is judged as what was refused, by any process, after any
restart, without a table.
"""

from __future__ import annotations

import hmac

from gateway.domain.artifact import Repo
from gateway.hubs.huggingface.names import is_commit

_TAG_BYTES = 6
_REF_BYTES = 13
_COMMIT_KIND = 0xFF


class Tombstone:
    """Derives all ids from a secret key, so that nobody can forge or foresee them."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the tombstone key must have at least 16 bytes")
        self._key = key

    def commit(self, repo: Repo, ref: str = "", commit: str = "") -> str:
        """The invented commit of a refused `ref` ("" for the default branch), 40 hex digits.

        `commit` is what the ref pointed to, where known: it stands for a ref that is too long to be held. A `ref`
        that is an invented commit already stays itself.
        """
        if self.ref_of(repo, ref) is not None:
            return ref
        payload = _payload(ref, commit)
        block = self._tag(repo, payload) + payload
        left, right = block[:10], block[10:]
        for turn in range(4):
            left, right = right, self._mixed(repo, turn, left, right)
        return (left + right).hex()

    def ref_of(self, repo: Repo, ref: str) -> str | None:
        """The refused ref that an invented commit of this repo names; None for every other text."""
        if not is_commit(ref):
            return None
        block = bytes.fromhex(ref)
        left, right = block[:10], block[10:]
        for turn in reversed(range(4)):
            left, right = self._mixed(repo, turn, right, left), left
        tag, payload = (left + right)[:_TAG_BYTES], (left + right)[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(repo, payload)):
            return None
        if payload[0] == _COMMIT_KIND:
            return payload[1:].hex()
        return payload[1 : 1 + payload[0]].decode("utf-8", "replace")

    def etag(self, repo: Repo, commit: str, path: str) -> str:
        """64 hex digits, like a sha256: a client's blob store holds nothing under it."""
        return self._derive("etag", *_names(repo), commit, path).hex()

    def id(self, repo: Repo) -> str:
        """24 hex digits in place of the hub's own key of the repo."""
        return self._derive("id", *_names(repo)).hex()[:24]

    def _tag(self, repo: Repo, payload: bytes) -> bytes:
        return self._derive("tag", *_names(repo), payload.hex())[:_TAG_BYTES]

    def _mixed(self, repo: Repo, turn: int, half: bytes, other: bytes) -> bytes:
        mask = self._derive("round", str(turn), *_names(repo), other.hex())
        return bytes(a ^ b for a, b in zip(half, mask, strict=False))

    def _derive(self, *parts: str) -> bytes:
        return hmac.digest(self._key, "\x00".join(("tombstone", *parts)).encode(), "sha256")


def _payload(ref: str, commit: str) -> bytes:
    text = ref.encode()
    if len(text) <= _REF_BYTES:
        return bytes([len(text)]) + text.ljust(_REF_BYTES, b"\0")
    for known in (commit, ref):
        if is_commit(known):
            return bytes([_COMMIT_KIND]) + bytes.fromhex(known)[:_REF_BYTES]
    return bytes(1 + _REF_BYTES)  # no commit to name: judged as the default branch


def _names(repo: Repo) -> tuple[str, str, str]:
    return repo.hub, repo.type.value, repo.id.lower()
