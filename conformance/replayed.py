"""Clients that cannot run here, by their requests: each replay is a client of the matrix."""

from __future__ import annotations

from conformance.client import Client
from conformance.replays import ALL, Replay

_GGUF = ("llama.cpp", "llama.cpp-old", "ollama")


def _client(replay: Replay) -> Client:
    features = ("replay-gguf", "replay-gguf-denied") if replay.name in _GGUF else ("replay", "replay-denied")
    driver = ("{python}", "{drivers}/replays.py", replay.name)
    return Client(f"replay-{replay.name}", f"{replay.client} {replay.version}", "replays", driver, features)


CLIENTS: tuple[Client, ...] = tuple(_client(replay) for replay in ALL)
