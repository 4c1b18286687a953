"""The path under which developers reach the gateway (`server.public_url`), taken off what they ask for."""

from __future__ import annotations

from urllib.parse import urlsplit


class Prefix:
    """`public_url`: as it is configured; without a path in it nothing is ever taken off."""

    def __init__(self, public_url: str = "") -> None:
        self._path = urlsplit(public_url).path.rstrip("/")

    def taken_off(self, raw_target: str) -> str:
        """The raw target without the prefix, where it is there as it is written in the settings: once, and only as
        whole segments. Any other target, of a bare host or of a proxy that took it off already, stays as it is."""
        if not self._path or not raw_target.startswith(self._path):
            return raw_target
        rest = raw_target[len(self._path) :]
        if rest[:1] in ("", "?"):
            return f"/{rest}"
        return rest if rest[0] == "/" else raw_target
