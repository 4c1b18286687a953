"""The headers of a file answer (hub-protocol §2, §5)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import quote

from huggingface_hub import constants

from gateway.domain.artifact import FileEntry

Headers = tuple[tuple[str, str], ...]

_TEXT_SUFFIXES: Final = (".json", ".jsonl", ".md", ".py", ".txt", ".yaml", ".yml", ".csv", ".jinja", ".toml", ".xml")
_NAME_CHARS: Final = 600
# A browser that opens a file must neither run nor guess it.
INERT: Final = (("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "default-src 'none'; sandbox"))


@lru_cache(maxsize=8192)
def file_headers(commit: str, entry: FileEntry) -> Headers:
    """Everything but Content-Length. The ETag is the digest by which every listing names the bytes."""
    etag = f'"{entry.digest.value}"'
    linked = ((constants.HUGGINGFACE_HEADER_X_LINKED_ETAG, etag),) if entry.is_lfs else ()
    size = ((constants.HUGGINGFACE_HEADER_X_LINKED_SIZE, str(entry.size_bytes)),) if entry.is_lfs else ()
    return (
        (constants.HUGGINGFACE_HEADER_X_REPO_COMMIT, commit),
        ("ETag", etag),
        *linked,
        *size,
        ("Accept-Ranges", "bytes"),
        ("Content-Type", content_type(entry.path)),
        ("Content-Disposition", content_disposition(entry.path)),
        *INERT,
    )


def invented_headers(commit: str, etag: str, size_bytes: int) -> Headers:
    """The headers of a HEAD whose GET is refused: a file that no client has, small enough for every client."""
    return (
        (constants.HUGGINGFACE_HEADER_X_REPO_COMMIT, commit),
        ("ETag", f'"{etag}"'),
        (constants.HUGGINGFACE_HEADER_X_LINKED_ETAG, f'"{etag}"'),
        (constants.HUGGINGFACE_HEADER_X_LINKED_SIZE, str(size_bytes)),
        ("Content-Length", str(size_bytes)),
        ("Accept-Ranges", "bytes"),
        ("Content-Type", "application/octet-stream"),
    )


def content_type(path: str) -> str:
    """`text/plain` for the usual text files, as the hub says, else `application/octet-stream`: never HTML."""
    is_text = path.lower().endswith(_TEXT_SUFFIXES)
    return "text/plain; charset=utf-8" if is_text else "application/octet-stream"


def content_disposition(path: str) -> str:
    """RFC 6266: the exact name percent-encoded, and an ASCII one in which nothing can end the quoted string.

    Of a name that would make the header long only the end is told: it is a hint for progress bars.
    """
    name = path.rpartition("/")[2]
    name = name if len(quote(name, safe="")) <= _NAME_CHARS else name[-60:]
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%;' else "_" for c in name)
    return f"inline; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";"
