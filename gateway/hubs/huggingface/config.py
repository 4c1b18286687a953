"""What the network end of the hub is told at start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from gateway.domain.errors import ConfigError

# Where huggingface.co sends downloads (hub-protocol §9.4, §13.2).
DEFAULT_REDIRECT_HOSTS: Final = (
    "huggingface.co",
    "hf.co",
    "us.aws.cdn.hf.co",
    "*.cdn.hf.co",
    "cdn-lfs.hf.co",
    "cdn-lfs-us-1.hf.co",
    "cdn-lfs-eu-1.hf.co",
    "cdn-lfs.huggingface.co",
    "cdn-lfs-us-1.huggingface.co",
    "cas-bridge.xethub.hf.co",
)


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """`redirect_hosts`: `host`, `host:port` or `*.domain`; a host without port means the scheme's own port.

    `token` is the gateway's own credential: sent to `endpoint` only, never shown. `allow_private` also admits
    loopback and private addresses (never link-local, multicast or reserved ones). `wait_budget_s` is the longest
    time one operation waits for a rate limit. `commit_pages` caps the walk that looks for a commit in the default
    branch's history, `tree_pages` the pages of one listing. `connections` is per host;
    so are the `circuit_failures` in a row that make it asked by a probe only.
    """

    endpoint: str = "https://huggingface.co"
    token: str | None = field(default=None, repr=False)
    redirect_hosts: tuple[str, ...] = DEFAULT_REDIRECT_HOSTS
    allow_private: bool = False
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 20.0
    listing_timeout_s: float = 60.0
    attempts: int = 3
    wait_budget_s: float = 5.0
    commit_pages: int = 10
    tree_pages: int = 200
    connections: int = 64
    listing_bytes: int = 64 << 20
    search_bytes: int = 16 << 20
    circuit_failures: int = 5
    json_depth: int = 64
    small_file_bytes: int = 10 << 20

    def __post_init__(self) -> None:
        """Raises ConfigError for an endpoint or token that cannot be used."""
        try:
            url = URL(self.endpoint)
        except ValueError:
            raise ConfigError(f"The upstream endpoint {self.endpoint!r} is no URL.") from None
        if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment or url.user:
            raise ConfigError("The upstream endpoint must be an http(s) URL without user, query and fragment.")
        if self.token is not None and (not self.token or not all("!" <= c <= "~" for c in self.token)):
            raise ConfigError("The upstream token must be printable ASCII without spaces.")

    @property
    def base_url(self) -> URL:
        """The endpoint without a trailing slash."""
        return URL(self.endpoint.rstrip("/"))

    @property
    def origin(self) -> URL:
        return self.base_url.origin()
