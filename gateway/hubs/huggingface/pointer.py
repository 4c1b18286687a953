"""What git keeps in place of a file in large file storage (git-lfs specification, version 1): the bytes of `/raw/`."""

from __future__ import annotations

import hashlib

from gateway.domain.artifact import Artifact, FileEntry
from gateway.hubs.huggingface.files import INERT, content_disposition
from gateway.hubs.huggingface.limits import malformed
from gateway.ports import Rendering


def pointer_text(entry: FileEntry) -> bytes:
    """The pointer of an LFS file.

    Raises UpstreamUnavailable (`upstream/malformed`) where its git id is not the one that the hub lists: the repo then
    keeps a pointer of another form, which nobody here has seen.
    """
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{entry.sha256}\nsize {entry.size_bytes}\n".encode()
    if hashlib.sha1(b"blob %d\0" % len(text) + text, usedforsecurity=False).hexdigest() != entry.git_oid:
        raise malformed("The hub lists another LFS pointer than the usual one for this file.")
    return text


def pointer(artifact: Artifact) -> Rendering:
    """The headers and body of `/raw/` for an allowed LFS file. The ETag is the git id, as in every listing (`oid`)."""
    headers = (
        ("X-Repo-Commit", artifact.commit),
        ("ETag", f'"{artifact.entry.git_oid}"'),
        ("Accept-Ranges", "bytes"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Disposition", content_disposition(artifact.path)),
        *INERT,
    )
    return Rendering(200, headers, pointer_text(artifact.entry))
