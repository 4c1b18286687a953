"""The clients that are not Python libraries: the npm packages, curl, wget, aria2c, git."""

from __future__ import annotations

from conformance.client import Client

CLIENTS: tuple[Client, ...] = ()
