"""Every client of the matrix, in the order of the page."""

from __future__ import annotations

from conformance import programs, python, replayed
from conformance.client import Client

CLIENTS: tuple[Client, ...] = (*python.CLIENTS, *programs.CLIENTS, *replayed.CLIENTS)

# The tables of the page, in order: the family of a client and its heading.
FAMILIES = {
    "hub": "huggingface_hub",
    "cli": "`huggingface-cli` and `hf`",
    "models": "Libraries that load models and data sets",
    "programs": "Other programs",
    "replays": "Clients that cannot run here, by the requests they send",
    "path": "Over https, and `HF_ENDPOINT` with a path (`https://host/hub`)",
}


def chosen(names: list[str]) -> list[Client]:
    """The clients named, or all. Raises ValueError for a name that is none."""
    unknown = sorted(set(names) - {client.name for client in CLIENTS})
    if unknown:
        known = ", ".join(client.name for client in CLIENTS)
        raise ValueError(f"no client is named {', '.join(unknown)}; there are {known}")
    return [client for client in CLIENTS if not names or client.name in names]
